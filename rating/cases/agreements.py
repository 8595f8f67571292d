"""Cases about large customers and partners: frame_terms, pool_month, maritime_account."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rating.cases.fields import Fields
from rating.cases.numbers import decimal_text
from rating.cases.services import millionths, positive_millionths
from rating.dated import Dated, day_number
from rating.frames import NONE, NOT_STATED, Frame, FrameTerm, frame_percents
from rating.iot import PoolTerms, pool_month
from rating.maritime import (
    GOLD_FRANC,
    SDR,
    MaritimeItems,
    account_items,
    check_authority,
    due_on,
)
from rating.rounding import FITS, MICRO
from rating.usage import MAX_QUANTITY, Reason

_UNITS = {"XDR": SDR, "gold_franc": GOLD_FRANC}


def frame_terms(given: Mapping[str, Any]) -> dict[str, Any]:
    """Say what holds for each frame and component on a day; null where nothing is agreed."""
    fields = Fields(given)
    components = [
        value if isinstance(value, str) else "" for _, value in fields.items("components")
    ]
    frames = [_frame(item, components) for item in fields.objects("frames")]
    names = [frame.id for frame in frames]
    for item, frame in zip(fields.objects("frames"), frames, strict=True):
        if frame.parent is not None and frame.parent not in names:
            raise item.fault("parent", f"names no frame: {frame.parent!r}")
    percents = frame_percents(frames, components, fields.day("on"))
    return {
        "percents": [
            [None if each == NOT_STATED else decimal_text(each, MICRO) for each in row]
            for row in percents.tolist()
        ]
    }


def _frame(item: Fields, components: list[str]) -> Frame:
    terms = []
    for term in item.objects("terms", needed=False):
        name = term.text("component")
        if name not in components:
            raise term.fault("component", f"names no component: {name!r}")
        none = term.flag("none", default=False)
        percent = NONE if none else millionths(term, "percent")
        terms.append(FrameTerm(name, percent, term.day("valid_from")))
    parent = item.text("parent") if item.has("parent") else None
    return Frame(item.text("id"), parent, tuple(terms))


def pool_of_cards(given: Mapping[str, Any]) -> dict[str, Any]:
    """Settle a month of one pool, card by card."""
    fields = Fields(given)
    terms = PoolTerms(
        included=fields.within("included", 0, MAX_QUANTITY),
        price_micro=millionths(fields, "price"),
        per=fields.within("per", 1, MAX_QUANTITY, 1),
        step=fields.within("step", 1, MAX_QUANTITY, 1),
        increment=fields.within("increment", 1, MAX_QUANTITY, 1),
        minimum=fields.within("minimum", 0, MAX_QUANTITY, 0),
    )
    names = [value if isinstance(value, str) else "" for _, value in fields.items("cards")]
    sessions = fields.objects("sessions")
    whose = [item.text("card") for item in sessions]
    for item, name in zip(sessions, whose, strict=True):
        if name not in names:
            raise item.fault("card", f"names no card: {name!r}")
    cards, pools = pool_month(
        terms, np.arange(len(names)), np.zeros(len(names), np.int64),
        np.array([names.index(name) for name in whose], np.int64),
        np.array([item.within("octets", 0, MAX_QUANTITY) for item in sessions], np.int64),
    )  # fmt: skip
    some = len(pools.pool) > 0
    return {
        "used": str(int(pools.used[0])) if some else "0",
        "included": str(int(pools.included[0])) if some else "0",
        "overage": str(int(pools.overage[0])) if some else "0",
        "amount": decimal_text(int(pools.amount_micro[0]), MICRO) if some else "0",
        "cards": [
            {"card": names[n], "sessions": str(int(cards.sessions[n])),
             "octets": str(int(cards.octets[n])),
             "amount": decimal_text(int(cards.amount_micro[n]), MICRO)}
            for n in range(len(names))
        ],
    }  # fmt: skip


def maritime_account(given: Mapping[str, Any]) -> dict[str, Any]:
    """Sum items of ships' accounts, in SDR and in kroner."""
    fields = Fields(given)
    items = fields.objects("items")
    authorities = sorted({check_authority(item.text("authority")) for item in items})
    services = sorted({item.text("service") for item in items})
    known = fields.objects("rate")
    rates = Dated.of(
        "rate of XDR",
        [(item.day("valid_from"), positive_millionths(item, "rate")) for item in known],
    )
    charges = np.zeros((3, len(items)), np.int64)
    for place, item in enumerate(items):
        parts = item.numbers("charges")
        if not 1 <= len(parts) <= 3 or any(part.decimals > 6 for part in parts):
            raise item.fault("charges", "needs one to three charges of at most six decimals")
        if any(abs(part.scaled(MICRO)) >= FITS for part in parts):
            raise item.fault("charges", "do not fit in 62 bits of millionths")
        charges[: len(parts), place] = [part.scaled(MICRO) for part in parts]
    done = account_items(
        MaritimeItems(
            np.array([authorities.index(item.text("authority")) for item in items], np.int32),
            np.array([_ship(item) for item in items], np.int64),
            np.array([day_number(item.day("on")) for item in items], np.int64),
            np.array([services.index(item.text("service")) for item in items], np.int32),
            np.array([_UNITS[item.choice("unit", tuple(_UNITS))] for item in items], np.int32),
            *charges,
        ),
        rates,
    )
    told = done.accounts
    return {
        "rejected": [
            Reason(int(reason)).name.lower() if reason else None for reason in done.reason
        ],
        "due": due_on(fields.day("dispatched")).isoformat() if fields.has("dispatched") else None,
        "accounts": [
            {"authority": authorities[int(told.authority[n])], "ship": str(int(told.ship[n])),
             "month": str(np.datetime64(int(told.month[n]), "M")),
             "service": services[int(told.service[n])], "items": str(int(told.items[n])),
             "sdr": decimal_text(int(told.sdr_micro[n]), MICRO),
             "amount": decimal_text(int(told.own_micro[n]), MICRO)}
            for n in range(len(told.ship))
        ],
    }  # fmt: skip


def _ship(item: Fields) -> int:
    """Read a ship's MMSI: nine digits."""
    found = item.whole("ship")
    if not 0 <= found < 10**9:
        raise item.fault("ship", "needs the nine digits of an MMSI")
    return found


KINDS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "frame_terms": frame_terms,
    "maritime_account": maritime_account,
    "pool_month": pool_of_cards,
}
