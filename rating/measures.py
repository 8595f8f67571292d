"""Quantities that a tariff names, as people read them: 300 minutes, 1 GB, 100 messages.

They are written exactly, in the largest unit that they are whole in: what a customer is promised is
never rounded.
"""

from collections.abc import Collection

from rating.tariff_terms import Allowance, Tariff

_SCALES = {
    "s": ((60, "minute"), (1, "second")),
    "octet": ((2**30, "GB"), (2**20, "MB"), (1, "octet")),
}


def units_of(tariff: Tariff, allowance: Allowance) -> tuple[str, ...]:
    """Give the units that an allowance is used in, in the order of its components."""
    units = {part.id: part.unit for part in tariff.components}
    return tuple(dict.fromkeys(units[component] for component in allowance.components))


def measured(quantity: int, units: Collection[str]) -> str:
    """Write a quantity in its unit; where one of several may be used, in plain ones of each.

    >>> measured(2**30, ["octet"]), measured(30_000, ["s"]), measured(90, ["s"])
    ('1 GB', '500 minutes', '90 seconds')
    >>> measured(10**9, ["octet"]), measured(100, ["s", "message"])
    ('1 000 000 000 octets', '100 seconds or messages')
    """
    if len(units) > 1:
        names = [_SCALES.get(unit, ((1, unit),))[-1][1] for unit in units]
        return f"{_grouped(quantity)} {' or '.join(_named(name, quantity) for name in names)}"
    (unit,) = units
    scales = _SCALES.get(unit, ((1, unit),))
    scale, name = next(pair for pair in scales if quantity % pair[0] == 0)
    count = quantity // scale
    return f"{_grouped(count)} {_named(name, count)}"


def _named(name: str, count: int) -> str:
    """Name a unit of a count: names of one unit are words; MB is the same for one and many."""
    return f"{name}s" if name.islower() and count != 1 else name


def _grouped(number: int) -> str:
    return f"{number:,}".replace(",", " ")
