"""What the sections of a tariff file may get wrong although each key is right.

Names that point nowhere, two things said from one day on, and what a promise needs and lacks.
"""

from collections.abc import Iterable, Iterator
from datetime import date

from rating.tariff_terms import Offering, Tariff


def wrong_sections(tariff: Tariff) -> list[str]:
    """Find sections that point nowhere, say two things from one day on, or lack what they need."""
    components = {component.id for component in tariff.components}
    named = [
        *((f"carried[{n}].component", each.component) for n, each in enumerate(tariff.carried, 1)),
        *(
            (f"spend_limit[{n}].component", name)
            for n, each in enumerate(tariff.spend_limits, 1)
            for name in each.components
        ),
        *(
            (f"discount[{n}].reduces", name)
            for n, each in enumerate(tariff.discounts, 1)
            for name in each.reduces
        ),
        *(
            (f"frame[{n}].term[{place}].component", term.component)
            for n, each in enumerate(tariff.frames, 1)
            for place, term in enumerate(each.terms, 1)
        ),
        *_named_in_offerings(tariff.offerings),
    ]
    faults = [
        *(
            f"{where}: there is no component {name!r}"
            for where, name in named
            if name not in components
        ),
        *_same_day("exchange", ((each.currency, each.valid_from) for each in tariff.exchange)),
        *_same_day("carried", ((each.service, each.valid_from) for each in tariff.carried)),
        *_same_day("roaming_cap", (("cap", each.valid_from) for each in tariff.roaming_caps)),
        *_same_day("spend_limit", ((each.id, each.valid_from) for each in tariff.spend_limits)),
        *_same_day("binding_limit", (("limit", each.valid_from) for each in tariff.binding_limits)),
        *(
            f"exchange[{number}].currency: {each.currency} is the tariff's own"
            for number, each in enumerate(tariff.exchange, 1)
            if each.currency == tariff.currency
        ),
    ]
    if tariff.sells == "retail" and tariff.currency != "NOK":
        faults.append("currency: customers pay in NOK; only a wholesale tariff is in another")
    return faults or [
        *_two_providers(tariff),
        *_wrong_fair_use(tariff),
        *_wrong_bindings(tariff),
        *_wrong_discounts(tariff),
        *_wrong_frames(tariff),
        *_wrong_pools(tariff),
    ]


def _two_providers(tariff: Tariff) -> Iterator[str]:
    """A component is one provider's: its charges are shared as a whole."""
    service: dict[str, str] = {}
    for number, each in enumerate(tariff.carried, 1):
        if each.sharing is not None and service.setdefault(each.component, each.service) != (
            each.service
        ):
            yield (
                f"carried[{number}].component: {each.component} is shared as that of service "
                f"{service[each.component]}; give this one a component of its own"
            )


def _wrong_pools(tariff: Tariff) -> Iterator[str]:
    """What many plans use together has one price, whoever brings how much of it."""
    first: dict[str, tuple[str, tuple[object, ...]]] = {}
    for number, offering in enumerate(tariff.offerings, 1):
        named = [each.id for each in offering.pools if each.id is not None]
        for place, each in enumerate(offering.pools, 1):
            if each.id is None:
                continue
            where = f"offering[{number}].pool[{place}].id"
            price = (each.overage, each.scope, each.terms.price_micro, each.terms.per,
                     each.terms.step, offering.price_basis)  # fmt: skip
            owner, known = first.setdefault(each.id, (offering.id, price))
            if named.count(each.id) > 1:
                yield f"{where}: {each.id} is given twice in one offering"
            elif known != price:
                yield (
                    f"{where}: {each.id} is a pool of {owner} too, with another overage, scope, "
                    "price, per, step or price_basis; what is shared has one price"
                )


def _wrong_discounts(tariff: Tariff) -> Iterator[str]:
    offerings = {offering.id for offering in tariff.offerings}
    seen: set[str] = set()
    for number, each in enumerate(tariff.discounts, 1):
        if each.id in seen:
            yield f"discount[{number}].id: {each.id} is given twice"
        seen.add(each.id)
        for key, names in (("offerings", each.offerings), ("with", each.with_offerings)):
            for name in names:
                if name not in offerings:
                    yield f"discount[{number}].{key}: there is no offering {name!r}"


def _wrong_frames(tariff: Tariff) -> Iterator[str]:
    place: dict[str, int] = {}
    for number, each in enumerate(tariff.frames):
        place.setdefault(each.id, number)
    for number, each in enumerate(tariff.frames, 1):
        if place[each.id] != number - 1:
            yield f"frame[{number}].id: {each.id} is given twice"
        if each.parent is not None and each.parent not in place:
            yield f"frame[{number}].parent: there is no frame {each.parent!r}"
        yield from _same_day(
            f"frame[{number}].term", ((term.component, term.valid_from) for term in each.terms)
        )
        above, steps = each.parent, 0
        while above in place and steps <= len(place):
            above, steps = tariff.frames[place[above]].parent, steps + 1
        if steps > len(place):
            yield f"frame[{number}].parent: the frames above {each.id} go in a circle"
    for number, offering in enumerate(tariff.offerings, 1):
        if offering.frame is not None and offering.frame not in place:
            yield f"offering[{number}].frame: there is no frame {offering.frame!r}"


def _named_in_offerings(offerings: Iterable[Offering]) -> Iterator[tuple[str, str]]:
    for number, offering in enumerate(offerings, 1):
        for place, each in enumerate(offering.fair_use, 1):
            where = f"offering[{number}].fair_use[{place}]"
            yield from ((f"{where}.component", name) for name in each.components)
            yield f"{where}.surcharge", each.surcharge
        for place, shared in enumerate(offering.pools, 1):
            where = f"offering[{number}].pool[{place}]"
            yield from ((f"{where}.component", name) for name in shared.components)
            yield f"{where}.overage", shared.overage
        for place, bound in enumerate(offering.bindings, 1):
            yield f"offering[{number}].binding[{place}].component", bound.component


def _wrong_fair_use(tariff: Tariff) -> Iterator[str]:
    """Fair use needs a price at home, of one VAT code, and a cap from the first day on."""
    vat = {component.id: component.vat for component in tariff.components}
    starts = tariff.valid_from.replace(day=1)
    for number, offering in enumerate(tariff.offerings, 1):
        if not offering.fair_use:
            continue
        where = f"offering[{number}].fair_use"
        codes = {vat.get(each.component) for each in offering.recurring}
        if len(codes) != 1:
            yield f"{where}: needs monthly prices of one VAT code; the volume is a part of them"
        if not _cap_on(tariff, starts):
            yield (
                f"{where}: there is no wholesale cap on {starts}, or no rate of its currency; "
                "add a [[roaming_cap]] and [[exchange]]"
            )


def _cap_on(tariff: Tariff, day: date) -> bool:
    caps = sorted(
        (cap for cap in tariff.roaming_caps if cap.valid_from <= day),
        key=lambda cap: cap.valid_from,
    )
    return bool(caps) and (
        caps[-1].currency == tariff.currency
        or any(
            each.currency == caps[-1].currency and each.valid_from <= day
            for each in tariff.exchange
        )
    )


def _wrong_bindings(tariff: Tariff) -> Iterator[str]:
    """Consumers, whose prices hold VAT, are bound no longer than the law allows."""
    allowed = sorted(
        (limit.valid_from, limit.months)
        for limit in tariff.binding_limits
        if limit.valid_from <= tariff.valid_from
    )
    for number, offering in enumerate(tariff.offerings, 1):
        for place, binding in enumerate(offering.bindings, 1):
            if allowed and offering.price_basis == "gross" and binding.months > allowed[-1][1]:
                yield (
                    f"offering[{number}].binding[{place}].months: consumers may be bound to "
                    f"{allowed[-1][1]} months at most"
                )


def _same_day(section: str, named: Iterable[tuple[str, date]]) -> Iterator[str]:
    seen: set[tuple[str, date]] = set()
    for number, (name, day) in enumerate(named, 1):
        if (name, day) in seen:
            yield f"{section}[{number}]: {name} from {day} is given twice"
        seen.add((name, day))
