"""Cases about sessions: session, band_segments, prefix_lookup, affordable_quantity.

A session case becomes a tariff book for each of its versions and a batch of usage, and goes through
`rating.pipeline.rate` as a month of production does. Local tariff time is a clock that never
changes. Units are chosen so that every figure is a whole number; only the rounding of the case
rounds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ledger.errors import Invalid
from rating.cases.fields import Fields
from rating.cases.numbers import Figure, decimal_text, units_for
from rating.cases.tariffs import (
    Scale,
    Version,
    bands_of,
    instant_of,
    names_of,
    prefixes_of,
    read_version,
    scale_for,
    shortest,
    steps_of,
    tariff_of,
)
from rating.clock import even_clock, stretches, timeline
from rating.pieces import Session, pieces
from rating.pipeline import rate
from rating.prefixes import best_rows, compile_matches
from rating.pricing import affordable_units, price_exactly, timelines
from rating.tariff import TariffBook, compile_tariff, in_force
from rating.tariff_tables import day_plan
from rating.tariff_terms import BAND_SPLITS, SPLIT_CARRY, START_BAND, TariffInvalid
from rating.usage import (
    MAX_CALL_SECONDS,
    MAX_QUANTITY,
    Int16,
    Int64,
    Reason,
    UsageBatch,
    check_usage,
)
from rating.zones import compile_text_zones, encode_texts

_NEVER, _ALWAYS = 2**62, -(2**62)
_TOO_FINE = Invalid(
    "/given/tariff: the prices of a zone do not fit in 64 bits in one unit in which nothing is "
    "lost. Use the same `per` in all steps of the zone, or fewer digits.",
    pointer="/given/tariff",
)
_LONGEST = 100 * 366 * 86_400  # seconds that are cut into bands
_MAX_TICKS = 10**9  # in a second: the instants of any year people price in fit in int64
_NO_RATE = (Reason.NO_ZONE, Reason.NO_RATE)
_USAGE = {"voice": 1, "sms": 2}  # what lasts on the clock, and what is only counted


@dataclass(frozen=True, slots=True)
class _Event:
    pointer: str
    id: str | int
    start: Figure
    quantity: Figure
    destination: str
    continuation: bool
    elapsed: Figure


def evaluate_session(given: Mapping[str, Any]) -> dict[str, Any]:
    """Charge the events of a case, or say why one has no price."""
    fields = Fields(given)
    policy = fields.optional_object("policy") or Fields({}, "/given/policy")
    if policy.value.get("increment_price_rounding") is not None:
        raise policy.fault(
            "increment_price_rounding",
            "is not supported: a price is never rounded before it is multiplied",
        )
    split = policy.choice("band_split", BAND_SPLITS, SPLIT_CARRY)
    tariff = fields.object("tariff")
    versions = [read_version(version) for version in tariff.objects("versions")]
    events = [_event(event) for event in fields.objects("events")]
    scale = scale_for(
        versions,
        (figure for event in events for figure in (event.start, event.quantity, event.elapsed)),
        policy.rounding("event_rounding"),
    )
    if scale.quantity > _MAX_TICKS:
        raise fields.fault("events", "are finer than a billionth of a second")
    chosen = in_force(
        _instants([v.valid_from for v in versions], _ALWAYS, scale),
        _instants([event.start for event in events], _ALWAYS, scale),
    ).tolist()
    charges: list[dict[str, Any]] = [{} for _ in events]
    for number in sorted(set(chosen)):
        places = [place for place, version in enumerate(chosen) if version == number]
        own = [events[place] for place in places]
        version = versions[number] if number >= 0 else None
        for place, charge in zip(places, _charges(version, own, scale, split), strict=True):
            charges[place] = charge
    return {"charges": charges}


def _event(event: Fields) -> _Event:
    start = event.moment("start")
    assert start is not None
    return _Event(
        pointer=event.pointer,
        id=_identity(event),
        start=shortest(instant_of(start)),
        quantity=event.number("quantity"),
        destination=event.text("destination", ""),
        continuation=event.flag("continuation", default=False),
        elapsed=event.not_negative("elapsed_before", Figure(0)),
    )


def _identity(fields: Fields) -> str | int:
    """Read the name that a result points back with."""
    found = fields.value.get("id")
    if isinstance(found, str) or (isinstance(found, int) and not isinstance(found, bool)):
        return found
    raise fields.fault("id", "is missing" if found is None else "needs a text")


def _instants(moments: Sequence[Figure | None], absent: int, scale: Scale) -> Int64:
    found = [absent if moment is None else _fitting(moment, scale.quantity) for moment in moments]
    return np.array(found, np.int64)


def _fitting(figure: Figure, units: int) -> int:
    """Scale a figure that must fit in a column."""
    scaled = figure.scaled(units)
    if abs(scaled) >= _NEVER:
        raise Invalid(f"{decimal_text(scaled, units)} is too large: the case needs a unit of "
                      f"1/{units}, and no more than {_NEVER // units} fits.")  # fmt: skip
    return scaled


def _charges(
    version: Version | None, events: Sequence[_Event], scale: Scale, split: str
) -> list[dict[str, Any]]:
    """Rate the events of one version through the pipeline that bills."""
    if version is None:
        return [{"event": event.id, "rejected": "no_rate"} for event in events]
    banded = any(price.band is not None for price in version.rates)
    usage = "voice" if banded and split != START_BAND else "sms"
    texts, zone_map = compile_text_zones(version.prefixes)
    try:
        book = compile_tariff(
            tariff_of(version, scale, split, usage),
            units_per_currency=scale.currency,
            units_per_quantity=scale.quantity,
            clock=even_clock(),
            zone_map=zone_map,
        )
    except (TariffInvalid, OverflowError):
        raise _TOO_FINE from None
    none = np.zeros(len(events), np.int32)
    batch = check_usage(
        event_key=np.arange(len(events)),
        started_at=_instants([event.start for event in events], _ALWAYS, scale),
        quantity=_instants([event.quantity for event in events], 0, scale),
        usage_type=np.full(len(events), _USAGE[usage], np.int16),
        called=encode_texts(texts, [event.destination for event in events]),
        rating_group=none,
        subscription=none,
        offering=none,
        elapsed_before=_instants([event.elapsed for event in events], 0, scale),
        continuation=np.array([event.continuation for event in events], np.bool_),
    )
    rated = rate(batch, book)
    amounts = rated.amount_micro.tolist()
    for row in np.flatnonzero(rated.reason == Reason.OVERFLOW).tolist():
        amounts[row] = _of_any_size(batch, book, int(rated.zone[row]), row)
    return _outcomes(events, amounts, rated.reason, scale)


def _of_any_size(batch: UsageBatch, book: TariffBook, zone: int, row: int) -> int:
    """Price an event whose amount no column holds: in production it is suspended."""
    usage, quantity = int(batch.usage_type[row]), int(batch.quantity[row])
    start, ticks = int(batch.started_at[row]), book.units_per_quantity
    assert batch.elapsed_before is not None
    assert batch.continuation is not None
    spans, end = usage == _USAGE["voice"], start + abs(quantity)
    session = Session(
        int(book.cube[0, usage - 1, zone]), start, abs(quantity), spans,
        int(batch.elapsed_before[row]),
    )  # fmt: skip
    lines = timelines(book, start // ticks, -(-end // ticks) if spans else start // ticks)
    parts = list(pieces(book, lines, session))
    amount = price_exactly(book, parts, continued=bool(batch.continuation[row]))
    return -amount if quantity < 0 else amount


def _outcomes(
    events: Sequence[_Event], amounts: Sequence[int], reasons: Int16, scale: Scale
) -> list[dict[str, Any]]:
    charges = []
    for event, amount, number in zip(events, amounts, reasons.tolist(), strict=True):
        reason = Reason(number)
        if reason in (Reason.OK, Reason.OVERFLOW):
            charges.append({"event": event.id, "amount": decimal_text(amount, scale.currency)})
        elif reason in _NO_RATE:
            charges.append({"event": event.id, "rejected": "no_rate"})
        else:
            allowed = (
                f"a call that bands price lasts {MAX_CALL_SECONDS // 86_400} days at most "
                f"and ends before 9999, and a quantity is at most {MAX_QUANTITY // scale.quantity}"
                if reason is Reason.OUT_OF_RANGE
                else f"the case needs units of 1/{scale.currency}"
            )
            raise Invalid(
                f"{event.pointer} cannot be priced: {reason.name}; {allowed}.",
                pointer=event.pointer,
            )
    return charges


def band_segments(given: Mapping[str, Any]) -> dict[str, Any]:
    """Cut an event where the band changes and at local midnight."""
    fields = Fields(given)
    bands, event = bands_of(fields), fields.object("event")
    moment = event.moment("start")
    assert moment is not None
    start, quantity = shortest(instant_of(moment)), event.not_negative("quantity")
    if quantity.digits > _LONGEST * 10**quantity.decimals:
        raise event.fault("quantity", "lasts longer than a hundred years")
    ticks = units_for([start, quantity])
    begin, length = start.scaled(ticks), quantity.scaled(ticks)
    names: list[str | None] = list(dict.fromkeys(band.id for band in bands))
    line = timeline(
        day_plan(bands, names), even_clock(),
        begin // ticks, -(-(begin + length) // ticks), by_day=True, ticks=ticks,
    )  # fmt: skip
    slots, lengths = stretches(line, begin, begin + length)
    return {
        "segments": [
            {"band": names[slot] if slot >= 0 else None, "seconds": decimal_text(seconds, ticks)}
            for slot, seconds in zip(slots.tolist(), lengths.tolist(), strict=True)
        ]
    }


def prefix_lookup(given: Mapping[str, Any]) -> dict[str, Any]:
    """Find the row whose prefixes match a record best, key by key."""
    fields = Fields(given)
    rows, keys = fields.objects("rates"), names_of(fields, "keys")
    if not keys:
        raise fields.fault("keys", "is empty: nothing says what a record is matched by")
    record = fields.object("record")
    table = compile_matches(
        [prefixes_of(row.object("match")) for row in rows],
        keys,
        _validity(rows, "valid_from", _ALWAYS),
        _validity(rows, "valid_to", _NEVER),
    )
    ids = [_identity(row) for row in rows]
    at = _validity([fields], "at", 0) if fields.has("at") else None
    columns = [[record.text(key, "")] for key in keys]
    found = int(best_rows(table, columns, at)[0])
    return {"rate": ids[found] if found >= 0 else None}


def _validity(rows: Sequence[Fields], name: str, absent: int) -> Int64:
    """Read a moment of each row as microseconds since 1970."""
    moments = [row.moment(name, None) for row in rows]
    return np.array(
        [absent if m is None else instant_of(m).scaled(10**6) for m in moments], np.int64
    )


def affordable_quantity(given: Mapping[str, Any]) -> dict[str, Any]:
    """Count the whole increments that money pays for; proportional use counts by whole units."""
    fields = Fields(given)
    money, setup = fields.number("money"), fields.not_negative("setup_fee", Figure(0))
    steps = steps_of(fields)
    if len(steps) != 1 or steps[0].start:
        raise fields.fault("steps", "needs one step from 0")
    step = steps[0]
    if not step.price:
        raise fields.fault("steps", "has no price: what is free has no limit")
    increment = step.increment or Figure(1)
    ticks, units = units_for([step.per, increment]), units_for([money, setup, step.price])
    columns = [
        np.array([figure.scaled(scale)], object)
        for figure, scale in ((money, units), (setup, units), (step.price, units),
                              (step.per, ticks), (increment, ticks))
    ]  # fmt: skip
    return {"quantity": decimal_text(int(affordable_units(*columns)[0]), ticks)}


KINDS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "session": evaluate_session,
    "band_segments": band_segments,
    "prefix_lookup": prefix_lookup,
    "affordable_quantity": affordable_quantity,
}
