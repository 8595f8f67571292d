"""Cases about a period's price: period_price, windowed_price, sum_of_prices."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import lcm
from typing import Any

import numpy as np

from ledger.errors import Invalid
from rating.cases.fields import Fields
from rating.cases.numbers import Figure, decimal_text, decimal_texts, exactly, units_for
from rating.rounding import Integers, Mode, Rounding, round_amounts
from rating.tiers import PeriodPrice, Tier, beyond_last_tier, price_quantities

MODELS = ("unit", "package", "graduated", "volume", "graduated_percentage")
_ZERO = Figure(0)


@dataclass(frozen=True, slots=True)
class TierTerms:
    """One tier as the case writes it."""

    up_to: Figure | None
    unit_price: Figure
    flat_fee: Figure
    cap: Figure | None
    block: Figure | None


@dataclass(frozen=True, slots=True)
class PriceTerms:
    """A price as the case writes it; `build` scales it to a price of the kernel."""

    pointer: str
    model: str
    tiers: tuple[TierTerms, ...]
    free_quantity: Figure
    divide_by: Figure | None
    conversion: Rounding | None
    block_mode: Mode
    flat_fee_at_zero_usage: bool

    def units_per_quantity(self, quantities: Iterable[Figure]) -> int:
        """Choose quantity units in which all quantities are whole, converted ones too."""
        figures = [*quantities, self.free_quantity]
        figures += [tier.up_to for tier in self.tiers if tier.up_to]
        figures += [tier.block for tier in self.tiers if tier.block]
        units = units_for(
            [*figures, self.divide_by] if self.divide_by else figures, self.conversion
        )
        return units * (self.divide_by.digits if self.divide_by else 1)

    def money(self) -> list[Figure]:
        """Give the figures in currency units."""
        return [
            figure
            for tier in self.tiers
            for figure in (tier.unit_price, tier.flat_fee, tier.cap)
            if figure is not None
        ]

    def build(self, units_per_quantity: int, units_per_currency: int) -> PeriodPrice:
        """Scale to the price that the kernel takes."""

        def quantity(figure: Figure | None) -> int | None:
            return None if figure is None else figure.scaled(units_per_quantity)

        try:
            return PeriodPrice(
                tiers=tuple(
                    Tier(
                        up_to=quantity(tier.up_to),
                        unit_price=tier.unit_price.scaled(units_per_currency),
                        flat_fee=tier.flat_fee.scaled(units_per_currency),
                        cap=None if tier.cap is None else tier.cap.scaled(units_per_currency),
                        block=quantity(tier.block),
                    )
                    for tier in self.tiers
                ),
                by_volume=self.model in {"volume", "unit"},  # The one tier that there is.
                units_per_currency=units_per_currency,
                units_per_quantity=units_per_quantity,
                free_quantity=self.free_quantity.scaled(units_per_quantity),
                divide_by=quantity(self.divide_by),
                conversion=self.conversion,
                block_mode=self.block_mode,
                flat_fee_at_zero_usage=self.flat_fee_at_zero_usage,
            )
        except Invalid as fault:
            place = f"{self.pointer}/tiers"
            raise Invalid(f"{place}: {fault}", pointer=place) from None


def read_price(price: Fields) -> PriceTerms:
    """Read a price of any model."""
    model = price.choice("model", MODELS)
    divide_by, conversion = _conversion(price)
    block_mode = Mode.UP
    free = price.not_negative("free_quantity", _ZERO)
    if model == "unit":
        tiers = [TierTerms(None, price.number("unit_price"), _ZERO, None, None)]
    elif model == "package":
        block_mode = Mode(price.choice("round", (Mode.UP, Mode.DOWN), Mode.UP))
        free = price.not_negative("free_units", free)
        tiers = [
            TierTerms(
                None, price.number("package_price"), _ZERO, None, price.positive("package_size")
            )
        ]
    else:
        tiers = [_tier(tier, model) for tier in price.objects("tiers")]
    return PriceTerms(
        price.pointer, model, tuple(tiers), free, divide_by, conversion, block_mode,
        price.flag("flat_fee_at_zero_usage", default=False),
    )  # fmt: skip


def _tier(tier: Fields, model: str) -> TierTerms:
    by_percent = model == "graduated_percentage"
    # What is priced by its flat fee alone needs no other price; a tier without any is a mistake.
    price = tier.number(
        "rate_percent" if by_percent else "unit_price", *([_ZERO] if tier.has("flat_fee") else [])
    )
    return TierTerms(
        up_to=tier.positive("up_to") if tier.has("up_to") else None,
        unit_price=price.hundredth() if by_percent else price,
        flat_fee=tier.number("flat_fee", _ZERO),
        cap=tier.optional("cap"),
        block=tier.positive("block") if tier.has("block") else None,
    )


def _conversion(price: Fields) -> tuple[Figure | None, Rounding | None]:
    """Read unit_conversion {divide_by, round}: a mode rounds to whole units, none not at all."""
    terms = price.optional_object("unit_conversion")
    if terms is None:
        return None, None
    divide_by = terms.positive("divide_by")
    if isinstance(terms.value.get("round"), dict):
        return divide_by, terms.rounding("round")
    mode = terms.choice("round", (*Mode, "none"), "none")
    return divide_by, None if mode == "none" else Rounding(Mode(mode), 0)


def run_price(
    terms: PriceTerms,
    places: list[str],
    quantities: list[Figure],
    rounding: Rounding | None,
    billed: list[Figure] | None = None,
    units: int = 1,
) -> tuple[Integers, int]:
    """Price quantities by the kernel.

    Parameters
    ----------
    places : the pointers of the quantities.
    units : what the units of currency must be a multiple of.

    Returns
    -------
    The amounts, and their units per currency.
    """  # fmt: skip
    per_quantity = terms.units_per_quantity([*quantities, *(billed or [])])
    per_currency = lcm(units, units_for(terms.money(), rounding) * per_quantity)
    price = terms.build(per_quantity, per_currency)
    columns = [[figure.scaled(per_quantity) for figure in quantities]]
    beyond = exactly(lambda column: beyond_last_tier(price, column), columns[0])
    if beyond.any():
        row = int(np.argmax(beyond))
        raise Invalid(
            f"{places[row]} is above the last tier, which ends at "
            f"{decimal_text(price.tiers[-1].up_to or 0, per_quantity)}: it has no price.",
            pointer=places[row],
        )
    if billed is not None:
        columns.append([figure.scaled(per_quantity) for figure in billed])
    amounts = exactly(
        lambda quantity, part=None: price_quantities(price, quantity, part, rounding), *columns
    )
    return amounts, per_currency


def period_price(given: Mapping[str, Any]) -> dict[str, Any]:
    """Price the quantity of each of several periods."""
    fields = Fields(given)
    terms, rounding = read_price(fields.object("price")), fields.rounding()
    places = [place for place, _ in fields.items("quantities")]
    quantities, billed = fields.numbers("quantities"), None
    if fields.has("billed_quantities"):
        if terms.model not in {"volume", "unit"}:
            raise fields.fault("billed_quantities", "goes with the models volume and unit only")
        billed = fields.numbers_or("billed_quantities", quantities)
    amounts, units = run_price(terms, places, quantities, rounding, billed)
    return {"amounts": decimal_texts(amounts, units)}


def windowed_price(given: Mapping[str, Any]) -> dict[str, Any]:
    """Sum the price of each window."""
    fields = Fields(given)
    terms = read_price(fields.object("price"))
    places = [place for place, _ in fields.items("window_quantities")]
    rounding = fields.rounding()
    quantities = fields.numbers("window_quantities")
    amounts, units = run_price(terms, places, quantities, None, units=units_for([], rounding))
    return {"amount": _rounded_text(sum(amounts.tolist()), units, rounding)}


def sum_of_prices(given: Mapping[str, Any]) -> dict[str, Any]:
    """Sum the prices of parts, each with a price and a quantity of its own."""
    fields = Fields(given)
    rounding = fields.rounding()
    units, parts = units_for([], rounding), []
    for part in fields.objects("parts"):
        terms, quantity = read_price(part.object("price")), part.number("quantity")
        billed = [part.number("billed_quantity")] if part.has("billed_quantity") else None
        amounts, own = run_price(terms, [f"{part.pointer}/quantity"], [quantity], None, billed)
        parts.append((int(amounts[0]), own))
        units = lcm(units, own)
    total = sum(amount * (units // own) for amount, own in parts)
    return {"amount": _rounded_text(total, units, rounding)}


def _rounded_text(total: int, units: int, rounding: Rounding | None) -> str:
    if rounding is not None:
        total = int(exactly(lambda column: round_amounts(column, units, rounding), [total])[0])
    return decimal_text(total, units)


KINDS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "period_price": period_price,
    "windowed_price": windowed_price,
    "sum_of_prices": sum_of_prices,
}
