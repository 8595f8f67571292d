"""Quotes of real subscriptions in months of other shapes: payers, versions, what comes late."""

from __future__ import annotations

import random
from datetime import date, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from ledger.db import transaction
from party import service as party
from rating import service as rating
from rating.cli import rating_cli
from rating.quoted_allowances import Remaining
from rating.quoted_asking import Asked
from rating.quoted_events import Event
from rating.quoting import Quote
from tests.flows import test_carried as carried
from tests.flows import test_frames as frames
from tests.flows import test_pools as pools
from tests.flows import test_rollover as rollover
from tests.flows.home import MONTH
from tests.flows.test_pools import BERIT, _line
from tests.flows.test_quoted_contracts import (
    _bill,
    _call,
    _less,
    _ordered,
    _quote,
    _said,
    _sold,
    _sums,
)
from tests.flows.test_quotes import HALF
from tests.party.rows import order

taken = carried.taken
FAMILY = """
[[discount]]
id = "FAMILY"
text = "Familierabatt"
reduces = "month"
percent = "12.5"
subscriptions = 2
[[frame]]"""


pytestmark = pytest.mark.usefixtures("wired")


def _calls(folder: Path, name: str, *calls: tuple[int, int, int]) -> None:
    """Take in calls of (subscriber, day, seconds), as `_call` has them."""
    frames._take(folder / name, "caller,called,start,duration,octets", *(
        f"479100000{who},4740000001,2026-03-{day:02}T10:00:00+0100,{seconds},"
        for who, day, seconds in calls
    ))  # fmt: skip


def test_two_payers_of_one_month(books: str, tmp_path: Path) -> None:
    """From the 17th another account pays, under no agreement but with a family: each its own."""
    assert books
    _sold({"MOBIL"}, [
        _line(1, "MOBIL", 1), _line(2, "MOBIL", 1, account_ref="30000002", customer=BERIT),
    ], frames.TARIFF.replace("[[frame]]", FAMILY, 1))  # fmt: skip
    frames._take(tmp_path / "agreements.csv", "agreement,parent,billing_account,valid_from",
                 "SKOLE 7,KOMMUNE,30000001,2026-01-01")  # fmt: skip
    _ordered({"MOBIL"}, order(
        3, "change", _line(1, "MOBIL", 17).effective_at, offering="MOBIL", imsi=242011000000001,
        account_ref="30000002", customer=BERIT,
    ))  # fmt: skip
    quoted = {who: _quote(who, _call(11, 600), _call(20, 600)) for who in ("SUB1", "SUB2")}
    _calls(tmp_path, "calls.csv", *((who, day, 600) for who in (1, 2) for day in (11, 20)))
    frames._rate()
    for who, answer in quoted.items():
        assert _said(answer) == _bill(who), who
    with transaction() as session:
        numbers = {one.number for one in party.billing_accounts(session)}
    assert {one.billing_account for one in quoted["SUB1"].charges} == numbers
    assert len(numbers) == 2
    words = ["quote", "--subscription", "SUB1", "--month", MONTH, "--language", "en"]
    told = CliRunner().invoke(rating_cli, words).output
    assert all(f"Abonnement (month, gross, {number}): " in told for number in numbers)


def test_two_versions_of_one_month(books: str, tmp_path: Path) -> None:
    """Prices, a frame by the day and a discount of some days, cut by a version from the 21st on."""
    assert books
    source = frames.TARIFF.replace("[[frame]]", HALF, 1)
    second = "version = 2\nvalid_from = 2026-03-21"
    newer = source.replace("version = 1\nvalid_from = 2026-01-01", second)
    _sold({"MOBIL"}, [_line(1, "MOBIL", 1)], source, newer.replace("310.00", "620.00"))
    frames._take(tmp_path / "agreements.csv", "agreement,parent,billing_account,valid_from",
                 "SKOLE 7,KOMMUNE,30000001,2026-01-01")  # fmt: skip
    quoted = _quote("SUB1", _call(5, 601), _call(25, 601))
    assert quoted.tariffs == ("RETAIL/1", "RETAIL/2")
    _calls(tmp_path, "first.csv", (1, 5, 601))
    frames._rate()
    stood = _bill("SUB1")
    rest = _quote("SUB1", _call(25, 601), month=False)
    _calls(tmp_path, "second.csv", (1, 25, 601))
    frames._rate()
    assert _said(quoted) == _bill("SUB1")
    assert _sums(_said(rest)) == _less(_bill("SUB1"), stood)


def test_prices_that_events_bring(taken: Path) -> None:
    """A purchase and a call abroad after others of their kind, and a call that brings nothing."""
    carried._rate()
    stood = _bill("SUB1")
    at = datetime.fromisoformat("2026-03-20T12:00:00+01:00")
    quoted = _quote(
        "SUB1", Event("content", at, 1, service="829", price_micro=49_000_000, vat_included=True),
        Event("voice", datetime.fromisoformat("2026-03-20T13:00+01:00"), 90, "34911000000",
              service="TAP", price_micro=3_000_000, currency="EUR"),
        _call(20, 90), month=False,
    )  # fmt: skip
    carried._take(taken, "more.csv", carried._bought(20, "49.00", "A9"),
                  carried._abroad("voice", 20, 90, "3.00", "B9"),
                  "voice,4791000001,4740000001,2026-03-20T10:00:00+0100,90,,,,,,")  # fmt: skip
    carried._rate()
    assert _sums(_said(quoted)) == _less(_bill("SUB1"), stood)
    assert len(_sums(_said(quoted))) == 3


def test_month_as_it_comes_in_any_order(books: str, tmp_path: Path, seed: int) -> None:
    """Three who share minutes use them as they like, late calls too: each quote is what comes."""
    assert books
    draw = random.Random(seed)
    source = pools.TARIFF + frames.FRAMES.removesuffix("[[offering]]")
    source += pools.OFFERING.format(id="FAMILY", quantity=220).replace(
        'price_basis = "gross"\n', 'price_basis = "gross"\n  frame = "LISTE"\n', 1
    )
    _sold({"FAMILY"}, [
        _line(1, "FAMILY", 1), _line(2, "FAMILY", 12), _line(3, "FAMILY", 1),
    ], source)  # fmt: skip
    everybody, late = ("SUB1", "SUB2", "SUB3"), 0
    for turn in range(6):
        stood = {one: _bill(one) for one in everybody}
        who = draw.randint(1, 3)
        calls = [  # No two at one time: the second would be screened as a copy.
            (f"2026-03-{draw.randint(12, 28)}T10:{turn:02}:{n:02}+01:00",
             draw.choice([7, 59, 61, 350, 601]))
            for n in range(draw.randint(1, 3))
        ]  # fmt: skip
        events = [
            Event("voice", datetime.fromisoformat(at), used, "4740000001") for at, used in calls
        ]
        quoted = _quote(f"SUB{who}", *events, month=False)
        frames._take(
            tmp_path / f"turn{turn}.csv", "caller,called,start,duration,octets",
            *(f"479100000{who},4740000001,{at},{used}," for at, used in calls),
        )  # fmt: skip
        frames._rate()
        added = {one: _less(_bill(one), stood[one]) for one in everybody}
        assert _sums(_said(quoted)) == added.pop(f"SUB{who}"), (turn, calls)
        others = any(one.startswith("Charges of others") for one in quoted.left_out)
        assert others or not any(added.values())
        late += others
    print(f"{late} of 6 quotes changed what others pay.")


def test_what_rolled_over_and_was_bought(books: str, tmp_path: Path) -> None:
    """April begins with what March left; a top-up of April is drawn on when it is there."""
    assert books
    sold = {"MOBIL", "EXTRA"}
    _sold(sold, [_line(1, "MOBIL", 1)], rollover.TARIFF + rollover.COMPONENT + rollover.OFFERINGS)
    rollover._calls(tmp_path, "march.csv", (1, "2026-03-05", 250))
    rollover._rate("2026-03")
    bought = int(datetime.fromisoformat("2026-04-10T00:00+02:00").timestamp())
    _ordered(sold, order(7, "addon", bought, subscription_ref="SUB1", offering="EXTRA"))
    days = [("2026-04-02", 900), ("2026-04-09", 200), ("2026-04-12", 400)]

    def april(*calls: tuple[str, int], month: bool) -> Quote:
        events = [
            Event("voice", datetime.fromisoformat(f"{day}T10:00+02:00"), seconds, "4790000009")
            for day, seconds in calls
        ]
        begin = date(2026, 4, 1) if month else None
        with transaction() as session:
            return rating.quote(
                session, Asked("", "2026-04", tuple(events), active_from=begin), "en",
                subscription="SUB1",
            )  # fmt: skip

    whole = april(*days, month=True)
    assert whole.balance is not None
    assert set(whole.balance.remaining) == {
        Remaining("minutes", 350, 1), Remaining("minutes", 600),
        Remaining("minutes", 300, bought=True),
    }  # fmt: skip
    rollover._calls(tmp_path, "april.csv", (1, *days[0]), (1, *days[1]))
    rollover._rate("2026-04")
    rest = april(days[2], month=False)
    rollover._calls(tmp_path, "more.csv", (1, *days[2]))
    rollover._rate("2026-04")
    used = [row[2] for row in rollover._charged() if row[0] == "2026-04"]
    said = {(one.component, one.kind): one.micro for one in whole.charges}
    # Of 900 and 200 seconds 950 are there, of 400 those that were bought.
    assert used == [said["voice", "usage"]] == [(150 + 100) * 10_000]
    assert said["extra", "one_off"] == 49_000_000
    (added,) = rest.charges
    assert added.micro == (400 - 300) * 10_000
