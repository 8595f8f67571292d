"""Quotes of subscriptions that exist, against the month that comes: equal to the øre."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ledger import service as ledger
from ledger.db import transaction
from ledger.errors import Invalid
from mediation.charging import Month
from mediation.service.contracts import contracts_in
from mediation.service.what_if import NotActive, as_asked
from party import service as party
from party.orders import Order as PartyOrder
from rating import service as rating
from rating.cli import rating_cli
from rating.quoted_allowances import Remaining
from rating.quoted_asking import Asked, Order
from rating.quoted_events import Event
from rating.quoting import Quote
from rating.tariff import OfferingUnknown
from tests.flows import test_contracts as contracts
from tests.flows import test_frames as frames
from tests.flows import test_pools as pools
from tests.flows.home import MONTH
from tests.flows.test_machine_pools import fleet
from tests.flows.test_pools import BERIT, _agree, _line
from tests.flows.test_quotes import ADD_ON, TOP_UP, family
from tests.party.rows import order
from tests.rating.tariffs import GB

__all__ = ["family", "fleet"]  # fixtures

FIRST = date(2026, 3, 1)
BEGUN, CEASED = int(contracts.BEGUN.timestamp()), int(contracts.CEASED.timestamp())
_Line = tuple[str, str, int, int]  # component, kind, øre, quantity


pytestmark = pytest.mark.usefixtures("wired")


def _sold(offerings: set[str], rows: Sequence[PartyOrder], *tariffs: str) -> None:
    with transaction() as session:
        ledger.seed_book(session, "NO01")
        ledger.open_periods(session, "NO01", 2026)
        for source in tariffs:
            rating.load_tariff(session, source.encode())
    _ordered(offerings, *rows)


def _ordered(offerings: set[str], *rows: PartyOrder) -> None:
    with transaction() as session:
        done = party.apply_orders(session, rows, offerings)
    assert [outcome.state for outcome in done] == ["applied"] * len(rows), done


def _quote(subscription: str, *events: Event, month: bool = True, **asked: Any) -> Quote:
    clocks = {name: asked.pop(name, None) for name in ("effective_as_of", "known_as_of")}
    wanted = {"active_from": FIRST if month else None, **asked}
    with transaction() as session:
        quoted = rating.quote(
            session, Asked(wanted.pop("offering", ""), MONTH, events, **wanted), "en",
            subscription=subscription, **clocks,
        )  # fmt: skip
    assert len(quoted.events) == len(events)
    return quoted


def _said(quoted: Quote) -> list[_Line]:
    """List what a quote says is charged, and see that its sum is that of its charges."""
    assert quoted.gross_minor is not None
    if all(one.price_basis == "gross" for one in quoted.charges):
        assert quoted.gross_minor == sum(one.amount_minor for one in quoted.charges)
    assert all(one.sentences for one in quoted.charges if one.kind != "usage")
    return sorted(
        (one.component, one.kind, one.amount_minor, one.quantity)
        for one in quoted.charges if one.amount_minor
    )  # fmt: skip


def _bill(reference: str) -> list[_Line]:
    """List what the books charge a subscription for the month."""
    with transaction() as session:
        found = party.subscription_in(session, reference, 0, 2**32)
        assert found is not None
        charges = rating.charges_of_usage(session, "NO01", MONTH)
    return sorted(
        (one.key.component, one.key.kind, one.amount_minor, one.quantity)
        for one in charges
        if one.key.subscription_id == found.subscription_id and one.amount_minor
    )


def _surf(octets: int) -> Event:
    return Event(
        "data", datetime.fromisoformat(f"{MONTH}-29T12:00+02:00"), octets, rating_group=300
    )


def _call(day: int, seconds: int, called: str = "4740000001") -> Event:
    at = datetime.fromisoformat(f"{MONTH}-{day:02}T10:00:00+01:00")
    return Event("voice", at, seconds, called)


def test_an_agreed_price_and_a_term_that_is_left(books: str, tmp_path: Path) -> None:
    """Days at 399 and not 499, its volume of fair use, the rest of a term; after use and before."""
    assert books
    _sold({"FRI"}, [
        order(1, "add", BEGUN, offering="FRI", imsi=242010000000001),
        order(2, "change", BEGUN + 86_400, offering="FRI", imsi=242010000000001,
              agreed_price_micro=399_000_000),
    ], contracts._tariff().decode())  # fmt: skip
    ceased = (Order("cease", date(2026, 3, 30)),)
    whole = _quote("SUB1", _surf(40 * GB), _surf(20 * GB), orders=ceased)
    parts = _quote("SUB1", _surf(40 * GB), month=False)
    assert [line[0] for line in _said(whole)] == ["eea", "month", "rest", "surcharge"]
    dear = _quote("SUB1", _surf(80 * GB), month=False)
    # 800.00 with VAT are 640.00, and 50 EUR at 11.50 are 575.00.
    stops = "That the limit roaming stops use: 65.00 without VAT of the price lies beyond."
    assert (stops in dear.left_out, stops in parts.left_out) == (True, False)
    contracts._take(tmp_path, "PGW_0001.dat", 40, 7001)
    contracts._rate()
    more = _quote("SUB1", _surf(20 * GB), month=False)
    # What was surcharged of the first forty is not surcharged again, nor is the volume there anew.
    before = [line for line in _bill("SUB1") if line[1] == "usage"]
    assert _said(parts) == before
    assert (
        f"Use of {MONTH} that run 1 has rated (1 events): it is charged already" in more.left_out[0]
    )
    _ordered({"FRI"}, order(3, "cease", CEASED, offering=""))
    contracts._take(tmp_path, "PGW_0002.dat", 20, 7002)
    contracts._rate()
    assert _said(whole) == _bill("SUB1")
    added = {line[0]: line[2] for line in _bill("SUB1") if line[1] == "usage"}
    for component, _, minor, _ in before:
        added[component] -= minor
    assert {line[0]: line[2] for line in _said(more)} == added
    assert added["surcharge"] > 0


def test_the_frame_of_the_account_itself(books: str, tmp_path: Path) -> None:
    """A frame that is inherited and changes in the month; later calls take the rest of an øre."""
    assert books
    frames._begin(tmp_path)
    calls = [_call(10, 600), _call(11, 601)]
    quoted = {who: _quote(who, *calls) for who in ("SUB1", "SUB2")}
    assert (
        f"Use of {MONTH} that is not rated yet (3 events, all customers)."
        == quoted["SUB1"].left_out[0]
    )
    # The events of the files were not rated yet; a run of them alone is what comes before.
    frames._rate()
    stood = {who: _bill(who) for who in quoted}
    later = {who: _quote(who, *calls, month=False) for who in quoted}
    assert not any("since the month was rated" in one for one in later["SUB1"].left_out)
    frames._take(tmp_path / "more.csv", "caller,called,start,duration,octets", *(
        f"479100000{who},4740000001,2026-03-{day}T10:00:00+0100,{seconds},"
        for who in (1, 2) for day, seconds in ((10, 600), (11, 601))
    ))  # fmt: skip
    changed = "What has changed in the use of 2026-03 since the month was rated (+4 events"
    assert any(one.startswith(changed) for one in _quote("SUB1", *calls).left_out)
    frames._rate()
    for who, answer in later.items():
        assert _sums(_said(answer)) == _less(_bill(who), stood[who])
        assert any(line[:2] == ("voice", "one_off") for line in _said(answer))
    monthly = [line for line in _said(quoted["SUB1"]) if line[0] == "month"]
    assert monthly == [line for line in _bill("SUB1") if line[0] == "month"]
    assert ("month", "one_off", -1_100, 1) in monthly
    assert [line for line in _said(quoted["SUB2"]) if line[0] == "month"] == [
        ("month", "recurring", 31_000, 31)
    ]


def _sums(lines: Sequence[_Line]) -> dict[tuple[str, str], int]:
    sums: dict[tuple[str, str], int] = {}
    for component, kind, minor, _ in lines:
        sums[component, kind] = sums.get((component, kind), 0) + minor
    return {name: minor for name, minor in sums.items() if minor}


def _less(after: Sequence[_Line], before: Sequence[_Line]) -> dict[tuple[str, str], int]:
    was, now = _sums(before), _sums(after)
    found = {name: now.get(name, 0) - was.get(name, 0) for name in was | now}
    return {name: minor for name, minor in found.items() if minor}


FAMILY = """
[[discount]]
id = "FAMILY"
text = "Familierabatt"
reduces = "month"
percent = "12.5"
subscriptions = 2
[[discount]]
id = "BUNDLE"
text = "Med bredbånd"
reduces = "month"
amount = "31.00"
with = ["LINE"]
"""
LINE = """
[[offering]]
id = "LINE"
name = "Bredbånd"
price_basis = "gross"
  [[offering.recurring]]
  component = "month"
  price = "620.00"
  [[offering.one_off]]
  on = "change"
  component = "month"
  price = "49.00"
"""


def test_discounts_for_what_else_the_account_has(books: str, tmp_path: Path) -> None:
    """A second subscription from the 17th, a third that changes: first asked, and then done."""
    assert books
    mobile = frames.TARIFF.replace('  frame = "LISTE"\n', "").replace(
        "[[offering]]", FAMILY + "[[offering]]", 1
    )  # fmt: skip
    sold = {"MOBIL", "LINE"}
    _sold(sold, [
        _line(1, "MOBIL", 1), _line(2, "MOBIL", 17), _line(3, "MOBIL", 1),
        _line(4, "MOBIL", 1, account_ref="30000002", customer=BERIT),
    ], mobile + LINE)  # fmt: skip
    changed = (Order("change", date(2026, 3, 11), "LINE"),)
    quoted = {"SUB3": _quote("SUB3", _call(5, 600), orders=changed)}
    # Of all the others the change makes one price lower: the bundle is off their months.
    assert any("Charges of others who share with it" in one for one in quoted["SUB3"].left_out)
    _ordered(sold, order(9, "change", _line(1, "LINE", 11).effective_at, subscription_ref="SUB3",
                         offering="LINE", msisdn=4791000003, imsi=242011000000003))  # fmt: skip
    calls = {"SUB1": [_call(5, 60)], "SUB2": [_call(20, 90)], "SUB4": []}
    quoted |= {who: _quote(who, *events) for who, events in calls.items()}
    frames._take(tmp_path / "calls.csv", "caller,called,start,duration,octets",
                 "4791000003,4740000001,2026-03-05T10:00:00+0100,600,",
                 "4791000001,4740000001,2026-03-05T10:00:00+0100,60,",
                 "4791000002,4740000001,2026-03-20T10:00:00+0100,90,")  # fmt: skip
    frames._rate()
    for who, answer in quoted.items():
        assert _said(answer) == _bill(who), who
    assert len([line for line in _said(quoted["SUB1"]) if line[1] == "one_off"]) == 2
    assert [line[1] for line in _said(quoted["SUB4"])] == ["recurring"]


def test_a_pool_that_others_share(fleet: Path) -> None:
    """Three cards under one agreement: one's session costs it a part, and others the rest."""
    _agree(fleet, "agreements.csv", "KONSERN,,30000001,2026-02-01",
           "DATTER,KONSERN,30000002,2026-02-01")  # fmt: skip
    contracts._rate()
    stood = {who: _bill(who) for who in ("SUB1", "SUB2", "SUB3", "SUB4")}
    month = _quote("SUB2", _surf(2700))
    quoted = _quote("SUB2", _surf(2700), month=False)
    told = " ".join(one for charge in quoted.charges for one in charge.sentences)
    assert "3 cards bring 6000 B and used 11200 B" in told
    assert told.endswith("What was booked before is taken off.")
    other = bytes.fromhex("42020100000000f2")
    contracts._take_octets(fleet, "PGW_0005.dat", 2700, 7005, {0x83: other})
    contracts._rate()
    added = {who: _less(_bill(who), stood[who]) for who in stood}
    assert _sums(_said(quoted)) == added["SUB2"]
    (left_out,) = [one for one in quoted.left_out if one.startswith("Charges of others")]
    assert added["SUB4"] == {}
    others = sum(sum(added[who].values()) for who in ("SUB1", "SUB3"))
    assert others != 0
    assert round(float(left_out.partition("change by ")[2].split()[0]) * 100) == others
    flat = {name: minor for name, minor in _sums(_said(month)).items() if name[1] != "usage"}
    assert flat == {n: minor for n, minor in _sums(_bill("SUB2")).items() if n[1] != "usage"}


def test_a_month_of_its_own_allowance_top_up_and_change(books: str, tmp_path: Path) -> None:
    """Prorated minutes until the 17th, less of another product from then on, and a top-up."""
    assert books

    source = pools.TARIFF + TOP_UP + pools.OFFERING.format(id="FAMILY", quantity=620)
    source += pools.OFFERING.format(id="MEMBER", quantity=310) + ADD_ON
    sold = {"FAMILY", "MEMBER", "EXTRA"}
    _sold(sold, [_line(1, "FAMILY", 1)], source)
    asked = (
        Order("addon", date(2026, 3, 10), "EXTRA"),
        Order("change", date(2026, 3, 17), "MEMBER"),
    )
    calls = [_call(9, 100), _call(12, 300), _call(20, 300)]
    quoted = _quote("SUB1", *calls, orders=asked)
    at = {day: _line(1, "FAMILY", day).effective_at for day in (10, 17)}
    _ordered(sold, order(7, "addon", at[10], subscription_ref="SUB1", offering="EXTRA"),
             order(8, "change", at[17], subscription_ref="SUB1", offering="MEMBER"))  # fmt: skip
    frames._take(tmp_path / "calls.csv", "caller,called,start,duration,octets", *(
        f"4791000001,4740000001,2026-03-{day:02}T10:00:00+0100,{seconds},"
        for day, seconds in ((9, 100), (12, 300), (20, 300))
    ))  # fmt: skip
    frames._rate()
    assert _said(quoted) == _bill("SUB1")
    assert ("extra", "one_off", 900, 1) in _said(quoted)
    # The real month again, with its orders as they now are, before its first use.
    unused = datetime(2026, 2, 28, tzinfo=UTC)
    again = _quote("SUB1", *calls, effective_as_of=unused)
    assert _said(again) == _bill("SUB1")
    # Some days of it: their price and their orders, with all that the whole month includes.
    days = _quote("SUB1", *calls, effective_as_of=unused, active_from=date(2026, 3, 12))
    assert _said(days) == [line for line in _bill("SUB1") if line[0] == "voice"]


def test_what_cannot_be_asked_of_a_subscription_is_refused(books: str) -> None:
    """Use and orders when it is not active, a second birth, what nobody sells."""
    assert books
    _sold({"FRI"}, [
        order(1, "add", BEGUN, offering="FRI"), order(2, "cease", CEASED, offering=""),
    ], contracts._tariff().decode())  # fmt: skip
    late = Event("data", datetime.fromisoformat(f"{MONTH}-31T12:00+02:00"), 1, rating_group=300)
    with pytest.raises(NotActive, match="Event 2 starts 2026-03-31 12:00, when SUB1 is not"):
        _quote("SUB1", _surf(1), late)
    with pytest.raises(NotActive, match="SUB1 is not active on the days asked for; it is active "
                                      "2026-03-01 00:00 to 2026-03-30 00:00"):  # fmt: skip
        _quote("SUB1", active_from=date(2026, 3, 30))
    with pytest.raises(NotActive, match="not active on 2026-03-31, so no order to cease"):
        _quote("SUB1", orders=(Order("cease", date(2026, 3, 31)),))
    with pytest.raises(Invalid, match="What was ordered after 2026-03-20 is not rewritten"):
        _quote("SUB1", orders=(Order("cease", date(2026, 3, 20)),))
    with pytest.raises(Invalid, match="SUB1 is there already, and is not added again"):
        _quote("SUB1", orders=(Order("add", date(2026, 3, 2)),))
    with pytest.raises(OfferingUnknown):
        _quote("SUB1", orders=(Order("change", date(2026, 3, 2), "GONE"),))
    with pytest.raises(OfferingUnknown):
        _quote("SUB1", _surf(1), offering="GONE")
    told = CliRunner().invoke(rating_cli, ["quote", "--subscription", "SUB1", "--month", MONTH,
                                           "--order", "add:2026-03-02"])  # fmt: skip
    assert "Ask for a change" in str(told.exception)


def test_orders_of_a_quote_do_what_orders_do(books: str, seed: int) -> None:
    """Contracts as asked are those of the party room once the orders have come."""
    assert books
    sold, draw, month = {"SMALL", "LARGE", "EXTRA"}, random.Random(seed), Month("NO01", MONTH)
    with transaction() as session:
        party.apply_orders(session, [
            _line(1, "SMALL", 1, agreed_price_micro=5), _line(2, "LARGE", 3),
            order(7, "change", _line(1, "SMALL", 4).effective_at, offering="LARGE",
                  agreed_price_micro=7, imsi=242011000000001),
        ], sold)  # fmt: skip
        whose = party.subscription_in(session, "SUB1", *month.instants())
        assert whose is not None
        for turn in range(40):
            days = sorted(draw.sample(range(4, 32), draw.randint(0, 3)))
            kinds = [draw.choice(["change", "addon"]) for _ in days]
            kinds[-1:] = [draw.choice(["change", "cease"])] * min(len(days), 1)
            orders = [
                Order(
                    kind, date(2026, 3, day), "" if kind == "cease" else draw.choice(sorted(sold))
                )
                for kind, day in zip(kinds, days, strict=True)
            ]
            before = contracts_in(session, month)
            asked = Asked("", MONTH, orders=tuple(orders))
            wished = as_asked(before, whose.subscription_id, "SUB1", asked).contracts
            with session.begin_nested() as point:
                done = party.apply_orders(session, [
                    order(100 * turn + n + 10, one.on, _line(1, "", one.day.day).effective_at,
                          offering=one.offering, imsi=242011000000001)
                    for n, one in enumerate(orders)
                ], sold)  # fmt: skip
                assert all(one.state == "applied" for one in done), done
                session.flush()
                after = contracts_in(session, month)
                point.rollback()
            for name in ("subscription_id", "billing_account_id", "valid_from", "valid_to",
                         "agreed_micro"):  # fmt: skip
                column, other = getattr(wished.active, name), getattr(after.active, name)
                assert column.tolist() == other.tolist(), (name, orders)
            assert wished.active.offering == after.active.offering
            assert [replace(one, order_ref="") for one in wished.ordered] == [
                replace(one, order_ref="") for one in after.ordered
            ]


def test_another_offering_is_asked_for_at_its_list_price(books: str) -> None:
    """What it has agreed is of its own offering; its term would begin with the other one."""
    assert books
    tariff = contracts._tariff().decode()
    other = tariff[tariff.index("[[offering]]") :].replace('id = "FRI"', 'id = "MER"')
    other = other.replace('price = "499.00"', 'price = "599.00"')
    _sold({"FRI", "MER"}, [
        order(1, "add", BEGUN, offering="FRI", agreed_price_micro=1_000_000),
    ], tariff + other)  # fmt: skip
    assert ("month", "recurring", 100, 31) in _said(_quote("SUB1"))
    ended = _quote("SUB1", offering="MER", orders=(Order("cease", date(2026, 3, 11)),))
    said = {line[0]: line for line in _said(ended)}
    assert said["month"] == ("month", "recurring", round(59_900 * 10 / 31), 10)
    assert said["rest"][2:] == (round(240_000 * 355 / 365), 355)


def test_what_is_said_to_be_left_counts_alone(family: Path) -> None:
    """What is said goes before what a run knows, and the answer says what that leaves out."""
    pools._take(family, "first.csv", (2, 5, 350), (1, 6, 300))
    pools._rate()
    said = _quote("SUB1", _call(20, 100), month=False, remaining=(Remaining("minutes", 40),))
    assert said.events[0].amount_micro == 300_000 + 60 * 10_000
    (left_out,) = said.left_out
    assert left_out.startswith(f"What was used before in {MONTH}: what is left is as it was said")
    run = said.balance
    assert run is not None
    known = _quote("SUB1", _call(20, 100), month=False, known_as_of=run.known_at)
    assert any(
        one.startswith("Contracts and orders as they were known before") for one in known.left_out
    )


def test_what_nobody_can_know_without_a_subscription_is_said(books: str, tmp_path: Path) -> None:
    """Frames, discounts for others, a term: named in both languages, in text and as JSON."""
    assert books
    mobile = frames.TARIFF.replace("[[offering]]", FAMILY + "[[offering]]", 1) + LINE
    file = tmp_path / "tariff.toml"
    file.write_text(mobile)
    words = ["quote", "--file", str(file), "--offering", "MOBIL", "--month", MONTH]
    told = {
        language: CliRunner().invoke(rating_cli, [*words, "--language", language]).output
        for language in ("nb", "en")
    }
    assert (
        "Ikke med: Rabatter etter hva kunden ellers har: Familierabatt (FAMILY), Med" in told["nb"]
    )
    assert "Not in it: A frame agreement of the customer's own." in told["en"]
    facts = json.loads(CliRunner().invoke(rating_cli, [*words, "--json"]).output)
    assert len(facts["left_out"]) == 2
    file.write_bytes(contracts._tariff())
    words[4:] = ["FRI", "--month", MONTH, "--order", "cease:2026-03-11", "--json"]
    facts = json.loads(CliRunner().invoke(rating_cli, words).output)
    assert facts["left_out"] == [
        "Restbeløpet i bindingstid: det avhenger av når abonnementet begynte."
    ]
