"""Cases about what a contract promises: fair_use, spend_limit, binding_rest."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rating.binding import remaining_charges, term_end
from rating.cases.fields import Fields
from rating.cases.numbers import Figure, decimal_text
from rating.cases.services import millionths, positive_millionths
from rating.dated import day_number, day_of
from rating.fair_use import BASIS_POINTS, fair_use_volume, within_volumes
from rating.rounding import MICRO, share_of
from rating.spend_limits import NO_LIMIT, judge
from rating.usage import MAX_QUANTITY

_GIGABYTE = 2**30
_MOST_PERCENT, _MOST_MONTHS = 10**6, 12_000


def fair_use(given: Mapping[str, Any]) -> dict[str, Any]:
    """Give the volume of fair use, and what events beyond it cost on top."""
    fields = Fields(given)
    price = np.array([millionths(fields, "price")], np.int64)
    of_gross = fields.choice("price_is", ("net", "gross")) == "gross"
    percent = fields.not_negative("vat_percent", Figure(0))
    if percent.decimals > 2:
        raise fields.fault("vat_percent", "has more than two decimals")
    vat = percent.scaled(100) if of_gross else 0
    cap = share_of(
        np.array([positive_millionths(fields, "cap")], np.int64),
        positive_millionths(fields, "rate", Figure(1)), MICRO,
    )  # fmt: skip
    if not int(cap[0]):
        raise fields.fault("cap", "comes to less than a millionth at that rate")
    gigabyte = fields.within("octets", 1, MAX_QUANTITY, _GIGABYTE)
    volume = fair_use_volume(price, vat, int(cap[0]), gigabyte)
    used = np.array(
        [item.within("octets", 0, MAX_QUANTITY) for item in fields.objects("events")], np.int64
    )
    beyond = used - within_volumes(used, volume, np.zeros(len(used), np.int64))
    amount = share_of(beyond, int(cap[0]) * (BASIS_POINTS + vat), BASIS_POINTS * gigabyte)
    return {
        "volume": str(int(volume[0])),
        "beyond": [str(each) for each in beyond.tolist()],
        "surcharges": [decimal_text(int(each), MICRO) for each in amount.tolist()],
    }


def spend_limit(given: Mapping[str, Any]) -> dict[str, Any]:
    """Say which event reached which threshold, and what lies beyond the limit."""
    fields = Fields(given)
    limit = millionths(fields, "limit") if fields.has("limit") else NO_LIMIT
    levels = fields.numbers("notify", needed=False)
    if any(each.decimals or not 1 <= each.digits <= _MOST_PERCENT for each in levels):
        raise fields.fault("notify", f"needs whole per cents from 1 to {_MOST_PERCENT}")
    notify = [each.digits for each in levels]
    events = fields.objects("events")
    judged = judge(
        np.array([millionths(item, "cost") for item in events], np.int64),
        np.zeros(1 if events else 0, np.int64),
        np.full(1 if events else 0, limit, np.int64),
        notify,
        stop=fields.flag("stop", default=True),
    )
    names = [item.text("id") for item in events]
    return {
        "reached": [
            {"event": names[place], "percent": str(percent)}
            for place, percent in zip(judged.place.tolist(), judged.percent.tolist(), strict=True)
        ],
        "beyond": [decimal_text(each, MICRO) for each in judged.beyond.tolist()],
        "stopped": judged.stopped.tolist(),
    }


def binding_rest(given: Mapping[str, Any]) -> dict[str, Any]:
    """Give what is left of a binding period on the day it is ended."""
    fields = Fields(given)
    charge = np.array([millionths(fields, "charge")], np.int64)
    begun, ceased = (
        np.array([day_number(fields.day(name))], np.int64) for name in ("begun", "ceased")
    )
    ends = term_end(begun, np.array([fields.within("months", 0, _MOST_MONTHS)], np.int64))
    rest = remaining_charges(charge, begun, ends, ceased)
    try:
        last = day_of(int(ends[0])).isoformat()
    except ValueError:
        raise fields.fault("months", "end behind the year 9999") from None
    return {"ends": last, "rest": decimal_text(int(rest[0]), MICRO)}


KINDS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "binding_rest": binding_rest,
    "fair_use": fair_use,
    "spend_limit": spend_limit,
}
