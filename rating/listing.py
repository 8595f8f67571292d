"""The prices of a tariff as lines of text: what `hovedbok rating show` prints."""

from rating.explain import kroner
from rating.measures import measured
from rating.phrases import Language
from rating.rounding import Mode
from rating.tariff_terms import SPLIT_CARRY, UNIT_OF_USAGE, Band, Rate, Tariff

_SPLITS = {
    "split": "each band rounds up on its own",
    "start_band": "the band at the start prices the whole call",
}


def tariff_lines(tariff: Tariff) -> list[str]:
    """Say what holds for all prices: bands, holidays, how bands split, what refunds do."""
    lines = [_band(band) for band in tariff.bands]
    if tariff.holidays:
        lines.append(f"holidays {', '.join(map(str, tariff.holidays))}")
    if tariff.band_split != SPLIT_CARRY:
        lines.append(f"calls over several bands: {_SPLITS[tariff.band_split]}")
    if tariff.refunds:
        lines.append("refunds (negative quantities) are charged with the opposite sign")
    return lines


def _band(band: Band) -> str:
    parts = [f"band {band.id} from {band.from_second // 3600:02}:{band.from_second // 60 % 60:02}"]
    if len(band.weekdays) < 7:
        parts.append(f"weekdays {_numbers(band.weekdays)}")
    if band.months:
        parts.append(f"months {_numbers(band.months)}")
    if band.month_days:
        parts.append(f"days of the month {_numbers(band.month_days)}")
    if band.priority:
        parts.append(f"priority {band.priority}")
    return ", ".join(parts)


def _numbers(numbers: tuple[int, ...]) -> str:
    return " ".join(map(str, numbers))


def rate_terms(rate: Rate, language: Language = "en") -> list[str]:
    """Say what one row asks for beside its first price: each further step, then its terms."""
    lines = []
    for step in rate.steps:
        counted = f"in whole {_of(rate, step.increment)}" if step.increment > 1 else "as used"
        price = f"{kroner(step.price_micro, language)} per {_of(rate, step.per)}"
        lines.append(f"{price} from {_of(rate, step.start)} on, {counted}")
    terms = [
        (rate.setup_micro, f"set-up fee {kroner(rate.setup_micro, language)}"),
        (rate.increment > 1, f"in whole {_of(rate, rate.increment)}"),
        (rate.whole_step, "the step of the last unit prices the whole"),
        (rate.until, f"no price beyond {_of(rate, rate.until)}"),
        (rate.minimum_micro, f"at least {kroner(rate.minimum_micro, language)}"),
        (
            rate.max_charge_micro is not None,
            f"at most {kroner(rate.max_charge_micro or 0, language)}",
        ),
        (
            rate.round_to_micro > 1 or rate.rounding != Mode.HALF_UP,
            f"rounded {rate.rounding} to whole {kroner(rate.round_to_micro, language)}",
        ),
    ]
    told = ", ".join(text for holds, text in terms if holds)
    return [*lines, told] if told else lines


def _of(rate: Rate, quantity: int) -> str:
    """Write a quantity of what a rate is for; of data nobody counts ten digits of octets."""
    unit = UNIT_OF_USAGE[rate.usage]
    return measured(quantity, (unit,)) if unit == "octet" else str(quantity)
