"""A month of several versions rated again: all their past is repeated, then one is put right."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from ledger import service as ledger
from ledger.db import transaction
from ledger.errors import DoesNotTie, Invalid
from party import service as party
from rating import service as rating
from rating.service import months
from tests.flows.home import MONTH
from tests.flows.test_late import BILLED, _bill, _rows, _ties
from tests.flows.test_pools import _line, _rate, _take
from tests.flows.test_rerating import _rerate
from tests.flows.test_versions import TARIFF, _second

SHARED = ("quantity = 100", "quantity = 100\n  shared = true")
SECOND = 10_000  # a second is an øre in the first version
SUMS = "SELECT kind, sum(minor_gross)::bigint FROM charge GROUP BY 1 ORDER BY 1"


def _load(version: int, day: str, *changes: tuple[str, str], second: bool = False) -> None:
    """Load a version of the changing tariff from a day on."""
    source = (_second() if second else TARIFF).replace(*SHARED)
    valid = "2026-03-15" if second else "2026-01-01"
    was = f"version = {2 if second else 1}"
    source = source.replace(was, f"version = {version}", 1).replace(valid, day, 1)
    for old, new in changes:
        assert old in source
        source = source.replace(old, new)
    with transaction() as session:
        rating.load_tariff(session, source.encode())


@pytest.fixture
def two_versions(books: str, tmp_path: Path) -> Path:
    """March at one øre a second and 310 a month, from the 15th at two and 620; rated and billed.

    A hundred seconds are shared from the 1st, sixty from the 15th on: what is granted differs.
    """
    assert books
    with transaction() as session:
        ledger.seed_book(session, "NO01")
        ledger.open_periods(session, "NO01", 2026)
    _load(1, "2026-01-01")
    _load(2, "2026-03-15", ("quantity = 100", "quantity = 60"), second=True)
    with transaction() as session:
        lines = [_line(1, "MOBIL", 1), _line(2, "MOBIL", 1, account_ref="30000002")]
        done = party.apply_orders(session, lines, {"MOBIL"})
        assert [outcome.state for outcome in done] == ["applied"] * 2, done
    _take(tmp_path, "calls.csv", (1, 5, 80), (1, 14, 100), (1, 15, 100), (2, 21, 300))
    settled = {"SUB1": 80 * SECOND + 100 * 2 * SECOND, "SUB2": 240 * 2 * SECOND}
    assert _rate() == settled
    assert _bill(MONTH) > 0
    return tmp_path


def test_a_price_of_one_version_is_put_right_for_its_days(two_versions: Path) -> None:
    """The first fortnight gets dearer after the bill; the second stays to the øre."""
    assert two_versions
    frozen = _rows(BILLED)
    _load(3, "2026-03-01", ('"0.60"', '"0.90"'), ('"310.00"', '"341.00"'))
    tried = _rerate(dry_run=True)
    done = _rerate()
    assert tried.changes == done.changes
    assert (done.tariff_before, done.tariff_after) == (
        "CHANGING/1, CHANGING/2", "CHANGING/3, CHANGING/2",
    )  # fmt: skip
    # Of the 180 seconds of the first fortnight 100 are included; a kroner a day more for 14 days.
    by_kind = {(one.kind, one.difference_minor) for one in done.changes}
    assert by_kind == {("usage", 40), ("recurring", 14_00)}
    assert done.events_changed == 1
    assert _rows(BILLED) == frozen
    assert {one.billing_period for one in done.changes} == {"2026-04"}
    assert _rerate().changes == ()
    batches = _rows("SELECT count(*) FROM posting_batch")
    _rate()
    assert _rows("SELECT count(*) FROM posting_batch") == batches
    assert _bill("2026-04") > 0
    _ties()


def test_the_month_keeps_the_versions_it_was_rated_again_with(two_versions: Path) -> None:
    """A version loaded later changes nothing by itself; from several to one and back again."""
    assert two_versions
    before = _rows(SUMS)
    one = _rerate("CHANGING/1")
    assert (one.tariff_before, one.tariff_after) == ("CHANGING/1, CHANGING/2", "CHANGING/1")
    assert one.difference_minor < 0
    back = _rerate()
    assert (back.tariff_before, back.tariff_after) == ("CHANGING/1", "CHANGING/1, CHANGING/2")
    assert back.difference_minor == -one.difference_minor
    assert _rows(SUMS) == before
    _load(3, "2026-03-20", ('"1.20"', '"9.60"'), second=True)
    _rate()
    assert _rows(SUMS) == before
    assert _rerate().difference_minor > 0
    _ties()


def test_a_late_call_is_rated_by_its_version_before_prices_are_put_right(
    two_versions: Path,
) -> None:
    """A month that gained usage after its run repeats the run's own events, then books all."""
    _take(two_versions, "late.csv", (1, 20, 50))
    _load(3, "2026-03-16", ('"1.20"', '"1.80"'), ("quantity = 100", "quantity = 60"), second=True)
    done = _rerate()
    assert done.rated_again == 5
    usage = {one.difference_minor for one in done.changes if one.kind == "usage"}
    # From the 16th on 240 seconds cost another øre, and the late 50 three; the 15th stays.
    assert usage == {150, 240}
    assert done.tariff_after == "CHANGING/1, CHANGING/2, CHANGING/3"
    _ties()


def test_another_past_of_one_version_is_told(
    two_versions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a version does not give what was booked of its events, nothing is recorded."""
    assert two_versions
    _load(3, "2026-03-01", ('"0.60"', '"0.90"'))
    honest = rating.tariff_book_labelled
    with transaction() as session:
        wrong = honest(session, "CHANGING/3")
    monkeypatch.setattr(
        months, "tariff_book_labelled",
        lambda session, label: wrong if label == "CHANGING/1" else honest(session, label),
    )  # fmt: skip
    before = _rows("SELECT count(*) FROM rating_run")
    with pytest.raises(DoesNotTie, match="1 events differ; nothing is rated again"):
        _rerate()
    assert _rows("SELECT count(*) FROM rating_run") == before
    with transaction() as session:
        assert session.scalar(text("SELECT count(*) FROM rating_run")) == 1


def test_a_tariff_that_begins_in_mid_month_is_repeated_as_it_was(
    books: str, tmp_path: Path
) -> None:
    """Days before the first version cost nothing, in the run and when it is repeated."""
    assert books
    with transaction() as session:
        ledger.seed_book(session, "NO01")
        ledger.open_periods(session, "NO01", 2026)
    _load(1, "2026-03-15")
    with transaction() as session:
        done = party.apply_orders(session, [_line(1, "MOBIL", 1)], {"MOBIL"})
        assert [outcome.state for outcome in done] == ["applied"], done
    _take(tmp_path, "calls.csv", (1, 20, 180))
    assert _rate() == {"SUB1": 80 * SECOND}
    assert ("recurring", 17_000) in _rows(SUMS)  # 17 of the 31 days that 310.00 are for
    assert _rerate().changes == ()
    _load(2, "2026-04-15")
    with pytest.raises(Invalid, match="CHANGING/2 is in force from 2026-04-15, after 2026-03"):
        _rerate("CHANGING/2")
