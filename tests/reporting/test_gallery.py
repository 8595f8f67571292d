"""The error gallery: every example on docs/errors.md is provoked here, and says what is written.

Examples with a command are run as that command; the others have a function below, under their code.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from flask import Flask
from sqlalchemy.orm import Session

import app
import tests.reporting.provocations_of_people
import tests.reporting.provocations_of_requests
import tests.reporting.provocations_of_rows  # noqa: F401 - they enter themselves
from ledger import service
from ledger.db import transaction
from ledger.errors import Problem
from ledger.exchange import parse_rate
from ledger.intake import Fault
from ledger.intake.bodies import read_envelope
from ledger.intake.ndjson import read_record
from ledger.intake.records import RecordMalformed
from ledger.journal import AllocationDraft, BatchDraft, Declared, EntryDraft, Posted, Voucher
from ledger.service import (
    assertions,
    chart,
    dimensions,
    proofs,
    rates,
    webhooks,
)
from ledger.service.assertions import Assertion
from ledger.service.dimensions import DimensionRule
from ledger.service.journal_list import JournalFilter, list_entries
from ledger.service.rates import Rate
from ledger.service.requests import request_state
from ledger.web.tabled import TablePage, whole
from ledger.webhooks import check_address
from rating import service as rating
from rating.dated import Dated
from rating.rounding import by_magnitude
from rating.tiers import PeriodPrice, Tier, price_quantities
from reporting.cli.docs import read_gallery
from reporting.invoicing import build
from tests.conftest import register_dimensions
from tests.flows.transcript import fits
from tests.ledger.conftest import APRIL, MARCH, Drafts
from tests.mediation.bank_files import PAYMENT, lines_of, octets_of, transmission
from tests.reporting.bills import CONSUMER, charge
from tests.reporting.bills import MARCH as TERMS
from tests.reporting.provocations import PROVOKED, provokes
from tests.reporting.refused_closings import REFUSED_CLOSINGS
from tests.reporting.refused_postings import REFUSED_POSTINGS
from tests.reporting.tariff_refusals import TARIFF, TARIFF_REFUSALS

GALLERY = read_gallery()
SAMPLES = Path(__file__).resolve().parents[1] / "mediation" / "samples"

PROVOKED.update({**REFUSED_CLOSINGS, **REFUSED_POSTINGS, **TARIFF_REFUSALS})
drafts = Drafts()
GL = {"module": "GL", "actor": "tester"}


def _lay_out(folder: Path) -> None:
    """Make the files that the commands of the gallery name."""
    (folder / "empty.ber").write_bytes(b"")
    (folder / "nothing.ndjson").write_bytes(b"")
    (folder / "notes.txt").write_text("Not a file of the trade.\n")
    whole = (SAMPLES / "OSLPGW1_-_101.20260329_-_1315+0200").read_bytes()
    (folder / "OSLPGW1_-_101.20260329_-_1315+0200").write_bytes(whole[:-100])
    (folder / "report.txt").write_text("|".join(["Account", "ICCID", *"C" * 38]) + "\n")
    ocr = lines_of(transmission([PAYMENT]))
    ocr[-1] = ocr[-1].replace("12500", "12501")
    (folder / "OCR.txt").write_bytes(octets_of(ocr))
    (folder / "tariff.toml").write_text(TARIFF)
    (folder / "dearer.toml").write_text(TARIFF.replace("299.00", "399.00"))
    (folder / "odd.toml").write_text(TARIFF.replace("gross", "both"))
    (folder / "old.md").write_text("# Not the page\n")


@pytest.mark.parametrize("code", [code for code, shown in GALLERY.items() if shown.command])
def test_commands_of_the_gallery_are_refused_as_written(
    code: str, db: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command ends with status 1 and says the sentence of the page."""
    monkeypatch.chdir(home)
    monkeypatch.setattr(app, "settings", lambda: None)
    _lay_out(home)
    with transaction() as session:
        service.seed_book(session, "NO01")
        register_dimensions(session, "NO01")
        if code == "tariff-version-taken":
            rating.load_tariff(session, TARIFF.encode())
        if code == "username-taken":
            told = ["access", "staff", "add", "night-desk", "--role", "auditor"]
            CliRunner().invoke(app.cli, [*told, "--password", "twelve-letters"])
    shown = GALLERY[code]
    program, *words = shlex.split(shown.command)
    assert program == "hovedbok"
    done = CliRunner().invoke(app.cli, words)
    if isinstance(done.exception, Problem):
        assert done.exception.code() == code
        said = str(done.exception)
    else:  # A file is set aside with the same name and sentence; parked ones need no haste.
        assert done.exit_code == (0 if ": parked, " in done.stdout else 1), done.output
        reason = re.escape(code.replace("-", "_"))
        told = re.search(rf" {reason}: (.*)", done.stdout, re.IGNORECASE)
        assert told, done.output
        said = told[1]
    assert fits(shown.sentence, said), said


@pytest.mark.parametrize("code", [code for code, shown in GALLERY.items() if not shown.command])
def test_calls_of_the_gallery_are_refused_as_written(code: str, session: Session) -> None:
    """The service, or the rule beneath it, says the sentence of the page."""
    service.seed_book(session, "NO01")
    register_dimensions(session, "NO01")
    service.open_periods(session, "NO01", 2026)
    with pytest.raises(Problem) as caught:
        PROVOKED[code](session)
    assert caught.value.code() == code
    assert fits(GALLERY[code].sentence, str(caught.value)), str(caught.value)
    assert GALLERY[code].when


def test_the_gallery_is_whole() -> None:
    """What can be provoked is on the page, and there is something to see."""
    assert set(PROVOKED) == {code for code, shown in GALLERY.items() if not shown.command}
    assert len(GALLERY) >= 30


def _post(session: Session, entry: EntryDraft, ref: str = "b-1") -> Posted:
    return service.post_batch(session, drafts.batch(ref, entry))


def _line(entry: EntryDraft, number: int, **changed: object) -> EntryDraft:
    lines = list(entry.lines)
    lines[number - 1] = replace(lines[number - 1], **changed)  # type: ignore[arg-type]
    return replace(entry, lines=tuple(lines))


@provokes("record-malformed")
def _record_malformed(_session: Session) -> object:
    """A record of a file is a value, not an exception: the file goes on."""
    found = read_record(b"not JSON", 1)
    assert isinstance(found, Fault)
    assert found.code == "record-malformed"
    raise RecordMalformed(found.sentence)


@provokes("unknown-webhook")
def _unknown_webhook(session: Session) -> object:
    return webhooks.webhook(session, 17, "client:trial")


@provokes("webhook-address-refused")
def _webhook_address_refused(_session: Session) -> object:
    return check_address("http://example.org/")


@provokes("not-sealed-yet")
def _not_sealed_yet(session: Session) -> object:
    _post(session, drafts.invoice("i-1"))
    return proofs.voucher_proof(session, "NO01", Voucher("SAL", 2026, 1))


@provokes("account-taken")
def _account_taken(session: Session) -> object:
    known = chart.account(session, "NO01", "1920")
    return chart.open_account(session, "NO01", known, actor="tester")


@provokes("account-in-use")
def _account_in_use(session: Session) -> object:
    _post(session, drafts.journal("j", ("7830", 5_00), ("1920", -5_00)))
    return chart.close_account(session, "NO01", "1920", APRIL, actor="tester", reason="x")


@provokes("dimension-refused")
def _dimension_refused(session: Session) -> object:
    dimensions.add_dimension(session, "NO01", "product", "Product", actor="x")
    rule = DimensionRule("product", "30", "required", MARCH)
    dimensions.set_dimension_rule(session, "NO01", rule, actor="tester")
    return _post(session, drafts.journal("j", ("1920", 5_00), ("3000", -5_00)))


@provokes("rate-fixed")
def _rate_fixed(session: Session) -> object:
    for rate in ("11.5", "11.6"):
        made = Rate("EUR", MARCH, parse_rate(rate), "bank")
        rates.set_rate(session, "NOK", made, actor="tester")
    return None


@provokes("assertion-differs")
def _assertion_differs(session: Session) -> object:
    for amount in (5_00, 6_00):
        said = Assertion("1920", "NOK", MARCH, amount, "bank")
        assertions.assert_balance(session, "NO01", said, actor="tester")
    return None


@provokes("unknown-posting-request")
def _unknown_posting_request(session: Session) -> object:
    return request_state(session, 17, "client:trial")


@provokes("posting-request-malformed")
def _posting_request_malformed(_session: Session) -> object:
    return read_envelope(b"{}")


@provokes("request-too-large")
def _request_too_large(_session: Session) -> object:
    return read_envelope(b'{"entries": [' + b",".join([b"{}"] * 5_001) + b"]}")


@provokes("entry-not-balanced")
def _entry_not_balanced(session: Session) -> object:
    return _post(session, drafts.journal("j-1", ("1921", 100_00), ("3000", -99_00)))


@provokes("malformed-entry")
def _malformed_entry(session: Session) -> object:
    return _post(session, drafts.journal("j-1", ("1921", 0), ("3000", 0)))


@provokes("party-required")
def _party_required(session: Session) -> object:
    return _post(session, _line(drafts.invoice("i-1"), 1, party_id=None))


@provokes("open-item-mismatch")
def _open_item_mismatch(session: Session) -> object:
    return _post(session, _line(drafts.invoice("i-1"), 1, item=None))


@provokes("unknown-vat-code")
def _unknown_vat_code(session: Session) -> object:
    return _post(session, _line(drafts.invoice("i-1"), 3, vat_code="99"))


@provokes("unknown-currency")
def _unknown_currency(session: Session) -> object:
    entry = drafts.journal("j-1", ("1921", 100_00), ("3000", -100_00))
    lines = tuple(replace(line, currency="QQQ") for line in entry.lines)
    return _post(session, replace(entry, lines=lines))


@provokes("unknown-series")
def _unknown_series(session: Session) -> object:
    entry = drafts.journal("j-1", ("1921", 100_00), ("3000", -100_00))
    return _post(session, replace(entry, series="ABC"))


@provokes("unknown-period")
def _unknown_period(session: Session) -> object:
    lines = ("1921", 100_00), ("3000", -100_00)
    return _post(session, drafts.journal("j-1", *lines, day=date(2031, 1, 1)))


@provokes("period-closed")
def _period_closed(session: Session) -> object:
    service.lock_period(session, "NO01", "2026-03", level="soft", reason="closing", **GL)
    return _post(session, drafts.journal("j-1", ("1921", 100_00), ("3000", -100_00)))


@provokes("period-locked-for-good")
def _period_locked_for_good(session: Session) -> object:
    service.lock_period(session, "NO01", "2026-03", level="hard", reason="audited", **GL)
    return service.lock_period(session, "NO01", "2026-03", level="open", reason="again", **GL)


@provokes("lock-refused")
def _lock_refused(session: Session) -> object:
    until = datetime(2099, 1, 1, tzinfo=UTC)
    return service.reopen_period(session, "NO01", "2026-03", reason="late", until=until, **GL)


@provokes("not-soft-closed")
def _not_soft_closed(session: Session) -> object:
    return service.grant_exception(
        session, "NO01", "2026-03", module="GL", actor="staff:anna", reason="late bill",
        granted_by="staff:per", expires_at=datetime(2099, 1, 1, tzinfo=UTC),
    )  # fmt: skip


def _reversed(session: Session, amount: int = 100_00, day: date = MARCH) -> object:
    """Post a journal of 100.00 and reverse it with an amount and on a day; reverse that again."""
    posted = _post(session, drafts.journal("j-1", ("1921", 100_00), ("3000", -100_00)))
    undone = drafts.journal("r-1", ("1921", -amount), ("3000", amount), day=day)
    undone = replace(undone, entry_type="reversal", reverses_entry_id=posted.entry_ids[0])
    back = service.post_batch(session, drafts.batch("b-r", undone))
    return service.reverse_entry(session, back.entry_ids[0], reason="again", actor="tester")


@provokes("not-a-mirror")
def _not_a_mirror(session: Session) -> object:
    return _reversed(session, amount=90_00)


@provokes("reversal-too-early")
def _reversal_too_early(session: Session) -> object:
    return _reversed(session, day=date(2026, 3, 30))


@provokes("reversal-is-final")
def _reversal_is_final(session: Session) -> object:
    return _reversed(session)


@provokes("item-in-use")
def _item_in_use(session: Session) -> object:
    _allocate(session, 50_00)
    (payment,) = list_entries(session, "NO01", JournalFilter(reference="p-1")).rows
    return service.reverse_entry(session, payment.entry_id, reason="bounced", actor="tester")


def _undone(session: Session, allocation_id: int, day: date = APRIL) -> object:
    return service.undo_allocation(
        session, allocation_id, effective_date=day, reason="wrong invoice", actor="tester"
    )


@provokes("unknown-allocation")
def _unknown_allocation(session: Session) -> object:
    return _undone(session, 17)


@provokes("allocation-undone")
def _allocation_undone(session: Session) -> object:
    allocation_id = _allocate(session, 50_00).batch_id << 20
    _undone(session, allocation_id)
    return _undone(session, allocation_id)


@provokes("undo-refused")
def _undo_refused(session: Session) -> object:
    return _undone(session, _allocate(session, 50_00).batch_id << 20, day=MARCH)


@provokes("source-ref-reused")
def _source_ref_reused(session: Session) -> object:
    _post(session, drafts.invoice("i-1"))
    return _post(session, drafts.invoice("i-2"))


@provokes("totals-differ")
def _totals_differ(session: Session) -> object:
    entry = drafts.journal("j-1", ("1921", 100_00), ("3000", -100_00))
    declared = Declared(2, 4, {"NOK": 200_00})
    return service.post_batch(session, drafts.batch("b-1", entry, declared=declared))


@provokes("approved-by-creator")
def _approved_by_creator(session: Session) -> object:
    return service.post_batch(
        session, drafts.batch("b-1", drafts.invoice("i-1"), approved_by="tester")
    )


@provokes("entry-ref-reused")
def _entry_ref_reused(session: Session) -> object:
    _post(session, drafts.invoice("i-1"))
    return _post(session, drafts.invoice("i-1"), "b-2")


@provokes("already-reversed")
def _already_reversed(session: Session) -> object:
    posted = service.post_batch(session, drafts.batch("b-1", drafts.journal(
        "j-1", ("1921", 100_00), ("3000", -100_00))))  # fmt: skip
    for ref in ("r-1", "r-2"):
        undone = drafts.journal(ref, ("1921", -100_00), ("3000", 100_00))
        undone = replace(undone, entry_type="reversal", reverses_entry_id=posted.entry_ids[0])
        service.post_batch(session, drafts.batch(ref, undone))
    return None


def _allocate(session: Session, amount: int, debit: int | None = None) -> Posted:
    """Allocate an amount of a payment of 50.00 to an invoice of 125.00."""
    posted = service.post_batch(
        session, drafts.batch("b-1", drafts.invoice("i-1"), drafts.payment("p-1", 50_00))
    )
    claim, money = posted.open_item_ids[0, 1], posted.open_item_ids[1, 2]
    use = AllocationDraft(money, debit or claim, amount, APRIL, "by hand")
    return service.allocate(session, BatchDraft("NO01", "test", "a-1", "tester", (), (use,)))


@provokes("over-allocated")
def _over_allocated(session: Session) -> object:
    return _allocate(session, 50_01)


@provokes("unknown-open-item")
def _unknown_open_item(session: Session) -> object:
    return _allocate(session, 50_00, debit=77)


@provokes("allocation-mismatch")
def _allocation_mismatch(session: Session) -> object:
    business = _line(drafts.invoice("i-9"), 1, account="1505")
    posted = service.post_batch(session, drafts.batch("b-9", business))
    return _allocate(session, 50_00, debit=posted.open_item_ids[0, 1])


@provokes("not-yet-known")
def _not_yet_known(session: Session) -> object:
    return service.resolve_known(session, 5)


@provokes("no-posting-rule")
def _no_posting_rule(session: Session) -> object:
    return service.posting_account(session, "NO01", "invoice", "receivable", "barter", MARCH)


@provokes("manual-posting-refused")
def _manual_posting_refused(session: Session) -> object:
    return _post(session, drafts.journal("j-1", ("1530", 1_00), ("3000", -1_00)))


@provokes("mixed-price-basis")
def _mixed_price_basis(_session: Session) -> object:
    return build([charge(1, 100, "gross"), charge(2, 100, "net")], CONSUMER, TERMS, 1)


@provokes("overflow")
def _overflow(session: Session) -> object:
    return by_magnitude(lambda quantity: quantity * 4, np.array([2**62]), safe=2**60)


@provokes("figure-not-dated")
def _figure_not_dated(_session: Session) -> object:
    caps = Dated.of("wholesale cap on roaming data", [(date(2022, 1, 1), 20_000_000)])
    return caps.on(date(2021, 12, 31))


@provokes("table-too-large")
def _table_too_large(_session: Session) -> object:
    page = TablePage(range(1000), "on")
    with Flask("trial").test_request_context(headers={"Accept": "text/csv"}):
        return whole(lambda _after, _limit: page, None, 100)


@provokes("cursor-invalid")
def _other_list(session: Session) -> object:
    return service.account_statement(session, "NO01", "1500", after="of-another-list")


@provokes("statement-moved")
def _posted_before(session: Session) -> object:
    service.post_batch(
        session, drafts.batch("b-1", drafts.payment("p-1", 1), drafts.payment("p-2", 2))
    )
    cursor = service.account_statement(session, "NO01", "1500", limit=1).next_cursor
    service.post_batch(session, drafts.batch("b-2", drafts.invoice("i-1")))
    return service.account_statement(session, "NO01", "1500", after=cursor)


@provokes("beyond-last-tier")
def _beyond_last_tier(session: Session) -> object:
    return price_quantities(PeriodPrice((Tier(up_to=10, unit_price=1),)), np.array([11]))
