"""Drafts over REST and on the command line: two clients, two people, and every refusal by name."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from flask.testing import FlaskClient

from ledger import service
from ledger.cli.ledger import ledger_cli
from ledger.db import transaction
from ledger.db.server import PrivateServer
from ledger.errors import Invalid, NotFound, Problem
from ledger.refusals import DraftChanged, MalformedEntry, OwnDraft
from ledger.service import access, dimensions
from tests.ledger.test_api import ENTRY, code_of, make_app

PDF = b"%PDF-1.7\nA receipt.\n"


def client_with(*scopes: str) -> FlaskClient:
    """A program of its own name with some scopes."""
    name = "-".join(scope.partition(":")[2] for scope in scopes)
    with transaction() as session:
        token = access.add_client(session, name, scopes, actor="test", now=datetime.now(UTC))
    made = make_app().test_client()
    made.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return made


@pytest.fixture
def writer(books: str) -> FlaskClient:
    """A client that may write drafts and read."""
    return client_with("ledger:post", "ledger:read")


@pytest.fixture
def approver(books: str) -> FlaskClient:
    """A client that may approve and read."""
    return client_with("ledger:approve", "ledger:read")


def write(client: FlaskClient, key: str = "k-1", **changes: Any) -> Any:
    """Open a draft of a bank charge, with changes."""
    headers = {"Idempotency-Key": key}
    return client.post("/api/v1/drafts", json={**ENTRY, **changes}, headers=headers)


def judge(client: FlaskClient, view: dict[str, Any], verdict: str = "approved", **more: Any) -> Any:
    """Judge a draft as it was read."""
    body = {"verdict": verdict, "content_hash": view["latest"]["content_hash"], **more}
    return client.post(
        f"/api/v1/drafts/{view['draft_id']}/approval", json=body,
        headers={"Idempotency-Key": "a-1"},
    )  # fmt: skip


def test_a_draft_is_written_read_and_approved(writer: FlaskClient, approver: FlaskClient) -> None:
    """Nothing is posted before the approval, and once after it."""
    sent = write(writer)
    assert sent.status_code == 201, sent.data
    view = sent.json
    assert (view["state"], view["created_by"]) == ("submitted", "client:post-read")
    assert view["latest"]["journal"]["lines"][0]["amount"] == "125.50"
    assert code_of(approver.get("/api/v1/entries/JNL/2026/1")) == (404, "unknown-entry")
    first, again = judge(approver, view), judge(approver, view)
    assert first.json["voucher"] == {"series": "JNL", "year": 2026, "number": 1}
    assert again.json == first.json
    read = writer.get(f"/api/v1/drafts/{view['draft_id']}").json
    assert (read["state"], read["batch_id"]) == ("posted", first.json["batch_id"])
    assert read["latest"]["verdict"]["approver"] == "client:approve-read"
    entry = writer.get("/api/v1/entries/JNL/2026/1").json
    assert (entry["source_system"], entry["created_by"]) == ("manual", "client:post-read")


def test_a_key_opens_one_draft(writer: FlaskClient) -> None:
    """A retry finds it; other content under the key is refused."""
    first, again = write(writer), write(writer)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.headers["Idempotency-Hit"] == "true"
    assert again.json["draft_id"] == first.json["draft_id"]
    assert code_of(write(writer, text="Other")) == (422, "idempotency-key-reused")


def test_a_change_names_what_it_was_made_to(writer: FlaskClient, approver: FlaskClient) -> None:
    """428 without an ETag, 412 with an old one; the old hash cannot be approved."""
    sent = write(writer)
    path, etag = f"/api/v1/drafts/{sent.json['draft_id']}", sent.headers["ETag"]
    change = {**ENTRY, "text": "Card charge"}
    assert code_of(writer.put(path, json=change)) == (428, "if-match-missing")
    changed = writer.put(path, json=change, headers={"If-Match": etag})
    assert changed.status_code == 200, changed.data
    assert changed.headers["ETag"] != etag
    stale = writer.put(path, json=change, headers={"If-Match": etag})
    assert code_of(stale) == (412, "state-changed")
    assert code_of(judge(approver, sent.json)) == (412, "draft-changed")
    versions = writer.get(f"{path}/versions").json["versions"]
    assert [v["journal"]["text"] for v in versions] == ["Bank charge", "Card charge"]


def attach(client: FlaskClient, path: str, etag: str, name: str, content: bytes) -> Any:
    """Send a file."""
    return client.post(
        f"{path}/attachments", data={"file": (BytesIO(content), name)},
        headers={"If-Match": etag, "Idempotency-Key": "f-1"},
    )  # fmt: skip


def test_files_come_and_go_with_versions(writer: FlaskClient) -> None:
    """Attached, downloaded as a file and never shown, kept out of the next version."""
    sent = write(writer)
    path, etag = f"/api/v1/drafts/{sent.json['draft_id']}", sent.headers["ETag"]
    done = attach(writer, path, etag, "kvittering å.pdf", PDF)
    assert done.status_code == 201, done.data
    (file,) = done.json["latest"]["attachments"]
    assert (file["name"], file["media_type"]) == ("kvittering å.pdf", "application/pdf")
    assert attach(writer, path, etag, "kvittering å.pdf", PDF).headers["Idempotency-Hit"] == "true"
    assert code_of(attach(writer, path, etag, "b.txt", b"b")) == (412, "state-changed")
    assert code_of(attach(writer, path, etag, "b.html", b"<html>")) == (422, "attachment-refused")
    got = writer.get(f"{path}/attachments/{file['sha256']}")
    assert got.data == PDF
    assert got.headers["Content-Disposition"].startswith("attachment")
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    assert got.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    bare = writer.put(
        path, json={**ENTRY, "attachments": []}, headers={"If-Match": done.headers["ETag"]}
    )
    assert bare.json["latest"]["attachments"] == []
    missing = writer.put(
        path, json={**ENTRY, "attachments": ["0" * 64]}, headers={"If-Match": bare.headers["ETag"]}
    )
    assert code_of(missing) == (404, "unknown-draft")


def test_a_rejection_says_why(writer: FlaskClient, approver: FlaskClient) -> None:
    """Without a reason it is refused; with one the author reads it."""
    view = write(writer).json
    assert code_of(judge(approver, view, "rejected")) == (422, "comment-missing")
    done = judge(approver, view, "rejected", comment="Which bank?")
    assert done.json == {"state": "rejected", "entry_id": None, "batch_id": None, "voucher": None}
    assert code_of(judge(approver, view)) == (409, "not-awaiting-approval")
    read = writer.get(f"/api/v1/drafts/{view['draft_id']}").json
    assert read["latest"]["verdict"]["comment"] == "Which bank?"


def test_its_maker_withdraws_a_draft_for_good(writer: FlaskClient, approver: FlaskClient) -> None:
    """As it was read, with a reason, once; others reject, and nothing goes on from there."""
    sent = write(writer)
    path, read = f"/api/v1/drafts/{sent.json['draft_id']}", {"If-Match": sent.headers["ETag"]}

    def withdraw(key: str, **headers: str) -> Any:
        return writer.post(f"{path}/withdrawal", json={"reason": "sent twice"},
                           headers={"Idempotency-Key": key, **headers})  # fmt: skip

    assert code_of(withdraw("w-1")) == (428, "if-match-missing")
    assert code_of(withdraw("w-2", **{"If-Match": '"x"'})) == (412, "state-changed")
    gone = withdraw("w-3", **read)
    assert gone.status_code == 200, gone.data
    assert (gone.json["state"], gone.json["withdrawal"]["reason"]) == ("withdrawn", "sent twice")
    assert withdraw("w-3", **read).headers["Idempotency-Hit"] == "true"
    assert withdraw("w-4", **read).json == gone.json
    assert code_of(judge(approver, sent.json)) == (409, "draft-is-withdrawn")
    changed = writer.put(path, json=ENTRY, headers=read)
    assert code_of(changed) == (409, "draft-is-withdrawn")
    listed = writer.get("/api/v1/drafts?state=withdrawn").json["drafts"]
    assert [row["draft_id"] for row in listed] == [sent.json["draft_id"]]
    assert writer.get("/api/v1/drafts?state=submitted").json["drafts"] == []


def test_one_client_cannot_do_both(books: str) -> None:
    """Scopes for both do not make two people."""
    both = client_with("ledger:post", "ledger:approve")
    assert code_of(judge(both, write(both).json)) == (403, "own-draft")


def test_posting_without_approval_is_for_rules_that_allow_it(writer: FlaskClient) -> None:
    """The default rule allows nothing."""
    view = write(writer).json
    said = {"content_hash": view["latest"]["content_hash"]}
    sent = writer.post(
        f"/api/v1/drafts/{view['draft_id']}/posting", json=said, headers={"Idempotency-Key": "p"}
    )
    assert code_of(sent) == (409, "approval-needed")


def test_drafts_are_listed_by_state_and_page(writer: FlaskClient) -> None:
    """Newest first; the next page begins where this ends."""
    made = [write(writer, f"k-{n}", ready=n > 0).json["draft_id"] for n in range(3)]
    page = writer.get("/api/v1/drafts?limit=2").json
    assert [row["draft_id"] for row in page["drafts"]] == made[:0:-1]
    rest = writer.get(f"/api/v1/drafts?limit=2&before={page['next']}").json
    assert ([row["state"] for row in rest["drafts"]], rest["next"]) == (["draft"], None)
    waiting = writer.get("/api/v1/drafts?state=submitted").json["drafts"]
    assert [row["draft_id"] for row in waiting] == made[:0:-1]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"lines": [{"account": "1920", "amount": 1.5}]}, (422, "amount-not-a-string")),
        ({"lines": [{"account": "1920", "amount": "1.00"}]}, (422, "entry-not-balanced")),
        ({"effective_date": "2031-01-01"}, (409, "unknown-period")),
        ({"series": "SAL"}, (422, "unknown-series")),
        ({"book": "XX"}, (404, "unknown-book")),
        ({"text": ""}, (422, "malformed-entry")),
        ({"text": "NUL\0"}, (422, "text-holds-nul")),
    ],
)
def test_each_refusal_has_its_own_name(
    writer: FlaskClient, changes: dict[str, Any], expected: tuple[int, str]
) -> None:
    """No draft is left behind."""
    assert code_of(write(writer, **changes)) == expected
    assert writer.get("/api/v1/drafts").json["drafts"] == []


def test_a_name_that_the_book_does_not_know_is_no_draft(writer: FlaskClient) -> None:
    """Unfinished or not; every such name has its pointer, and the first one names the problem."""
    with transaction() as session:
        dimensions.add_dimension(session, "NO01", "product", "Product", actor="x")
    lines = [
        {"account": "1920", "amount": "1.00", "dimensions": {"prodct": "x", "product": "any"}},
        {"account": "9999", "amount": "-1.00", "vat_code": "99"},
    ]
    for ready in (False, True):
        refused = write(writer, lines=lines, ready=ready)
        assert code_of(refused) == (422, "unknown-dimension")
        assert refused.json["pointer"] == "/lines/0/dimensions/prodct"
        assert [(one["pointer"], one["code"]) for one in refused.json["errors"]] == [
            ("/lines/0/dimensions/prodct", "unknown-dimension"),
            ("/lines/1/account", "unknown-account"),
            ("/lines/1/vat_code", "unknown-vat-code"),
        ]
    assert writer.get("/api/v1/drafts").json["drafts"] == []
    known = write(writer, "k-2", lines=[{"account": "1920", "amount": "1.00"}], ready=False)
    assert known.status_code == 201
    changed = {**ENTRY, "lines": lines[1:], "ready": False}
    etag = {"If-Match": known.headers["ETag"]}
    path = f"/api/v1/drafts/{known.json['draft_id']}"
    assert code_of(writer.put(path, json=changed, headers=etag)) == (422, "unknown-account")


def test_a_draft_stays_in_the_book_it_was_opened_in(
    writer: FlaskClient, pg: PrivateServer, books: str
) -> None:
    """Who may approve it goes by that book: another in its content would post past them."""
    with transaction() as session:
        service.seed_book(session, "NO02", "Other AS")
        service.open_periods(session, "NO02", 2026)
    sent = write(writer, book="NO02")
    path, etag = f"/api/v1/drafts/{sent.json['draft_id']}", sent.headers["ETag"]
    for change in ({**ENTRY, "book": "NO01"}, ENTRY):
        moved = writer.put(path, json=change, headers={"If-Match": etag})
        assert code_of(moved) == (422, "malformed-entry")
        assert "is of book NO02 and stays there" in moved.json["detail"]
    kept = writer.put(path, json={**ENTRY, "book": "NO02"}, headers={"If-Match": etag})
    assert (kept.status_code, kept.json["latest"]["journal"]["book"]) == (200, "NO02")
    with psycopg.connect(pg.url("service", books).replace("+psycopg", "", 1)) as connection:
        content = json.dumps({"book": "NO01", "attachments": []})
        with pytest.raises(psycopg.Error) as caught:
            connection.execute(
                "SELECT ledger_write_draft(1, %s, %s, sha256('x'), true, 'client:x')",
                (kept.json["latest"]["version"], content),
            )
    assert caught.value.sqlstate == "HB091"


def run(*words: str, **more: Any) -> Result:
    """Run `hovedbok ledger draft`; a problem is raised as it is."""
    done = CliRunner().invoke(ledger_cli, ["draft", *words], **more)
    if isinstance(done.exception, Problem):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done


def test_two_people_at_the_command_line(books: str, tmp_path: Path) -> None:
    """Added, proved, shown, refused to its author, approved by another; each can be repeated."""
    with transaction() as session:
        for name, role in (("anna", "accountant"), ("berit", "approver"), ("carl", "auditor")):
            access.add_staff(
                session, name, [role], "calm and quiet desk", actor="test", now=datetime.now(UTC)
            )
    file, proof = tmp_path / "draft.json", tmp_path / "receipt.pdf"
    file.write_text(json.dumps(ENTRY))
    proof.write_bytes(PDF)
    added = run("add", str(file), "--as", "anna").output
    assert "It was there already." in run("add", str(file), "--as", "anna").output
    assert added.startswith("Draft 1 is submitted")
    assert "version 2" in run("attach", "1", str(proof), "--as", "anna").output
    seen = json.loads(run("show", "1", "--json").output)
    assert seen["content"]["attachments"][0]["name"] == "receipt.pdf"
    short = seen["content_hash"][:8]
    for nobody in ("anna", "carl", "nobody"):
        with pytest.raises(Problem):
            run("approve", "1", "--hash", short, "--as", nobody)
    with pytest.raises(Problem, match="No version"):
        run("approve", "1", "--hash", "00", "--as", "berit")
    for _ in range(2):
        done = run("approve", "1", "--hash", short, "--as", "berit")
        assert done.output == "Draft 1 is posted as JNL/2026/1.\n"
    assert "approved by staff:berit" in run("show", "1").output
    listed = run("list", "--state", "posted").output
    assert "Bank charge" in listed


def test_a_rejected_draft_is_corrected_at_the_command_line(books: str, tmp_path: Path) -> None:
    """From the version that was read, with its receipt, in its own book; never over another's."""
    with transaction() as session:
        service.seed_book(session, "SE01", "Sydlys AB", "SEK")
        service.open_periods(session, "SE01", 2026)
        for name, role in (("anna", "accountant"), ("berit", "approver")):
            access.add_staff(
                session, name, [role], "calm and quiet desk", actor="test", now=datetime.now(UTC)
            )
    proof = tmp_path / "receipt.pdf"
    proof.write_bytes(PDF)
    run("add", "-", "--as", "anna", input=json.dumps({**ENTRY, "book": "SE01"}))
    run("attach", "1", str(proof), "--as", "anna")
    read = json.loads(run("show", "1", "--json").output)["content_hash"]
    run("reject", "1", "--hash", read, "--as", "berit", "--comment", "say which bank")
    better = json.dumps({**ENTRY, "text": "Charge of the bank"})
    done = run("change", "1", "-", "--hash", read, "--as", "anna", "--json", input=better)
    told = json.loads(done.output)
    assert (told["state"], told["version"], told["content"]["book"]) == ("submitted", 3, "SE01")
    assert told["content"]["text"] == "Charge of the bank"
    assert [file["name"] for file in told["content"]["attachments"]] == ["receipt.pdf"]
    with pytest.raises(DraftChanged):
        run("change", "1", "-", "--hash", read, "--as", "anna", input=json.dumps(ENTRY))
    wanted = told["content_hash"]
    assert "posted" in run("approve", "1", "--hash", wanted, "--as", "berit").output


def test_a_draft_at_the_command_line_is_read_as_strictly_as_over_rest(books: str) -> None:
    """Lines are in the currency of their book, and a name that is said twice is refused."""
    with transaction() as session:
        service.seed_book(session, "SE01", "Sydlys AB", "SEK")
        service.open_periods(session, "SE01", 2026)
        access.add_staff(session, "anna", ["accountant"], "calm and quiet desk", actor="test",
                         now=datetime.now(UTC))  # fmt: skip
    run("add", "-", "--as", "anna", input=json.dumps({**ENTRY, "book": "SE01"}))
    seen = json.loads(run("show", "1", "--json").output)["content"]
    assert {line["currency"] for line in seen["lines"]} == {"SEK"}
    twice = json.dumps(ENTRY).replace("{", '{"text": "Other", ', 1)
    with pytest.raises(Invalid, match="said twice"):
        run("add", "-", "--as", "anna", input=twice)
    with pytest.raises(MalformedEntry, match="must be an object"):
        run("add", "-", "--as", "anna", input="[]")


def test_a_command_acts_only_for_known_staff(books: str) -> None:
    """The name is looked up, so that one person is not two."""
    with pytest.raises(NotFound, match="nobody"):
        run("add", "-", "--as", "nobody", input=json.dumps(ENTRY))
    with transaction() as session:
        access.add_staff(
            session, "dag", ["accountant", "approver"], "calm and quiet desk", actor="test",
            now=datetime.now(UTC),
        )  # fmt: skip
    run("add", "-", "--as", "dag", input=json.dumps(ENTRY))
    wanted = json.loads(run("show", "1", "--json").output)["content_hash"]
    with pytest.raises(OwnDraft):
        run("approve", "1", "--hash", wanted, "--as", "dag")


def test_the_rules_are_listed_and_set_by_an_administrator(books: str) -> None:
    """From a day on, and only by who looks after access."""
    with transaction() as session:
        access.add_staff(
            session, "erna", ["administrator"], "calm and quiet desk", actor="test",
            now=datetime.now(UTC),
        )  # fmt: skip
    run("rule", "--from-amount", "1000.00", "--valid-from", "2999-01-01", "--as", "erna")
    assert run("rules").output.splitlines() == [
        "2999-01-01 manual     any account      from 1000.00  staff:erna",
        "2000-01-01 manual     any account      from 0.00  system:new-book",
    ]
