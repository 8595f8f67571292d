"""Every kind and every term of the tariff format is shown: on the desk's page and in TMF620."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from rating import tariff_terms as terms
from rating.carried import Carried
from rating.dated import Exchange
from rating.frames import Frame, FrameTerm
from rating.iot import PoolTerms
from rating.price_list import price_list, terms_for_all
from rating.revenue_shares import Share, Sharing
from rating.tmf620 import (
    Listed,
    product_offering_prices,
    product_offerings,
    product_specifications,
)

DAY = date(2026, 3, 1)
NAMES = ("surf",)
SHARING = Sharing("Spill AS", "SE", (Share("STREX", 3_500_000, 250_000),), "3", charity=True)
GB = terms.Allowance(
    "gb", NAMES, 1000, prorate=True, increment=5, priority=3, shared=True, member_cap=7,
    valid_from=DAY, valid_to=date(2027, 1, 1), rollover_micro=50_000_000, rollover_most=9,
    rollover_months=2, rollover_first=True,
)  # fmt: skip
OFFERING = terms.Offering(
    id="ONE",
    name="En",
    price_basis="gross",
    recurring=(terms.Recurring("surf", 299_000_000, "days"),),
    one_off=(terms.OneOff("add", "surf", 99_000_000),),
    allowances=(GB, replace(GB, id="first"), replace(GB, id="second")),
    rates=(
        terms.Rate(
            "data", "DATA", "day", "surf", 100_000, 500_000, 100, 60, 200_000,
            (terms.Step(500, 400_000, 10, 30),), whole_step=True, until=9000,
            max_charge_micro=9_000_000, rounding="up", round_to_micro=10_000,
        ),
    ),
    fair_use=(terms.FairUse(NAMES, "surf", 20_000_000, 1000),),
    bindings=(terms.Binding("surf", 12, 2_400_000_000),),
    pools=(terms.Pool(NAMES, "surf", PoolTerms(1000, 2_000_000, 10, 20, 30, 40), "fleet"),),
    frame="KOMMUNE",
    top_ups=(terms.TopUp("first", 500),),
)  # fmt: skip
FULL = terms.Tariff(
    name="FULL",
    version=1,
    valid_from=DAY,
    currency="XDR",
    time_zone="Europe/Oslo",
    zones=(terms.Zone("DATA", (), (100,)),),
    bands=(terms.Band("day", 0, (1,), 0),),
    components=(
        terms.Component("surf", "Mobildata", "data", "3", "octet"),
        terms.Component("tv", "TV", "data", "3", "octet"),
    ),
    offerings=(OFFERING,),
    holidays=(DAY,),
    sells="wholesale",
    exchange=(Exchange("EUR", DAY, 11_500_000),),
    carried=(Carried("1980", "surf", DAY, 10_000_000, 500_000, 1_000_000, 25_000_000, SHARING),),
    roaming_caps=(terms.RoamingCap(DAY, "EUR", 1_100_000),),
    spend_limits=(terms.SpendLimit("roam", NAMES, DAY, "EUR", 50_000_000, (80,), stop=True),),
    binding_limits=(terms.BindingLimit(DAY, 12),),
    discounts=(
        terms.ConditionalDiscount(
            "PAIR", "Parrabatt", NAMES, ("ONE",), 12_500_000, 5_000_000, 2, ("ONE",), DAY,
            date(2027, 1, 1),
        ),
    ),
    frames=(Frame("KOMMUNE", "STAT", (FrameTerm("surf", 10_000_000, DAY),)),),
)  # fmt: skip
# What is no price: on the page in places of its own, or in every resource.
ELSEWHERE = {
    "name", "version", "valid_from", "time_zone", "zones", "bands", "components", "holidays",
    "band_split", "refunds",
}  # fmt: skip


def desk(tariff: terms.Tariff) -> str:
    """Give what the page of a tariff says of prices."""
    lists = [
        (one.id, one.name, one.price_basis, price_list(tariff, one)) for one in tariff.offerings
    ]
    return str((lists, terms_for_all(tariff)))


def tmf(tariff: terms.Tariff) -> str:
    """Give the resources of a tariff."""
    listed = [Listed(tariff, "approved", None, datetime(2026, 3, 1, tzinfo=UTC))]
    return json.dumps([
        product_offerings(listed, DAY), product_offering_prices(listed, DAY),
        product_specifications(listed, DAY),
    ])  # fmt: skip


def other(value: Any) -> Any:
    """Give another value of the kind; what is named stays what exists."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1_000_000
    if isinstance(value, date):
        return value + timedelta(days=1)
    if isinstance(value, tuple):
        return (*value, other(value[0]))
    existing = {"surf": "tv", "data": "sms", "first": "second"}
    return existing.get(value, f"{value}x")


def changed(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Change one leaf after the other; gives its path and the whole value with it changed."""
    for field in fields(value):
        here = f"{path}{field.name}"
        item = getattr(value, field.name)
        if not path and field.name in ELSEWHERE:
            continue
        if is_dataclass(item):
            for where, new in changed(item, f"{here}."):
                yield where, replace(value, **{field.name: new})
        elif isinstance(item, tuple) and is_dataclass(item[0]):
            for where, new in changed(item[0], f"{here}."):
                yield where, replace(value, **{field.name: (new, *item[1:])})
        else:
            yield here, replace(value, **{field.name: other(item)})


def kinds(value: Any) -> Iterator[tuple[str, Any]]:
    """List every field of a value and of what is inside, with what it holds."""
    for field in fields(value):
        item = getattr(value, field.name)
        yield f"{type(value).__name__}.{field.name}", item
        for one in item if isinstance(item, tuple) else (item,):
            if is_dataclass(one):
                yield from kinds(one)


def test_the_tariff_of_this_test_has_every_kind() -> None:
    """A kind that the format learns must be added here, and is then held against both readings."""
    empty = {name for name, item in kinds(FULL) if item is None or item == ()}
    # Of structure, no price: the zone holds rating groups, the band every month.
    assert empty == {"Zone.prefixes", "Band.months", "Band.month_days", "Component.partner"}


@pytest.mark.parametrize("shown", [desk, tmf])
def test_every_term_is_shown(shown: Any) -> None:
    """Whatever is changed, what is shown changes: nothing of a price is left out."""
    before = shown(FULL)
    seen = [path for path, tariff in changed(FULL) if shown(tariff) != before]
    every = [path for path, _ in changed(FULL)]
    assert len(every) > 70
    assert sorted(set(every) - set(seen)) == []
