"""The sections of a tariff as lines of text: rates, limits, discounts, frames, contracts.

Part of what `hovedbok rating show` prints.
"""

from collections.abc import Iterator

from rating.carried import Carried
from rating.explain import kroner
from rating.frames import NONE, Frame
from rating.tariff_terms import ConditionalDiscount, Offering, SpendLimit, Tariff


def section_lines(tariff: Tariff) -> list[str]:
    """Say what holds for all offerings, in the order of the page docs/pricing.md."""
    return [
        *(["holds what partners ask of us; customers do not pay by it"]
          if tariff.sells == "wholesale" else []),
        *(f"1 {each.currency} is {_plain(each.rate_micro)} {tariff.currency} from {each.valid_from}"
          for each in tariff.exchange),
        *(line for each in tariff.carried for line in _carried(each)),
        *(f"wholesale cap on data abroad {_plain(each.gigabyte_micro)} {each.currency} per gigabyte"
          f" from {each.valid_from}" for each in tariff.roaming_caps),
        *(_limit(each) for each in tariff.spend_limits),
        *(f"consumers are bound {each.months} months at most, from {each.valid_from}"
          for each in tariff.binding_limits),
        *(_discount(each) for each in tariff.discounts),
        *(line for each in tariff.frames for line in _frame(each)),
    ]  # fmt: skip


def contract_lines(offering: Offering) -> list[str]:
    """Say what an offering promises beside its prices."""
    lines = []
    for use in offering.fair_use:
        price = "the cap" if use.price_micro is None else f"{_plain(use.price_micro)}, or the cap"
        counted = ", ".join(use.components)
        lines.append(f"fair use of {counted}; beyond, {price} per gigabyte, {use.surcharge}")
    lines += [
        f"{_plain(each.charge_micro):>10} falling over {each.months} months, {each.component}"
        for each in offering.bindings
    ]
    for pool in offering.pools:
        terms = pool.terms
        lines.append(
            f"pool of {terms.included} a card for {', '.join(pool.components)}; beyond, "
            f"{_plain(terms.price_micro)} per {terms.per}, {pool.overage}"
        )
    for allowance in offering.allowances:
        if allowance.rollover_micro:
            most = "" if allowance.rollover_most is None else f", {allowance.rollover_most} at most"
            lines.append(
                f"{_percent(allowance.rollover_micro)} % of what is left of {allowance.id} rolls "
                f"over{most}, serves {allowance.rollover_months} more months"
            )
    lines += [
        f"adds {each.quantity} to {each.allowance} until the month ends"
        for each in offering.top_ups
    ]
    if offering.frame is not None:
        lines.append(f"terms of frame {offering.frame}")
    return lines


def _carried(each: Carried) -> Iterator[str]:
    added = [
        (each.percent_micro, f"{_percent(each.percent_micro)} %"),
        (each.fixed_micro, _plain(each.fixed_micro)),
        (each.minimum_micro, f"at least {_plain(each.minimum_micro)}"),
        (each.maximum_micro is not None, f"at most {_plain(each.maximum_micro or 0)}"),
    ]
    told = ", ".join(text for given, text in added if given) or "nothing"
    yield (
        f"service {each.service}: the event's own price, {told} added, {each.component} "
        f"from {each.valid_from}"
    )
    if each.sharing is not None:
        sharing = each.sharing
        shares = [
            f"{share.holder} {_percent(share.percent_micro)} % and {_plain(share.fixed_micro)}"
            for share in sharing.shares
        ]
        gift = " (charity)" if sharing.charity else ""
        yield f"  of which {'; '.join([*shares, f'{sharing.provider} the rest'])}{gift}"


def _limit(each: SpendLimit) -> str:
    notify = "".join(f", told at {percent} %" for percent in each.notify)
    stop = ", stops" if each.stop else ""
    return (
        f"limit {each.id} {_plain(each.amount_micro)} {each.currency} a month on "
        f"{', '.join(each.components)} from {each.valid_from}{notify}{stop}"
    )


def _discount(each: ConditionalDiscount) -> str:
    size = f"{_percent(each.percent_micro)} %" if each.percent_micro else _plain(each.amount_micro)
    asked = [
        *([f"{each.at_least} subscriptions"] if each.at_least else []), *each.with_offerings
    ]  # fmt: skip
    whose = f" of {', '.join(each.offerings)}" if each.offerings else ""
    days = f" from {each.valid_from}" if each.valid_from else ""
    days += f" before {each.valid_to}" if each.valid_to else ""
    return (
        f"discount {each.id} {size} off {', '.join(each.reduces)}{whose} with "
        f"{' and '.join(asked)}{days}"
    )


def _frame(each: Frame) -> Iterator[str]:
    yield f"frame {each.id}" + (f" under {each.parent}" if each.parent else "")
    for term in each.terms:
        off = (
            "list price" if term.percent_micro == NONE else f"{_percent(term.percent_micro)} % off"
        )
        yield f"  {off} {term.component} from {term.valid_from}"


def _percent(micro: int) -> str:
    return _plain(micro).rstrip("0").rstrip(".")


def _plain(micro: int) -> str:
    return kroner(micro, "en")
