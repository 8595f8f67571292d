"""What a quote of a subscription that nobody has cannot know, in sentences.

Only what the offering's own tariff makes depend on who has it is told.
"""

from collections.abc import Iterator, Sequence

from rating.phrases import PHRASES, Language
from rating.quoted_asking import Asked
from rating.tariff_terms import ConditionalDiscount
from rating.versions import InForce


def left_out_of_nobody(
    versions: Sequence[InForce], asked: Asked, language: Language
) -> Iterator[str]:  # fmt: skip
    """Say what a real subscription may be charged beside, or otherwise."""
    say = PHRASES[language]
    tariffs = [one.book.tariff for one in versions]
    sold = [terms for each in tariffs for terms in each.offerings if terms.id == asked.offering]
    monthly = {price.component for terms in sold for price in terms.recurring}
    hanging = dict.fromkeys(
        f"{terms.text} ({terms.id})"
        for each in tariffs
        for terms in each.discounts
        if asked.active_from is not None and _hangs_on_others(terms, asked.offering, monthly)
    )
    if hanging:
        yield say["without_discounts"].format(names=", ".join(hanging))
    if any(each.frames for each in tariffs):
        yield say["without_frame"]
    if asked.events and any(terms.pools for terms in sold):
        yield say["without_pool"]
    if asked.events and any(one.shared for terms in sold for one in terms.allowances):
        yield say["without_sharers"]
    ceased = any(order.on == "cease" for order in asked.orders)
    if ceased and any(terms.bindings for terms in sold):
        yield say["without_binding"]


def _hangs_on_others(terms: ConditionalDiscount, offering: str, monthly: set[str]) -> bool:
    """Tell whether a discount is off this offering, and asks for more than it alone."""
    others = terms.at_least > 1 or any(name != offering for name in terms.with_offerings)
    concerned = not terms.offerings or offering in terms.offerings
    return others and concerned and not monthly.isdisjoint(terms.reduces)
