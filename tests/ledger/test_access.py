"""Access: roles carry scopes, secrets are kept as hashes, and every door can be shut at once."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import argon2
import pytest
from click.testing import CliRunner
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session

from ledger import db as ledger_db
from ledger import service as ledger
from ledger.access import (
    ROLES,
    SCOPES,
    Actor,
    BookNotPermitted,
    ScopeMissing,
    TokenInvalid,
    check_allowed,
    check_scopes,
    scopes_of,
    split_token,
)
from ledger.cli.access import access_cli
from ledger.db import transaction
from ledger.errors import Conflict, Invalid, NotFound
from ledger.service import access, clients
from ledger.service.book_access import is_shut_out, set_book_access

NOON = datetime(2026, 4, 1, 12, 0, tzinfo=UTC)
PASSWORD = "correct horse battery"


def _add(session: Session, username: str = "berit", *roles: str) -> int:
    return access.add_staff(
        session, username, roles or ("accountant",), PASSWORD, actor="test", now=NOON
    )


def test_every_role_carries_only_scopes_that_exist() -> None:
    """A misspelt scope in a role would lock its holders out without a word."""
    assert all(scopes <= SCOPES.keys() for scopes in ROLES.values())


def test_auditors_read_everything_and_change_nothing() -> None:
    """The auditor's scopes are all the reading ones and no other."""
    assert ROLES["auditor"] == {name for name in SCOPES if name.endswith(":read")}


def test_nobody_both_makes_and_approves() -> None:
    """Maker and checker are two roles."""
    for scopes in ROLES.values():
        assert not {"ledger:post", "ledger:approve"} <= scopes


def test_unknown_roles_and_scopes_are_refused_by_name() -> None:
    """The refusal names what is unknown and what there is."""
    with pytest.raises(Invalid, match="bookkeeper: no such role"):
        scopes_of(["accountant", "bookkeeper"])
    with pytest.raises(Invalid, match="ledger:burn: no such scope"):
        check_scopes(["ledger:burn"])


def test_an_actor_without_the_scope_is_refused() -> None:
    """The refusal says which scope is missing."""
    actor = Actor("staff", 1, "berit", scopes_of(["collector"]))
    check_allowed(actor, "party:read")
    with pytest.raises(ScopeMissing, match="needs the scope ledger:post") as caught:
        check_allowed(actor, "ledger:post")
    assert caught.value.facts == {"scope": "ledger:post"}


@pytest.mark.parametrize("token", ["hvb_1", "hvb_1.", "other.secret", "hvb"])
def test_malformed_tokens_are_refused_without_echo(token: str) -> None:
    """A refused token never appears in its refusal: refusals are logged."""
    with pytest.raises(TokenInvalid) as caught:
        split_token(token)
    assert token not in str(caught.value)


def test_a_login_opens_a_session_and_a_logout_ends_it(session: Session) -> None:
    """The token leads to the actor until it is revoked."""
    _add(session, "berit", "accountant", "approver")
    token = access.log_in(session, " Berit ", PASSWORD, address="10.0.0.1", now=NOON).token
    assert token is not None
    actor = access.staff_actor(session, token, now=NOON)
    assert actor is not None
    assert (actor.reference, actor.roles) == ("staff:berit", {"accountant", "approver"})
    assert actor.scopes == scopes_of(["accountant", "approver"])
    access.revoke_session(session, token, now=NOON)
    assert access.staff_actor(session, token, now=NOON) is None


def test_a_session_expires(session: Session) -> None:
    """The last moment of a session is before its expiry, not at it."""
    token = access.open_session(session, _add(session), now=NOON)
    end = NOON + access.SESSION_LASTS
    assert access.staff_actor(session, token, now=end - timedelta(seconds=1)) is not None
    assert access.staff_actor(session, token, now=end) is None


def test_disabling_ends_open_sessions_and_new_logins(session: Session) -> None:
    """Somebody who leaves is out at once, also where they are logged in."""
    token = access.open_session(session, _add(session), now=NOON)
    access.disable_staff(session, "berit", actor="test", now=NOON)
    assert access.staff_actor(session, token, now=NOON) is None
    assert access.log_in(session, "berit", PASSWORD, address="a", now=NOON).token is None
    with pytest.raises(NotFound):
        access.disable_staff(session, "nobody", actor="test", now=NOON)


def test_failed_logins_are_throttled_per_name_until_the_window_passes(session: Session) -> None:
    """After five failures even the right password waits; fifteen minutes later it works."""
    _add(session)
    for _ in range(access.FAILURES_PER_NAME):
        assert access.log_in(session, "berit", "wrong", address="a", now=NOON) == access.Login()
    refused = access.log_in(session, "berit", PASSWORD, address="b", now=NOON)
    assert refused.token is None
    assert 0 < refused.retry_after_s <= access.THROTTLE_WINDOW.total_seconds() + 1
    later = NOON + access.THROTTLE_WINDOW + timedelta(seconds=1)
    assert access.log_in(session, "berit", PASSWORD, address="b", now=later).token is not None


def test_guesses_that_come_at_once_are_throttled_like_others(
    db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many connections as there are threads are no way to guess more often."""

    def refuse_slowly(_stored: str, _password: str) -> bool:
        time.sleep(0.05)
        return False

    monkeypatch.setattr(access, "_password_matches", refuse_slowly)
    with transaction() as session:
        _add(session)

    def guess(_time: int) -> int:
        with transaction() as session:
            login = access.log_in(session, "berit", "wrong", address="a", now=NOON)
        return login.retry_after_s

    with ThreadPoolExecutor(12) as together:
        waits = list(together.map(guess, range(12)))
    assert waits.count(0) == access.FAILURES_PER_NAME


def test_unknown_names_are_throttled_per_address(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guessing many names from one place is stopped like guessing one name's password."""
    monkeypatch.setattr(access, "FAILURES_PER_ADDRESS", 3)
    for name in ("a1", "a2", "a3"):
        access.log_in(session, name, "wrong", address="10.0.0.9", now=NOON)
    assert access.log_in(session, "a4", "wrong", address="10.0.0.9", now=NOON).retry_after_s > 0
    assert access.log_in(session, "a4", "wrong", address="10.0.0.8", now=NOON).retry_after_s == 0


def test_no_secret_is_stored_in_the_clear(session: Session) -> None:
    """Neither password, session token, API secret nor typed user name can be read back."""
    staff_id = _add(session)
    token = access.open_session(session, staff_id, now=NOON)
    api_token = access.add_client(session, "billing", ["ledger:post"], actor="test", now=NOON)
    access.log_in(session, "my-password-by-mistake", "x", address="10.1.2.3", now=NOON)
    tables = ("staff", "staff_session", "login_attempt", "api_client", "api_token", "access_event")
    stored = "".join(
        str(row) for table in tables for row in session.execute(text(f"SELECT * FROM {table}"))
    )
    secrets = (PASSWORD, token, api_token.partition(".")[2], "by-mistake", "10.1.2.3")
    assert not [secret for secret in secrets if secret in stored]


def test_a_client_token_leads_to_its_scopes_until_revoked_or_expired(session: Session) -> None:
    """A wrong secret, a revoked token and an expired one are refused alike."""
    tomorrow = NOON + timedelta(days=1)
    token = access.add_client(
        session, "billing", ["ledger:post"], actor="test", now=NOON, expires_at=tomorrow
    )
    assert access.client_actor(session, token, now=NOON).scopes == {"ledger:post"}
    prefix = token.partition(".")[0]
    for wrong, moment in ((f"{prefix}.guess", NOON), (token, tomorrow)):
        with pytest.raises(TokenInvalid):
            access.client_actor(session, wrong, now=moment)
    access.revoke_token(session, prefix, actor="test", now=NOON)
    with pytest.raises(TokenInvalid):
        access.client_actor(session, token, now=NOON)


def _works(session: Session, token: str, now: datetime) -> bool:
    try:
        return access.client_actor(session, token, now=now).name == "billing"
    except TokenInvalid:
        return False


def test_a_rotated_token_works_beside_the_old_one_until_that_ends(session: Session) -> None:
    """Key rotation without a pause: both work for a while; then the old one is refused."""
    old = access.add_client(session, "billing", ["ledger:post"], actor="test", now=NOON)
    set_book_access(session, "client:billing", None, granted=False, reason="x", actor="test")
    set_at = datetime.now(UTC)
    before = access.client_actor(session, old, now=set_at)
    end = set_at + timedelta(days=2)
    made = clients.rotate_token(session, "billing", actor="staff:admin", now=set_at, old_until=end)
    assert access.client_actor(session, made.token, now=set_at) == before
    assert [_works(session, old, at) for at in (end - timedelta(seconds=1), end)] == [True, False]
    assert _works(session, made.token, end)
    newest = access.audit_log(session)[0]
    assert (newest["actor"], newest["act"], newest["subject"], newest["facts"]) == (
        "staff:admin", "token rotated", "client:billing",
        {"prefix": made.prefix, "expires_at": None,
         "ending": {old.partition(".")[0]: end.isoformat()}},
    )  # fmt: skip
    stored = str(session.execute(text("SELECT * FROM api_token")).all())
    assert made.prefix in stored
    assert made.token.partition(".")[2] not in stored


def test_a_leaked_token_ends_at_once_whatever_was_said_before(session: Session) -> None:
    """Rotating again, or revoking, ends a token whose end was still ahead; nothing revives one."""
    old = access.add_client(session, "billing", ["ledger:post"], actor="test", now=NOON)
    day = timedelta(days=1)
    second = clients.rotate_token(
        session, "billing", actor="t", now=NOON, old_until=NOON + 30 * day, expires_at=NOON + day
    )
    access.revoke_token(session, old.partition(".")[0], actor="t", now=NOON + day / 2)
    assert not _works(session, old, NOON + day / 2)
    later = clients.rotate_token(
        session, "billing", actor="t", now=NOON + day / 2, old_until=NOON + 3 * day
    )
    assert [one.ends_at for one in later.ending] == [NOON + day], "its own end was nearer"
    assert not _works(session, second.token, NOON + day)
    last = clients.rotate_token(session, "billing", actor="t", now=NOON + 2 * day)
    assert [one.prefix for one in last.ending] == [later.prefix]
    found = [_works(session, one, NOON + 2 * day) for one in (old, second.token, later.token)]
    assert found == [False] * 3
    assert _works(session, last.token, NOON + 2 * day)
    (listed,) = clients.list_clients(session)
    assert {one.ends_at for one in listed.tokens} == {
        NOON + day / 2, NOON + day, NOON + 2 * day, None,
    }  # fmt: skip


def test_a_client_whose_last_token_was_revoked_is_let_in_again(session: Session) -> None:
    """It gets another token and is whom it was; one of its webhooks would be told again."""
    old = access.add_client(session, "billing", ["ledger:post"], actor="test", now=NOON)
    access.revoke_token(session, old.partition(".")[0], actor="test", now=NOON)
    assert is_shut_out(session, "client:billing", now=NOON)
    made = clients.rotate_token(session, "billing", actor="test", now=NOON)
    assert made.ending == ()
    assert not is_shut_out(session, "client:billing", now=NOON)
    assert _works(session, made.token, NOON)


@pytest.mark.parametrize(
    ("times", "words"),
    [
        ({"old_until": NOON}, "end at once or within 31 days"),
        ({"old_until": NOON + timedelta(days=31, seconds=1)}, "end at once or within 31 days"),
        ({"expires_at": NOON}, "would have expired already"),
    ],
)
def test_a_rotation_to_no_good_time_is_refused(
    session: Session, times: dict[str, datetime], words: str
) -> None:
    """Nothing has ended then."""
    old = access.add_client(session, "billing", ["ledger:post"], actor="test", now=NOON)
    with pytest.raises(Invalid, match=words):
        clients.rotate_token(session, "billing", actor="test", now=NOON, **times)
    with pytest.raises(NotFound, match="No active API client is called fakturering"):
        clients.rotate_token(session, "fakturering", actor="test", now=NOON)
    assert _works(session, old, NOON)


def test_nobody_rotates_their_way_into_a_book(session: Session) -> None:
    """An administrator of one book gets no token of a client that sees others."""
    access.add_client(session, "billing", ["ledger:post"], actor="test", now=NOON)
    ledger.seed_book(session, "NO01")
    ledger.seed_book(session, "NO02")
    by = Actor("staff", 1, "kari", frozenset({"access:write"}), books=frozenset({"NO02"}))
    with pytest.raises(BookNotPermitted, match="may see every book"):
        clients.rotate_token(session, "billing", actor=by.reference, by=by, now=NOON)
    for book in ("NO01", "NO02"):
        set_book_access(session, "client:billing", book, granted=True, reason="x", actor="test")
    now = datetime.now(UTC) + timedelta(seconds=1)
    with pytest.raises(BookNotPermitted, match="may not see book NO01"):
        clients.rotate_token(session, "billing", actor=by.reference, by=by, now=now)
    set_book_access(session, "client:billing", "NO01", granted=False, reason="x", actor="test")
    now = datetime.now(UTC) + timedelta(seconds=2)
    assert clients.rotate_token(session, "billing", actor=by.reference, by=by, now=now).token


def test_names_are_taken_once(session: Session) -> None:
    """A second berit and a second client of one name are refused."""
    _add(session)
    with pytest.raises(access.UsernameTaken):
        _add(session)
    access.add_client(session, "billing", ["ledger:read"], actor="test", now=NOON)
    with pytest.raises(Conflict):
        access.add_client(session, "billing", ["ledger:read"], actor="test", now=NOON)


def test_privileged_acts_are_on_record(session: Session) -> None:
    """Adding, disabling and revoking leave a line with who, what and on whom; newest first."""
    _add(session)
    access.disable_staff(session, "berit", actor="staff:admin", now=NOON)
    newest = access.audit_log(session)[0]
    assert (newest["actor"], newest["act"], newest["subject"]) == (
        "staff:admin", "staff disabled", "staff:berit",
    )  # fmt: skip


@pytest.mark.parametrize(
    "attack",
    [
        "UPDATE access_event SET actor = 'somebody else'",
        "DELETE FROM access_event",
        "TRUNCATE access_event",
        "UPDATE login_attempt SET succeeded = true",
        "UPDATE staff_session SET expires_at = 'infinity'",
        "UPDATE api_token SET expires_at = NULL",
    ],
)
def test_the_service_cannot_rewrite_what_happened(session: Session, attack: str) -> None:
    """The service's database role may add to the log, never change it."""
    _add(session)
    with pytest.raises(ProgrammingError, match="permission denied"):
        session.execute(text(attack))


@pytest.mark.parametrize("column", ["staff.password_hash", "api_token.secret_sha256"])
def test_auditors_cannot_read_hashes(db: str, column: str) -> None:
    """The auditor's login sees who may do what, not what could be attacked."""
    table, name = column.split(".")
    with (
        pytest.raises(ProgrammingError, match="permission denied"),
        ledger_db.transaction("auditor") as session,
    ):
        session.execute(text(f"SELECT {name} FROM {table}"))


def test_demo_users_are_seeded_once_with_passwords_of_their_own(
    session: Session, home: Path
) -> None:
    """A second seeding changes nothing; the file that holds the passwords is private."""
    first = access.seed_demo_staff(session, home, now=NOON)
    assert access.seed_demo_staff(session, home, now=NOON) == first
    assert [role for _, role, _ in first] == list(ROLES)
    assert len({password for _, _, password in first}) == len(ROLES)
    assert (home / "demo-users.txt").stat().st_mode & 0o077 == 0
    username, _, password = first[0]
    assert access.log_in(session, username, password, address="a", now=NOON).token is not None


def test_the_command_line_adds_lists_and_disables(db: str) -> None:
    """`hovedbok access` does what its help says and prints a client's token once."""
    run = CliRunner().invoke
    added = run(access_cli, ["staff", "add", "kari", "--role", "auditor", "--password", PASSWORD])
    assert added.output == "Added kari as auditor.\n"
    assert "kari" in run(access_cli, ["staff", "list"]).output
    assert run(access_cli, ["staff", "disable", "kari"]).exit_code == 0
    assert '"active": false' in run(access_cli, ["staff", "list", "--json"]).output
    made = run(access_cli, ["client", "add", "billing", "--scope", "ledger:read"])
    token = made.output.splitlines()[-1]
    with ledger_db.transaction() as session:
        assert access.client_actor(session, token, now=datetime.now(UTC)).name == "billing"
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat(timespec="seconds")
    made = run(access_cli, ["client", "rotate", "billing", "--old-until", soon])
    assert made.stderr.startswith(f"{token.partition('.')[0]} ends {soon}.\nKeep this token")
    second = made.stdout.strip()
    with ledger_db.transaction() as session:
        for one in (token, second):
            assert access.client_actor(session, one, now=datetime.now(UTC)).name == "billing"
    assert run(access_cli, ["client", "revoke", token.partition(".")[0]]).exit_code == 0
    for words in (["add", "other", "--scope", "ledger:read"], ["rotate", "billing"]):
        refused = run(access_cli, ["client", *words, "--expires", "2026-13-01"])
        assert (refused.exit_code, "is no time" in refused.output) == (2, True)
    (listed,) = json.loads(run(access_cli, ["client", "list", "--json"]).output)["clients"]
    assert [one["ends_at"] is None for one in listed["tokens"]] == [False, True]
    far = "2031-01-01T00:00:00+00:00"
    run(access_cli, ["client", "add", "other", "--scope", "ledger:read", "--expires", far])
    shown = run(access_cli, ["client", "list"]).output
    assert f"ends {far}" in shown
    assert f"{second.partition('.')[0]}  since" in shown
    assert not [one for one in (token, second) if one in shown]


def test_a_password_costs_what_its_library_recommends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests hash fast; outside of them it is argon2id as RFC 9106 has it."""
    monkeypatch.setattr(access, "PasswordHasher", argon2.PasswordHasher)
    access._hasher.cache_clear()
    try:
        made = access._hasher()
    finally:
        access._hasher.cache_clear()
    known = argon2.extract_parameters(made.hash("secret"))
    assert known == argon2.profiles.RFC_9106_LOW_MEMORY
