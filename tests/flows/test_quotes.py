"""Quotes for subscriptions that exist: what they may still draw on, as runs left it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from click.testing import CliRunner

from ledger import service as ledger
from ledger.db import transaction
from ledger.errors import Invalid, NotFound
from ledger.service import access
from party import service as party
from rating import parse_tariff, quoting
from rating import service as rating
from rating.cli import rating_cli
from rating.quoted_allowances import Remaining
from rating.quoted_asking import Asked
from rating.quoted_events import Event
from rating.quoting import Quote
from rating.recurring import month_span
from rating.versions import InForce
from tests.flows import test_carried as carried
from tests.flows import test_contracts as contracts
from tests.flows.home import MONTH
from tests.flows.test_pools import BERIT, OFFERING, TARIFF, _line, _rate, _take
from tests.flows.test_wholesale import TARIFF as AGREED
from tests.party.rows import ANNA, order
from tests.rating.tariffs import GB
from tests.rating.test_fair_use import TARIFF as ROAM
from tests.reporting.test_desk import PAGE, enter, make_app, text_of

SECOND = 10_000
TOP_UP = """
[[component]]
id = "extra"
text = "Ekstra"
revenue = "voice"
vat = "3"
unit = "piece"
"""
ADD_ON = """
[[offering]]
id = "EXTRA"
name = "Ekstra"
price_basis = "gross"
  [[offering.one_off]]
  on = "addon"
  component = "extra"
  price = "9.00"
  [[offering.top_up]]
  allowance = "minutes"
  quantity = 100
"""


pytestmark = pytest.mark.usefixtures("wired")


@pytest.fixture
def family(books: str, tmp_path: Path) -> Path:
    """Two of a family share 620 seconds, 400 at most each; a third customer is alone."""
    assert books
    tariff = TARIFF + TOP_UP + OFFERING.format(id="FAMILY", quantity=620)
    tariff += OFFERING.format(id="MEMBER", quantity=0) + ADD_ON
    with transaction() as session:
        ledger.seed_book(session, "NO01")
        ledger.open_periods(session, "NO01", 2026)
        rating.load_tariff(session, tariff.encode())
        done = party.apply_orders(
            session,
            [_line(1, "FAMILY", 1), _line(2, "MEMBER", 1),
             _line(3, "FAMILY", 1, account_ref="30000002", customer=BERIT)],
            {"FAMILY", "MEMBER", "EXTRA"},
        )  # fmt: skip
        assert [outcome.state for outcome in done] == ["applied"] * 3, done
    return tmp_path


def _call(day: int, seconds: int) -> Event:
    return Event("voice", datetime.fromisoformat(f"{MONTH}-{day:02}T18:00"), seconds, "4790000009")


def _quote(subscription: str, *events: Event, **asked: Any) -> Quote:
    with transaction() as session:
        return rating.quote(
            session, Asked("", MONTH, events, **asked), "en", subscription=subscription
        )


def _left(subscription: str) -> list[Remaining]:
    balance = _quote(subscription, _call(31, 1)).balance
    assert balance is not None
    return list(balance.remaining)


def test_a_quote_goes_on_where_the_month_stands(family: Path) -> None:
    """Before the first run all is there; then what the pool, and the member, have left."""
    assert _left("SUB2") == [Remaining("minutes", 620)]
    _take(family, "first.csv", (2, 5, 350), (1, 6, 100))
    _rate()
    assert _left("SUB1") == [Remaining("minutes", 170, member_used=100)]
    assert _left("SUB2") == [Remaining("minutes", 170, member_used=350)]
    # Of its 400 the member has 50 left, of the pool's 620 there are 170: 100 - 50 are paid.
    quoted = _quote("4791000002", _call(20, 100))
    assert quoted.events[0].amount_micro == 300_000 + 50 * SECOND
    assert quoted.balance is not None
    assert (quoted.balance.offering, quoted.balance.run_id is None) == ("MEMBER", False)
    # The very call comes: it costs what was said.
    before = _rate()
    _take(family, "second.csv", (2, 20, 100))
    assert _rate()["SUB2"] - before["SUB2"] == quoted.events[0].amount_micro
    # An earlier call takes what later ones had: the charge says what those cost more.
    early = _quote("SUB2", _call(2, 30))
    assert (early.events[0].amount_micro, early.charges[0].micro) == (0, 30 * SECOND)
    assert "use that was rated before changes by 0.30" in early.charges[0].sentences[0]
    # Who used nothing has all of it, and what is said goes before what is looked up.
    assert _left("SUB3") == [Remaining("minutes", 620)]
    own = _quote("SUB3", _call(20, 100), remaining=(Remaining("minutes", 40),))
    assert own.events[0].amount_micro == 300_000 + 60 * SECOND
    with pytest.raises(NotFound, match="No subscription SUB9 is active in 2026-03"):
        _quote("SUB9", _call(20, 100))


def test_what_was_left_is_asked_of_two_clocks(family: Path) -> None:
    """Before a call of the month, and before a run that brought a late one."""
    _take(family, "first.csv", (2, 5, 350), (1, 6, 100))
    _rate()
    first = _quote("SUB1", _call(31, 1)).balance
    assert first is not None
    assert first.known_at is not None
    _take(family, "late.csv", (1, 4, 50))
    _rate()

    def left(day: int | None, known_as_of: datetime | None = None) -> tuple[int, int]:
        at = None if day is None else datetime.fromisoformat(f"{MONTH}-{day:02}T00:00+01:00")
        with transaction() as session:
            quoted = rating.quote(
                session, Asked("", MONTH, (_call(31, 1),)), subscription="SUB1",
                effective_as_of=at, known_as_of=known_as_of,
            )  # fmt: skip
        assert quoted.balance is not None
        (one,) = quoted.balance.remaining
        return one.quantity, one.member_used

    assert [left(day) for day in (4, 5, 6, 7, None)] == [
        (620, 0), (570, 50), (220, 50), (120, 150), (120, 150)
    ]  # fmt: skip
    assert [left(day, first.known_at) for day in (5, 6, None)] == [(620, 0), (270, 0), (170, 100)]
    told = CliRunner().invoke(
        rating_cli,
        ["quote", "--subscription", "+47 91000001", "--usage", "voice", "--called", "4790000009",
         "--start", f"{MONTH}-20T18:00", "--quantity", "9", "--as-of", f"{MONTH}-05T00:00",
         "--known-as-of", first.known_at.isoformat(), "--json"],
    )  # fmt: skip
    balance = json.loads(told.output)["balance"]
    assert (balance["remaining"][0]["quantity"], balance["run_id"]) == (620, 1)


def test_what_is_left_of_top_ups_is_there(family: Path) -> None:
    """A hundred seconds were bought: of them, and of the month's own, what is left."""
    with transaction() as session:
        bought = replace(_line(1, "EXTRA", 10), action="addon", order_id="M77")
        done = party.apply_orders(session, [bought], {"FAMILY", "MEMBER", "EXTRA"})
        assert [outcome.state for outcome in done] == ["applied"], done
    assert _left("SUB1") == [Remaining("minutes", 620), Remaining("minutes", 100, bought=True)]
    _take(family, "first.csv", (1, 11, 400), (2, 12, 260))
    _rate()
    left = _left("SUB2")
    assert [(one.quantity, one.bought) for one in left] == [(0, False), (60, True)]
    quoted = _quote("SUB2", _call(20, 100))
    assert "60 s" in " ".join(quoted.events[0].explanation.sentences)
    assert quoted.events[0].amount_micro == 300_000 + 40 * SECOND


def test_over_rest_and_in_the_terminal(family: Path) -> None:
    """What is left is told beside the price; who may not read customers may not ask for one."""
    _take(family, "first.csv", (2, 5, 350))
    _rate()
    words = ["quote", "--subscription", "SUB2", "--usage", "voice", "--called", "4790000009",
             "--start", f"{MONTH}-20T18:00", "--quantity", "100", "--language", "en"]  # fmt: skip
    told = CliRunner().invoke(rating_cli, words)
    assert told.exit_code == 0, (told.output, told.exception)
    first, left, *_, last = told.output.splitlines()
    assert first.startswith("SUB2, MEMBER, as run 1 left it, ")
    assert (left, last.startswith("Together 0.80: ")) == ("Left of minutes: 270.", True)
    alone = CliRunner().invoke(rating_cli, ["quote", *words[3:]])
    assert "Name an --offering, or a --subscription" in str(alone.exception)
    asked = {"subscription": "SUB2", "period": MONTH, "events": [
        {"usage": "voice", "start": f"{MONTH}-20T18:00", "quantity": 100, "called": "4790000009"}
    ]}  # fmt: skip
    answers = []
    for scopes in (["tariffs:read"], ["tariffs:read", "party:read"]):
        with transaction() as session:
            token = access.add_client(
                session, f"shop{len(scopes)}", scopes, actor="test", now=datetime.now(UTC)
            )
        client = make_app().test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        answers.append(client.post("/api/v1/quotes", json=asked))
    refused, answered = answers
    assert (refused.status_code, refused.json["scope"]) == (403, "party:read")
    assert answered.status_code == 200, answered.data
    assert answered.json["events"][0]["amount"] == "0.80"
    assert answered.json["balance"]["remaining"] == [
        {"allowance": "minutes", "quantity": 270, "months_ago": 0, "bought": False,
         "member_used": 350}
    ]  # fmt: skip
    (charge,) = answered.json["charges"]
    with transaction() as session:
        (payer,) = [
            one
            for one in party.billing_accounts(session)
            if one.number == charge["billing_account"]
        ]
    assert payer.name == ANNA.name
    month = {**asked, "active_from": f"{MONTH}-01", "language": "en",
             "orders": [{"on": "cease", "day": f"{MONTH}-10"}]}  # fmt: skip
    refused = client.post("/api/v1/quotes", json=month)
    assert (refused.status_code, refused.json["type"]) == (422, "/problems/not-active")
    month["orders"][0]["day"] = f"{MONTH}-21"
    told = client.post("/api/v1/quotes", json=month).json["left_out"]
    assert len(told) == 1
    assert told[0].startswith(f"Use of {MONTH} that run 1 has rated (1 events): it is charged alr")
    nothing = client.post("/api/v1/quotes", json={**asked, "subscription": None})
    assert nothing.status_code == 422


@pytest.mark.usefixtures("taken")
def test_an_event_that_brings_its_price_is_quoted_as_it_is_billed(tmp_path: Path) -> None:
    """TAP with mark-up and VAT, a purchase, a refund, and what has no terms."""
    carried._rate()
    events = [
        {"usage": "voice", "start": f"{MONTH}-06T13:00", "quantity": 90, "service": "TAP",
         "price": "2.00", "currency": "EUR"},
        {"usage": "content", "start": f"{MONTH}-04T12:00", "quantity": -1, "service": "829",
         "price": "-29.00", "vat_included": True},
        {"usage": "content", "start": f"{MONTH}-04T12:00", "quantity": 1, "service": "830",
         "price": "5.00"},
        {"usage": "voice", "start": f"{MONTH}-06T13:00", "quantity": 60, "called": "4740000001"},
    ]  # fmt: skip
    (tmp_path / "events.json").write_text(json.dumps(events))
    file = str(tmp_path / "events.json")
    words = ["quote", "--offering", "MOBIL", "--language", "en", "--events", file, "--json"]
    told = CliRunner().invoke(rating_cli, words)
    quoted = json.loads(told.output)
    assert [(one["amount"], one["reason"]) for one in quoted["events"]] == [
        ("31.625", "OK"),
        ("-29.00", "OK"),
        ("0.00", "NO_RATE"),
        ("0.50", "OK"),
    ]
    assert told.exit_code == 1
    record = CliRunner().invoke(carried.trace_cli, ["explain", "1#5", "--language", "en", "--json"])
    billed = json.loads(record.output)[0]
    assert quoted["events"][0]["sentences"][1:] == billed["sentences"][1:]
    one = ["quote", "--offering", "MOBIL", "--usage", "content", "--start", f"{MONTH}-04T12:00",
           "--quantity", "1", "--service", "829", "--price", "49", "--vat-included"]  # fmt: skip
    assert "49,00" in CliRunner().invoke(rating_cli, one).output
    wrong = CliRunner().invoke(rating_cli, [*one[:-2], "4,9"])
    assert "'4,9' is no price" in str(wrong.exception)


taken = carried.taken
CHARGED = (
    "SELECT component, kind, sum(micro)::bigint FROM charge WHERE kind <> 'one_off'"
    " OR charge_ref LIKE 'frame/%' OR charge_ref LIKE 'discount/%' GROUP BY 1, 2 ORDER BY 1, 2"
)
HALF = """
[[discount]]
id = "START"
text = "Startrabatt"
reduces = "month"
percent = "50"
subscriptions = 1
valid_to = 2026-03-11
[[frame]]"""


def _sold(tariff: str, offering: str, *more: str) -> None:
    with transaction() as session:
        ledger.seed_book(session, "NO01")
        ledger.open_periods(session, "NO01", 2026)
        for source in (tariff, *more):
            rating.load_tariff(session, source.encode())
        begun = int(contracts.BEGUN.timestamp())
        added = order(1, "add", begun, offering=offering, imsi=242010000000001)
        done = party.apply_orders(session, [added], {offering})
        assert [outcome.state for outcome in done] == ["applied"], done


def _as_billed(offering: str, *events: Event) -> dict[tuple[str, str], int]:
    """Quote a month, and hold it against what the run charged."""
    asked = Asked(offering, MONTH, events, active_from=date(2026, 3, 1))
    with transaction() as session:
        quoted = rating.quote(session, asked, "en")
    sums: dict[tuple[str, str], int] = {}
    for one in quoted.charges:
        sums[one.component, one.kind] = sums.get((one.component, one.kind), 0) + one.micro
    assert all(one.sentences for one in quoted.charges if one.kind != "usage")
    billed = {(row[0], row[1]): int(row[2]) for row in carried._rows(CHARGED)}
    assert {key: micro for key, micro in sums.items() if micro} == {
        key: micro for key, micro in billed.items() if micro
    }
    return billed


def _surf(octets: int) -> Event:
    at = datetime.fromisoformat("2026-03-29T12:00+02:00")
    return Event("data", at, octets, rating_group=300)


def test_fair_use_and_a_pool_are_quoted_as_they_are_billed(books: str, tmp_path: Path) -> None:
    """80 gigabytes abroad, and a card beyond what it brings."""
    assert books
    source = ROAM + contracts.POOL.replace("included = 1000", f"included = {70 * GB}")
    _sold(source.replace("per = 1000", f"per = {GB}").replace("step = 1000", f"step = {GB}"), "FRI")
    contracts._take(tmp_path, "PGW_0001.dat", 80, 7001)
    contracts._rate()
    billed = _as_billed("FRI", _surf(80 * GB))
    assert billed["surcharge", "usage"] > 20_000_000
    with pytest.raises(Invalid, match="FRI has a volume of fair use, which depends on VAT"):
        quoting.quote(
            [InForce(parse_tariff(ROAM.encode()), *month_span(MONTH))],
            Asked("FRI", MONTH, (_surf(GB),)),
        )


def test_discounts_and_frames_are_quoted_as_they_are_billed(books: str, tmp_path: Path) -> None:
    """A frame of the offering that changes on the 11th, ten days at half price, two versions."""
    assert books
    source = AGREED.replace("[[frame]]", HALF, 1)
    changed = '  percent = "20"\n  valid_from = 2026-01-01\n'
    later = '  [[frame.term]]\n  component = "month"\n  percent = "30"\n'
    source = source.replace(changed, changed + later + "  valid_from = 2026-03-11\n")
    second = "version = 2\nvalid_from = 2026-03-21"
    newer = source.replace("version = 1\nvalid_from = 2026-01-01", second)
    newer = newer.replace("310.00", "620.00")
    _sold(source, "MOBIL", newer)
    _take(tmp_path, "a.csv", (1, 5, 600), (1, 25, 600))
    _rate()
    calls = [
        Event("voice", datetime.fromisoformat(f"{MONTH}-{day}T10:00"), 600, "4790000009")
        for day in ("05", "25")
    ]
    billed = _as_billed("MOBIL", *calls)
    assert billed["voice", "one_off"] == -2_000_000
    assert billed["month", "one_off"] < -100_000_000


def test_on_the_desk(family: Path) -> None:
    """What is left has its unit, the payer is named, and nobody has an unknown number."""
    _take(family, "first.csv", (2, 5, 350), (1, 6, 100))
    _rate()
    client = make_app().test_client()
    enter(client, "operations")
    asked = {"usage": "voice", "called": "4790000009", "at": f"20.03.{MONTH[:4]} 18:00",
             "quantity": "1:40", "subscription": "+47 910 00 002"}  # fmt: skip
    told = text_of(client, f"/tariffs/quote?{urlencode(asked)}")
    assert "4791000002, MEMBER as rating run" in told
    assert "minutes 2 min 50 s" in told.replace("\u00a0", " ")
    assert "paid by 3" in told
    lost = asked | {"subscription": "4799999999"}
    refused = client.get(f"/tariffs/quote?{urlencode(lost)}", headers=PAGE)
    assert refused.status_code == 404
    assert f"No subscription 4799999999 is active in {MONTH}" in refused.text
