"""Provocations of the error gallery over REST, and of what the books keep about themselves."""

from __future__ import annotations

import json
from contextlib import ExitStack
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger import service
from ledger.access import SCOPES
from ledger.anchoring import read_anchor
from ledger.db import transaction
from ledger.errors import Problem
from ledger.journal import Voucher
from ledger.proof import check_proof
from ledger.seals import key_fingerprint
from ledger.service import access, chart, registers
from ledger.service.answers import Request, begin
from ledger.service.books import PostingRuleView
from ledger.service.refused import translated
from ledger.vault import Vault
from ledger.web.tabled import TABLES_AT_ONCE, table_place
from mediation.formats import ocr_giro
from reporting.aging import check_ties
from tests.ledger.conftest import MARCH, Drafts
from tests.mediation.bank_files import PAYMENT, lines_of, octets_of, transmission
from tests.reporting.provocations import Provoke, provokes
from tests.reporting.test_desk import make_app

drafts = Drafts()
ENTRIES, BATCHES = "/api/v1/entries", "/api/v1/posting-batches"
KEY = {"Idempotency-Key": "k"}


def _raise(answer: Any) -> object:
    """Raise what a request was answered with, as the class of its type."""
    code = answer.json["type"].removeprefix("/problems/")
    made = type("".join(part.capitalize() for part in code.split("-")), (Problem,), {})
    raise made(answer.json["detail"])


def _client(session: Session) -> FlaskClient:
    """A program that may do everything, in the books as they were seeded."""
    session.commit()
    with transaction() as opened:
        token = access.add_client(opened, "trial", list(SCOPES), actor="x", now=datetime.now(UTC))
    client = make_app().test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


def _entry(**changes: Any) -> dict[str, Any]:
    lines = [{"account": "7830", "amount": "5.00"}, {"account": "1920", "amount": "-5.00"}]
    day = {"effective_date": "2026-03-31", "document_date": "2026-03-31"}
    return {**day, "text": "Loss", "lines": lines, **changes}


def _asked(code: str, method: str, address: str, **more: Any) -> None:
    """Enter a single request as the way to provoke a problem."""

    @provokes(code)
    def _provoke(session: Session) -> object:
        return _raise(_client(session).open(address, method=method, headers=KEY, **more))


_asked("schema-mismatch", "GET", "/api/v1/trial-balance?as_of=2026-03-31")
_asked("json-unreadable", "POST", ENTRIES, data=b"[", content_type="application/json")
_asked(
    "body-cut-off", "POST", BATCHES, data=b'{"text":\n', content_type="application/x-ndjson",
    environ_overrides={"CONTENT_LENGTH": "200"},
)  # fmt: skip
_asked("unsupported-media-type", "POST", ENTRIES, data=b"<entry/>", content_type="text/xml")
_asked("method-not-allowed", "DELETE", f"{ENTRIES}/1")
_asked("value-out-of-range", "GET", f"{ENTRIES}?text=%00")
_asked("if-match-missing", "PATCH", "/api/v1/accounts/7830", json={"name": "x", "reason": "x"})
_asked(
    "amount-not-a-string", "POST", ENTRIES,
    json=_entry(lines=[{"account": "7830", "amount": 10}, {"account": "1920", "amount": "-10"}]),
)  # fmt: skip
_asked(
    "number-too-large", "POST", ENTRIES,
    json=_entry(lines=[{"account": "7830", "amount": "9" * 19},
                       {"account": "1920", "amount": "-1.00"}]),
)  # fmt: skip
_asked("text-holds-control", "POST", ENTRIES, json=_entry(text="\x1b[8mLoss"))
_asked("text-holds-nul", "POST", ENTRIES, json=_entry(text="Loss\0"))
_asked(
    "text-too-long", "POST", ENTRIES,
    json=_entry(lines=[{"account": "7" * 301, "amount": "10.00"},
                       {"account": "1920", "amount": "-10.00"}]),
)  # fmt: skip
_asked("not-utf8", "POST", ENTRIES, data=b'{"text": "\xe6"}', content_type="application/json")
_asked(
    "entry-too-long", "POST", ENTRIES,
    json=_entry(lines=[{"account": "7830", "amount": "1.00"}] * 10_001),
)  # fmt: skip
_asked(
    "entries-refused", "POST", BATCHES,
    json={"entries": [{"effective_date": "2026-03-31", "text": "Loss", "lines": []}]},
)  # fmt: skip
_asked(
    "totals-undeclared", "POST", BATCHES, content_type="application/x-ndjson",
    data=b"".join(
        json.dumps(
            {"effective_date": "2026-03-31", "text": "Loss", "lines": _entry()["lines"]}
        ).encode() + b"\n" for _ in range(501)
    ),
)  # fmt: skip


@provokes("tables-busy")
def _tables_busy(session: Session) -> object:
    client = _client(session)
    with ExitStack() as taken:
        for _ in range(TABLES_AT_ONCE):
            taken.enter_context(table_place())
        return _raise(client.get("/api/v1/trial-balance", headers={"Accept": "text/csv"}))


@provokes("unauthorised")
def _unauthorised(_session: Session) -> object:
    return _raise(make_app().test_client().get("/api/v1/balances"))


@provokes("address-unclear")
def _address_unclear(session: Session) -> object:
    return _raise(_client(session).get("/trial-balance?acount=1500"))


@provokes("csrf-token-missing")
def _csrf_token_missing(_session: Session) -> object:
    typed = {"username": "kari", "password": "x"}
    json_wanted = {"Accept": "application/json"}
    return _raise(make_app().test_client().post("/login", data=typed, headers=json_wanted))


@provokes("state-changed")
def _state_changed(session: Session) -> object:
    wanted = {"name": "Losses", "reason": "as we call them"}
    return _raise(_client(session).patch(
        "/api/v1/accounts/7830", json=wanted, headers={"If-Match": '"0"'}))  # fmt: skip


@provokes("idempotency-key-reused")
def _idempotency_key_reused(session: Session) -> object:
    client = _client(session)
    client.post(ENTRIES, json=_entry(), headers=KEY)
    return _raise(client.post(ENTRIES, json=_entry(text="Another"), headers=KEY))


@provokes("conflict")
def _conflict(session: Session) -> object:
    for _ in range(2):
        access.add_client(session, "trial", ["ledger:read"], actor="x", now=datetime.now(UTC))
    return None


@provokes("vat-code-in-use")
def _vat_code_in_use(session: Session) -> object:
    service.post_batch(session, drafts.batch("b-1", drafts.invoice("i-1")))
    return registers.end_vat_code(
        session, "NO01", "3", date(2026, 3, 30), actor="x", reason="new rate"
    )


@provokes("posting-rule-taken")
def _posting_rule_taken(session: Session) -> object:
    rule = PostingRuleView("invoice", "receivable", "barter", "1500", date(2026, 5, 1))
    for _ in range(2):
        registers.add_posting_rule(session, "NO01", rule, actor="x", reason="barter")
    return None


@provokes("number-not-missing")
def _number_not_missing(session: Session) -> object:
    service.post_batch(session, drafts.batch("b-1", drafts.invoice("i-1")))
    lost = Voucher("SAL", 2026, 1)
    return registers.explain_gap(session, "NO01", lost, actor="x", reason="printer test")


@provokes("account-closed")
def _account_closed(session: Session) -> object:
    chart.close_account(session, "NO01", "7830", date(2026, 3, 30), actor="x", reason="x")
    loss = drafts.journal("j-1", ("7830", 5_00), ("1920", -5_00))
    return service.post_batch(session, drafts.batch("b-1", loss))


def _told_the_database(code: str, statement: str, **given: object) -> Provoke:
    @provokes(code)
    def _provoke(session: Session) -> object:
        with translated():
            return session.execute(text(statement), given)

    return _provoke


_told_the_database("unknown-sealing-key", "SELECT ledger_register_key('0000', :key)", key=b"k" * 32)
_told_the_database(
    "unknown-block", "SELECT ledger_record_anchor(7, :hash, 'post', 'receipt')", hash=b"0" * 32
)


PUBLIC_KEY = b"k" * 32
_REGISTER = "SELECT ledger_register_key(:name, :key)"
_SEAL = "SELECT ledger_seal_block(CAST(:block AS jsonb), CAST(:batches AS bigint[]), '{}', '[]')"


def _seal(code: str, batches: str, **block: object) -> None:
    """Seal what is not as the block says: no sealer of ours does."""

    @provokes(code)
    def _provoke(session: Session) -> object:
        name = key_fingerprint(PUBLIC_KEY)
        session.execute(text(_REGISTER), {"name": name, "key": PUBLIC_KEY})
        told = {"first_position": 1, "prev_hash": "\\x" + "00" * 32, "key_id": name, **block}
        with translated():
            return session.execute(text(_SEAL), {"block": json.dumps(told), "batches": batches})


_seal("seal-out-of-step", "{}", block_no=2)
_seal("batch-not-sealable", "{999}", block_no=1)
_seal(
    "seal-broken", "{}", block_no=1, batch_count=0, entry_count=1, line_count=2,
    debit_totals={"NOK": "100"},
)  # fmt: skip
_told_the_database(
    "stage-refused", "SELECT ledger_post_staged('NO01', 'x', 'x', 'x', :hash, 1, 2, '{}')",
    hash=b"0" * 32,
)  # fmt: skip


@provokes("request-in-progress")
def _request_in_progress(session: Session) -> object:
    asked = Request("client:trial", "k", "POST /api/v1/posting-batches?", b"0" * 32)
    session.commit()
    with transaction() as opened:
        begin(opened, asked)
    with transaction() as opened:
        return begin(opened, asked)


@provokes("anchor-invalid")
def _anchor_invalid(_session: Session) -> object:
    return read_anchor(b"{}", "block-1.json")


@provokes("vault-corrupt")
def _vault_corrupt(_session: Session) -> object:
    with TemporaryDirectory() as folder:
        store = Vault(folder)
        kept = store.put(b"a receipt", "traffic")
        for path in Path(folder).rglob(kept.sha256):
            path.chmod(0o600)
            path.write_bytes(b"another")
        return store.get(kept.sha256)


@provokes("service-not-read")
def _service_not_read(_session: Session) -> object:
    lines = lines_of(transmission([PAYMENT]))
    lines[1] = lines[1].replace("NY09", "NY21")
    return ocr_giro.read(octets_of(lines), "AvtaleGiro.txt")


@provokes("facts-are-immutable")
def _facts_are_immutable(session: Session) -> object:
    session.commit()
    with transaction("owner") as opened, translated():
        return opened.execute(text("DELETE FROM vat_code"))


@provokes("does-not-tie")
def _does_not_tie(_session: Session) -> object:
    return check_ties({"1500": 100}, {"1500": 101}, MARCH)


@provokes("proof-invalid")
def _proof_invalid(_session: Session) -> object:
    return check_proof(b"{}", b"k" * 32)
