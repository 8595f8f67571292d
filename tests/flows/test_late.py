"""What comes late: usage after the bill, orders after the usage, prices after the rating."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from ledger import service as ledger
from ledger.db import transaction
from ledger.errors import Invalid
from ledger.vault import vault
from mediation import service as mediation
from mediation.charging import Month
from mediation.cli import files_under, ingest_paths, mediation_cli
from mediation.service.rating_run import rate_period
from mediation.service.reckoning import RatedInAnotherBook
from rating import service as rating
from reporting import service as reporting
from reporting.cli.billing import month_end, run_bills
from reporting.cli.month import month_cli
from reporting.seller import DEMO_SELLER
from reporting.service.invoices import billed_keys
from tests.flows.conftest import Finished
from tests.flows.home import MONTH

# What each thing used comes to, whichever bill it stands on.
USED = (
    "SELECT a.number, c.subscription_id, c.component, c.kind, c.charge_ref,"
    " sum(c.micro)::bigint, sum(c.events)::bigint, sum(c.quantity)::bigint"
    " FROM charge c JOIN billing_account a USING (billing_account_id)"
    " GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5"
)
BILLED = (
    "SELECT c.charge_key_id, c.micro, c.minor_net, c.minor_gross, c.events, c.quantity"
    " FROM charge c JOIN invoice_charge USING (charge_key_id) ORDER BY 1"
)
UNBILLED = (
    "SELECT coalesce(sum(minor_net), 0)::bigint FROM charge"
    " WHERE charge_key_id NOT IN (SELECT charge_key_id FROM invoice_charge)"
)


def _rows(statement: str) -> list[tuple[Any, ...]]:
    with transaction("auditor") as session:
        return [tuple(row) for row in session.execute(text(statement))]


def _open_books(files: Path) -> None:
    with transaction() as session:
        ledger.seed_book(session, "NO01")
        ledger.open_periods(session, "NO01", 2026)
        rating.load_tariff(session, (files / "tariff.toml").read_bytes())


def _rate() -> None:
    with transaction() as session:
        rate_period(session, vault(), Month("NO01", MONTH), lambda ids: billed_keys(session, ids))


def _bill(period: str) -> int:
    order = reporting.Order(
        book="NO01", period=period, invoice_date=month_end(period), seller=DEMO_SELLER,
        actor="test",
    )  # fmt: skip
    return run_bills(order).invoices


def _ties() -> None:
    """Prove the month from its sources; its documents were not rendered here."""
    told = CliRunner().invoke(month_cli, ["check", "--month", MONTH, "--json"])
    ties = json.loads(told.stdout)["ties"]
    broken = [tie for tie in ties if tie["difference"] not in {0, "0.00"}]
    assert [tie for tie in broken if tie["name"] != "documents"] == []


def _periods() -> dict[str, int]:
    """Count the charges of each bill's month."""
    return dict(_rows("SELECT billing_period, count(*) FROM charge GROUP BY 1"))


def test_late_usage_goes_to_the_first_bill_that_is_not_out(
    finished_books: Finished, request: pytest.FixtureRequest
) -> None:
    """Billed charges stay; each bill that is out pushes the rest one month on; nothing is lost."""
    one_go = _rows(USED)
    request.getfixturevalue("books")
    files = finished_books.files
    usage = files_under([files / "usage"])
    _open_books(files)
    ingest_paths(files_under([files / "orders"]))
    frozen: list[tuple[Any, ...]] = []
    for begin, bill in enumerate(("2026-03", "2026-04", "2026-05")):
        ingest_paths(usage[begin::3])
        _rate()
        assert _rows(BILLED) == frozen
        assert max(_periods()) == bill
        (unbilled,) = _rows(UNBILLED)[0]
        with transaction("auditor") as session:
            assert ledger.control_balance(session, "NO01", ["1530"]) == unbilled > 0
        _ties()
        assert _bill(bill) > 0
        _ties()
        assert _rows(UNBILLED) == [(0,)]
        assert _bill(bill) == 0
        frozen = _rows(BILLED)
    assert _rows(USED) == one_go
    batches = _rows("SELECT count(*) FROM posting_batch")
    _rate()
    assert _rows("SELECT count(*) FROM posting_batch") == batches


def test_usage_that_costs_nothing_is_charged_all_the_same(books: str, month_files: Path) -> None:
    """Late usage of no price moves no øre: nothing is posted, yet every event is on its charge."""
    assert books
    source = (month_files / "tariff.toml").read_text()
    free = re.sub(r'(price|setup_fee|minimum) = "[0-9.]+"', r'\1 = "0.00"', source).encode()
    with transaction() as session:
        ledger.seed_book(session, "NO01")
        ledger.open_periods(session, "NO01", 2026)
        rating.load_tariff(session, free)
    ingest_paths(files_under([month_files / "orders"]))
    usage = files_under([month_files / "usage"])
    for half in (usage[::2], usage[1::2]):
        ingest_paths(half)
        batches = _rows("SELECT count(*) FROM posting_batch")
        _rate()
        _ties()
    assert _rows("SELECT count(*) FROM posting_batch") == batches
    assert _rows("SELECT count(*) > 0 FROM charge_delta WHERE batch_id IS NULL") == [(True,)]


def test_orders_that_come_after_the_usage(
    finished_books: Finished, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Recycling gives the records to their subscribers, exactly once, as if they had been known."""
    one_go = _rows(USED)
    request.getfixturevalue("books")
    files = finished_books.files
    _open_books(files)
    ingest_paths(files_under([files / "usage"]))
    assert _rows("SELECT count(*) FROM file_usage") == [(0,)]
    ingest_paths(files_under([files / "orders"]))
    with pytest.raises(Invalid, match="author"), transaction() as session:
        mediation.recycle_suspense(session, vault(), " ", "late orders")
    tried = _recycle("--dry-run")
    assert tried["accepted"] > 1000
    assert tried["merged"] > 0
    assert _rows("SELECT count(*) FROM suspense_release") == [(0,)]
    assert _recycle() == {**tried, "dry_run": False}
    assert _recycle() == {
        "tried": tried["waiting"], "accepted": 0, "merged": 0, "waiting": tried["waiting"],
        "dry_run": False,
    }  # fmt: skip
    with transaction("auditor") as session:
        assert all(total.ties for total in mediation.control_totals(session))
        by_reason = {row[0]: row[1] for row in mediation.suspense_by_reason(session)}
    assert by_reason.get("UNKNOWN_SUBSCRIBER", 0) == tried["waiting"]
    assert _run_month(files, tmp_path).exit_code == 0
    found = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert found["totals"] == finished_books.home.summary["totals"]
    assert _rows(USED) == one_go


def _recycle(*words: str) -> dict[str, Any]:
    told = CliRunner().invoke(mediation_cli, ["recycle", "--author", "test", "--json", *words])
    assert told.exit_code == 0, told.output + str(told.exception)
    counts: dict[str, Any] = json.loads(told.output)
    return counts


def _run_month(files: Path, home: Path) -> Result:
    words = ["run", str(files), "--month", MONTH]
    return CliRunner().invoke(month_cli, words, obj=SimpleNamespace(home=home))


def test_usage_is_charged_in_one_book_only(books: str, month_files: Path) -> None:
    """A second book takes journals; rated into it as well, every customer would owe twice."""
    assert books
    _open_books(month_files)
    ingest_paths(files_under([month_files / "orders", month_files / "usage"]))
    _rate()
    charged = _rows("SELECT count(*), sum(micro)::bigint FROM charge_delta")
    with transaction() as session:
        ledger.seed_book(session, "NO02")
        ledger.open_periods(session, "NO02", 2026)
    with pytest.raises(RatedInAnotherBook, match="--book NO01"), transaction() as session:
        rate_period(session, vault(), Month("NO02", MONTH), lambda ids: billed_keys(session, ids))
    assert _rows("SELECT count(*), sum(micro)::bigint FROM charge_delta") == charged
    assert _rows("SELECT count(*) FROM rating_run") == [(1,)]


def test_a_recycled_record_can_be_traced(books: str, month_files: Path) -> None:
    """A part of a call says into which record it went; its first part carries the usage."""
    assert books
    _open_books(month_files)
    ingest_paths(files_under([month_files / "usage"]))
    ingest_paths(files_under([month_files / "orders"]))
    _recycle()
    file_id, record_no, into_file, into_record = _rows(
        "SELECT file_id, record_no, into_file_id, into_record_no FROM suspense_release"
        " JOIN suspense USING (suspense_id) WHERE bucket = 'merged' ORDER BY 1, 2 LIMIT 1"
    )[0]
    with transaction("auditor") as session:
        part = mediation.record_location(session, vault(), file_id, record_no)
        whole = mediation.record_location(session, vault(), into_file, into_record)
    assert (part.bucket, part.of_file, part.of_record) == ("merged", into_file, into_record)
    assert (whole.bucket, whole.reason) == ("accepted", "")
    assert part.usage == whole.usage
    assert whole.usage


def test_a_newer_tariff_releases_what_had_no_price(books: str, month_files: Path) -> None:
    """Priced usage leaves suspense; a tariff that drops the price again suspends it once more."""
    assert books
    source = (month_files / "tariff.toml").read_text()
    _open_books(month_files)
    ingest_paths(files_under([month_files / "orders", month_files / "usage"]))
    _rate()
    (before,) = _rows("SELECT count(*) FROM suspense WHERE reason = 'NO_RATE'")[0]
    assert before > 0
    used = f"coalesce(to_char(used_on, 'YYYY-MM'), '') = '{MONTH}'"
    assert _rows(f"SELECT count(*) FROM suspense WHERE reason = 'NO_RATE' AND {used}") == [
        (before,)
    ]
    _bill(MONTH)
    frozen = _rows(BILLED)
    for version, first_day, prefix in ((2, "2026-02-01", '"1", "30"'), (3, "2026-02-02", '"30"')):
        newer = source.replace("version = 1", f"version = {version}", 1)
        newer = newer.replace("2026-01-01", first_day, 1).replace('"30"', prefix, 1)
        with transaction() as session:
            rating.load_tariff(session, newer.encode())
        _rate()
        with transaction("auditor") as session:
            waiting = {row[0]: row[1] for row in mediation.suspense_by_reason(session)}
            assert all(total.ties for total in mediation.control_totals(session))
        assert waiting.get("NO_RATE", 0) == (0 if version == 2 else before)
        assert _rows(BILLED) == frozen
        _ties()
    assert _rows("SELECT max(turn) FROM suspense") == [(2,)]


def test_no_bill_slips_between_asking_and_adding(books: str, month_files: Path) -> None:
    """A bill run that begins while rating decides waits for it; no billed charge gets more."""
    assert books
    _open_books(month_files)
    ingest_paths(files_under([month_files / "orders"]))
    usage = files_under([month_files / "usage"])
    ingest_paths(usage[:10])
    _rate()
    ingest_paths(usage[10:])
    biller = threading.Thread(target=_bill, args=(MONTH,))

    with transaction() as session:

        def ask(ids: Any) -> set[int]:
            answer = billed_keys(session, ids)
            biller.start()
            biller.join(1.0)
            return answer

        rate_period(session, vault(), Month("NO01", MONTH), ask)
    biller.join(30)
    assert _rows(
        "SELECT count(*) FROM charge c JOIN invoice_charge i USING (charge_key_id)"
        " WHERE c.minor_net <> i.net_minor"
    ) == [(0,)]
    assert _rows(UNBILLED) == [(0,)]
    _ties()
