"""Prices that change after the month was rated and billed: repeated, compared, booked once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ledger import service as ledger
from ledger.db import transaction
from ledger.db.server import PrivateServer
from ledger.errors import DoesNotTie, Invalid, NotFound
from ledger.service import access
from ledger.vault import vault
from mediation.charging import Month
from mediation.cli import files_under, ingest_paths
from mediation.service.rerating import Rerated, rerate_period
from party import service as party
from rating import parse_tariff
from rating import service as rating
from rating.service import months
from reporting.cli.rating import rerate_command, run_command
from reporting.service.invoices import billed_keys
from tests.flows.home import ROOT
from tests.flows.test_closed import _close, _late, _of_month, _unbilled_ties
from tests.flows.test_late import BILLED, MONTH, _bill, _open_books, _rate, _rows, _ties
from tests.flows.test_pools import ALL_MONTH, OFFERING, TARIFF, _line, _take
from tests.reporting.test_desk import make_app

BATCHES = "SELECT count(*) FROM posting_batch"
RECORDED = (BATCHES, "SELECT count(*) FROM rating_run", "SELECT count(*) FROM charge_delta")
LINES = (
    "SELECT l.text, l.amount_minor FROM invoice_line l JOIN invoice i USING (invoice_id)"
    " WHERE i.period_start = '2026-04-01'"
)


def _load(source: str, version: int, *changes: tuple[str, str]) -> None:
    """Load a newer version of a tariff, from a day of its own before the month."""
    newer = source.replace("version = 1", f"version = {version}", 1)
    newer = newer.replace("2026-01-01", f"2026-02-{version:02}", 1)
    for old, new in changes:
        assert old in newer
        newer = newer.replace(old, new)
    with transaction() as session:
        rating.load_tariff(session, newer.encode())


def _rerate(tariff: str | None = None, **words: Any) -> Rerated:
    with transaction() as session:
        return rerate_period(
            session, vault(), Month("NO01", MONTH), lambda ids: billed_keys(session, ids),
            actor="tester", reason="the price list was wrong", tariff=tariff, **words,
        )  # fmt: skip


def _counts() -> list[Any]:
    return [_rows(statement) for statement in RECORDED]


@pytest.fixture
def billed(books: str, month_files: Path) -> str:
    """A month that was rated and billed with version 1; gives the source of its tariff."""
    assert books
    _open_books(month_files)
    ingest_paths(files_under([month_files / "orders", month_files / "usage"]))
    _rate()
    assert _bill(MONTH) > 0
    return (month_files / "tariff.toml").read_text()


def test_a_retroactive_price_comes_on_the_next_bill(billed: str) -> None:
    """Dearer calls are charged and labelled in April; the bills of March stay; once is enough."""
    frozen, march = _rows(BILLED), _of_month(MONTH)
    _close(MONTH)
    _load(billed, 2, ('price = "0.79"', 'price = "0.89"'))
    before = _counts()
    tried = _rerate(dry_run=True)
    assert (tried.outcome, _counts()) == (None, before)
    done = _rerate()
    assert done.changes == tried.changes != ()
    assert (done.tariff_before, done.tariff_after) == (
        tried.tariff_before, done.tariff_before.replace("/1", "/2"),
    )  # fmt: skip
    assert 0 < done.events_changed <= done.rated_again
    assert {one.billing_period for one in done.changes} == {"2026-04"}
    assert done.difference_minor == sum(one.difference_minor for one in done.changes) > 0
    assert _rows(BILLED) == frozen
    assert _of_month(MONTH) == march
    assert set(_of_month("2026-04")) == {"service_period=2026-03"}
    assert _late(MONTH) == [("2026-04-01", "GL", "moved")]
    (entry,) = _rows("SELECT text, document_ref FROM journal_entry ORDER BY entry_id DESC LIMIT 1")
    assert entry == (
        "Rated again: difference for 2026-03, not yet billed, in 2026-04",
        "USG/2026/1",
    )
    _unbilled_ties()
    assert _rerate().changes == ()
    _rate()
    assert _rows(BATCHES) == [(before[0][0][0] + 1,)]
    assert _bill("2026-04") > 0
    lines = _rows(LINES)
    assert sum(amount for _, amount in lines) == done.difference_minor
    assert all(text.endswith(", rettet pris, mars 2026") for text, _ in lines)
    _ties()


def test_a_lower_price_is_credited_beside_later_usage(billed: str) -> None:
    """The month keeps the tariff it was rated again with, also when a later version is loaded."""
    _load(billed, 2, ('price = "0.79"', 'price = "0.59"'))
    label = f"{parse_tariff(billed.encode()).tariff.name}/2"
    _load(billed, 3, ('price = "0.79"', 'price = "9.99"'))
    done = _rerate(label)
    assert done.tariff_after == label
    assert done.difference_minor < 0
    batches = _rows(BATCHES)
    _rate()
    assert _rows(BATCHES) == batches
    back = _rerate(label.replace("/2", "/1"))
    assert back.difference_minor == -done.difference_minor
    sums = _rows("SELECT sum(minor_net)::bigint FROM charge WHERE billing_period = '2026-04'")
    assert sums == [(0,)]
    _ties()


def test_a_credit_beyond_the_next_bill_is_a_credit_note(billed: str) -> None:
    """Who used nothing in April gets what March charged too much by a document that names it."""
    _load(billed, 2, ('price = "0.79"', 'price = "0.59"'))
    done = _rerate()
    assert done.difference_minor < 0
    count = len({one.account_no for one in done.changes})
    assert _bill("2026-04") == count > 0
    lines = (
        "SELECT sum(l.amount_minor)::bigint FROM invoice_line l JOIN invoice i USING (invoice_id)"
    )
    assert _rows(f"{lines} WHERE i.gross_minor < 0") == [(done.difference_minor,)]
    corrected = _rows(
        "SELECT count(*) FROM invoice n JOIN invoice i ON i.billing_account_id ="
        " n.billing_account_id AND i.voucher_year || '-' || lpad(i.voucher_no::text, 6, '0')"
        " = n.snapshot -> 'corrects' ->> 0 WHERE n.gross_minor < 0 AND i.gross_minor > 0"
    )
    assert corrected == [(count,)]
    with transaction("auditor") as session:
        assert ledger.control_balance(session, "NO01", ["1530"]) == 0
    assert _bill("2026-04") == 0
    _ties()


def test_all_who_share_are_put_right(books: str, tmp_path: Path) -> None:
    """A smaller pool: the member who calls last pays, though nobody's own terms but the pool's."""
    assert books
    source = TARIFF + OFFERING.format(id="FAMILY", quantity=620)
    source += OFFERING.format(id="MEMBER", quantity=0)
    with transaction() as session:
        ledger.seed_book(session, "NO01")
        ledger.open_periods(session, "NO01", 2026)
        rating.load_tariff(session, source.encode())
        party.apply_orders(
            session, [_line(1, "FAMILY", ALL_MONTH), _line(2, "MEMBER", ALL_MONTH)],
            {"FAMILY", "MEMBER"},
        )  # fmt: skip
    _take(tmp_path, "calls.csv", (2, 5, 300), (1, 6, 300))
    _rate()
    _load(source, 2, ("quantity = 620", "quantity = 500"))
    done = _rerate()
    (change,) = done.changes
    assert (change.before_minor, change.after_minor) == (0, 30 + 100)
    assert done.rated_again == 2
    _bill(MONTH)
    # An order that comes late must be rated at the old prices before the past can be repeated.
    with transaction() as session:
        party.apply_orders(session, [_line(3, "FAMILY", ALL_MONTH)], {"FAMILY", "MEMBER"})
    _load(source, 3, ("quantity = 620", "quantity = 700"))
    assert {one.difference_minor for one in _rerate("FAMILY/3").changes} == {-130}


def test_what_cannot_be_repeated_is_not_rated_again(
    billed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another past than the booked one: the first differences are told and nothing is recorded."""
    _load(billed, 2, ('price = "0.79"', 'price = "0.89"'))
    dearer = parse_tariff(billed.replace('price = "0.79"', 'price = "0.80"').encode())
    dearer_month = parse_tariff(billed.replace('price = "299.00"', 'price = "300.00"').encode())
    before = _counts()
    for wrong, told in (
        (dearer, r"was booked with amount_micro \d+, the old tariff and counters give \d+;"),
        (dearer_month, "charges cannot be repeated: subscription of"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(months, "tariff_book_by_hash", lambda *_, wrong=wrong: wrong)
            with pytest.raises(DoesNotTie, match=told):
                _rerate()
        assert _counts() == before
    with pytest.raises(Invalid, match="say why"), transaction() as session:
        rerate_period(session, vault(), Month("NO01", MONTH), lambda _: set(),
                      actor="tester", reason=" ")  # fmt: skip
    with pytest.raises(NotFound, match="never rated"), transaction() as session:
        rerate_period(session, vault(), Month("NO01", "2026-05"), lambda _: set(),
                      actor="tester", reason="why")  # fmt: skip


def test_the_commands(billed: str) -> None:
    """Before and after for each charge, as lines and as JSON; a dry run says that it was one."""
    _load(billed, 2, ('price = "0.79"', 'price = "0.89"'))
    words = ["--month", MONTH, "--author", "Kari", "--because", "wrong list"]
    tried = CliRunner().invoke(rerate_command, [*words, "--dry-run"])
    assert tried.exit_code == 0, tried.output + str(tried.exception)
    assert tried.output.splitlines()[-1].startswith("Nothing was recorded")
    done = json.loads(CliRunner().invoke(rerate_command, [*words, "--json"]).output)
    assert done["recorded"] is True
    assert done["changes"][0]["before"] != done["changes"][0]["after"]
    assert _rows("SELECT actor, reason FROM rating_run ORDER BY run_id DESC LIMIT 1") == [
        ("Kari", "wrong list")
    ]
    again = CliRunner().invoke(run_command, ["--month", MONTH, "--json"])
    assert json.loads(again.output)["charges_changed"] == 0
    assert CliRunner().invoke(run_command, ["--month", "March"]).exception


def test_over_rest(billed: str) -> None:
    """The scope runs it; amounts are strings of kroner; who asked is kept with the run."""
    _load(billed, 2, ('price = "0.79"', 'price = "0.89"'))
    with transaction() as session:
        token = access.add_client(
            session, "billing", ["mediation:run"], actor="test", now=datetime.now(UTC)
        )
    client = make_app().test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    asked = {"month": MONTH, "reason": "wrong list", "dry_run": True}
    tried = client.post("/api/v1/reratings", json=asked)
    assert tried.status_code == 200, tried.data
    assert (tried.json["recorded"], tried.json["tariff_after"][-2:]) == (False, "/2")
    done = client.post("/api/v1/reratings", json={**asked, "dry_run": False})
    assert done.json == {**tried.json, "recorded": True, "batch_id": done.json["batch_id"]}
    assert client.post("/api/v1/reratings", json={**asked, "dry_run": False}).json["changes"] == []
    assert client.post("/api/v1/reratings", json={**asked, "month": "March"}).status_code == 422
    assert client.post("/api/v1/reratings", json={**asked, "tariff": "X/9"}).status_code == 404
    actor = "SELECT actor FROM rating_run ORDER BY run_id DESC LIMIT 1"
    assert _rows(actor) == [("client:billing",)]


KILLED = """
import os, signal, sys
import app
from mediation.service import rating_run
rating_run._prove = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
app.cli.main(sys.argv[1:])
"""


def test_a_rerating_that_is_killed_is_done_by_the_next(
    billed: str, books: str, pg: PrivateServer, tmp_path: Path
) -> None:
    """SIGKILL between posting and commit leaves nothing; the command again does all."""
    _load(billed, 2, ('price = "0.79"', 'price = "0.89"'))
    expected, before = _rerate(dry_run=True), _counts()
    known = pg.addresses(books)
    environment = {
        **os.environ, "DATABASE_URL": known.service, "HOVEDBOK_OWNER_DATABASE_URL": known.owner,
        "HOVEDBOK_AUDITOR_DATABASE_URL": known.auditor, "HOVEDBOK_VAULT": str(tmp_path / "vault"),
        "HOVEDBOK_HOME": str(tmp_path),
    }  # fmt: skip
    words = ["rating", "rerate", "--month", MONTH, "--author", "t", "--because", "kill"]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, *words], cwd=ROOT, env=environment, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert killed.returncode == -9, killed.stderr
    assert _counts() == before
    assert _rerate().changes == expected.changes
    assert _rerate().changes == ()
    _ties()
