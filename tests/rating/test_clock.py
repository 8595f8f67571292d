"""Local time in columns against `zoneinfo`, one instant at a time."""

from __future__ import annotations

import calendar
import itertools
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rating.clock import (
    EARLIEST,
    LATEST,
    Timeline,
    anchor_days,
    clock_of,
    local_seconds,
    midnight,
    month_number,
    months,
    stretches,
    timeline,
)
from rating.tariff_tables import day_plan
from rating.tariff_terms import Band
from tests.rating.tariffs import EVERY_DAY, WORKDAYS

OSLO = clock_of("Europe/Oslo")
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - local time, as the wall shows it
INSTANTS = st.one_of(
    st.integers(EARLIEST, LATEST - 1),
    st.sampled_from(OSLO.transitions.tolist()).flatmap(lambda t: st.integers(t - 2, t + 2)),
    st.sampled_from(OSLO.month_starts.tolist()[1:]).flatmap(lambda t: st.integers(t - 2, t + 2)),
)


def wall(instant: int, zone: str = "Europe/Oslo") -> datetime:
    """Read the wall clock the slow way."""
    return datetime.fromtimestamp(instant, UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)


@given(st.lists(INSTANTS))
def test_local_time_is_what_zoneinfo_says(instants: list[int]) -> None:
    """Any instant of the century, transitions included."""
    columns = local_seconds(OSLO, np.array(instants, np.int64))
    assert columns.tolist() == [int((wall(i) - EPOCH).total_seconds()) for i in instants]


@given(st.lists(INSTANTS))
def test_months_are_those_of_the_local_calendar(instants: list[int]) -> None:
    """The last hours of a UTC month belong to the next month in Oslo."""
    columns = months(OSLO, np.array(instants, np.int64))
    assert columns.tolist() == [wall(i).year * 12 + wall(i).month - 1 for i in instants]


@given(st.dates(date(2000, 1, 2), date(2099, 12, 31)))
@pytest.mark.parametrize("zone", ["Europe/Oslo", "America/Sao_Paulo", "Asia/Beirut", "UTC"])
def test_a_day_begins_at_the_first_instant_that_shows_its_date(zone: str, day: date) -> None:
    """Also in zones that change their clock at midnight."""
    instant = midnight(clock_of(zone), day)
    assert wall(instant, zone).date() == day
    assert wall(instant - 1, zone).date() < day


def test_the_month_2026_03_has_its_number() -> None:
    """Months are numbered so that their order is that of integers."""
    assert month_number("2026-03") == 2026 * 12 + 2


BANDS = (
    Band("night", 0, EVERY_DAY, 0),
    Band("day", 8 * 3600, WORKDAYS, 0),
    Band("night", 17 * 3600, WORKDAYS, 0),
    Band("small-hours", 150 * 60, EVERY_DAY, 0),
    Band("sunday", 0, (7,), 9),
)


@settings(max_examples=60, deadline=None)
@given(INSTANTS, st.integers(0, 9 * 86_400), st.lists(st.integers(0, 9 * 86_400), min_size=20))
@pytest.mark.parametrize("priced", [["night", "day", "small-hours"], ["day", None], ["sunday"]])
def test_a_timeline_holds_at_every_instant_what_the_wall_clock_says(
    priced: list[str | None], first: int, length: int, steps: list[int]
) -> None:
    """Laid out in UTC over clock changes, each stretch has the slot of its local time."""
    first = min(first, LATEST - 20 * 86_400)
    line = timeline(day_plan(BANDS, priced), OSLO, first, first + length)
    near = [border + by for border in line.borders.tolist() for by in (-1, 0)]
    for instant in [first, *near, *(first + step for step in steps)]:
        if not first <= instant <= first + length:
            continue
        slot = line.slots[np.searchsorted(line.borders, instant, side="right") - 1]
        assert slot == _slot(wall(instant), priced)
    assert (line.slots[1:] != line.slots[:-1]).all()
    assert line.gaps_before[-1] == (line.slots < 0).sum()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=20, unique=True),
    st.sampled_from([1, 60, 900, 3600]),
    st.integers(0, 3599),
    st.integers(0, 2**32),
)
def test_many_instants_find_the_stretch_that_a_search_finds(
    hours: list[int], step: int, early: int, seed: int
) -> None:
    """The table says what a search says: at borders, between them and far behind."""
    borders = np.array(sorted(hours)) * step + 1_772_600_000
    borders = np.insert(borders, 0, borders[0] - 1 - early)
    line = Timeline(borders, np.zeros(len(borders), np.int32), np.zeros(len(borders) + 1, np.int64))
    drawn = np.random.default_rng(seed).integers(borders[0], borders[-1] + 2 * step, 16_384)
    instants = np.concatenate([drawn, borders, borders[1:] - 1])
    expected = np.searchsorted(borders, instants, side="right") - 1
    assert line.at(instants).tolist() == expected.tolist()
    assert line.at(instants.astype(object)).tolist() == expected.tolist()


def _slot(at: datetime, priced: list[str | None]) -> int:
    default = priced.index(None) if None in priced else -1
    second = (at.hour * 60 + at.minute) * 60 + at.second
    begun = [
        band
        for band in BANDS
        if at.isoweekday() in band.weekdays
        and band.from_second <= second
        and (None in priced or band.id in priced)
    ]
    if not begun:
        return default
    holds = max(begun, key=lambda band: (band.priority, band.from_second)).id
    return priced.index(holds) if holds in priced else default


def test_the_instant_of_a_clock_change_already_shows_the_new_time() -> None:
    """A timeline that ends in the very second of the change knows what the clock then shows."""
    change = int(OSLO.transitions[(OSLO.transitions > EARLIEST)][0])
    line = timeline(day_plan(BANDS, ["night", "day", "small-hours"]), OSLO, change - 10, change)
    assert line.borders.tolist() == [change - 10, change]
    assert line.slots.tolist() == [0, 2]  # 01:59 is night; at 03:00 the band of 02:30 has begun


def test_stretches_sum_to_what_they_cut() -> None:
    """Borders inside cut; the ends are those of the session, in ticks."""
    plan = day_plan(BANDS, ["night", "day", "small-hours"])
    line = timeline(plan, OSLO, 1_772_600_000, 1_772_700_000, by_day=True, ticks=10)
    start, end = 17_726_000_005, 17_726_999_995
    slots, lengths = stretches(line, start, end)
    assert int(lengths.sum()) == end - start
    assert (lengths > 0).all()
    assert len(slots) == len(lengths) > 4
    assert stretches(line, start, start)[1].tolist() == []


@given(st.integers(1, 31), st.dates(date(1990, 1, 1), date(2090, 1, 1)), st.integers(0, 60))
def test_anchors_are_one_a_month_and_keep_their_day(anchor: int, first: date, count: int) -> None:
    """Each is the anchor day or, where the month is shorter, its last day."""
    days = [day.item() for day in anchor_days(anchor, np.datetime64(first), count)]
    assert len(days) == count
    assert all(day >= first for day in days)
    for before, after in itertools.pairwise(days):
        assert after.year * 12 + after.month == before.year * 12 + before.month + 1
    for day in days:
        assert day.day == min(anchor, calendar.monthrange(day.year, day.month)[1])
