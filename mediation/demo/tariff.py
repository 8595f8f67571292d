"""The demo operator's tariff, read into whole numbers by plain Python.

A second reading of the tariff format on purpose: what prices mean is said here without a word from
the rating room, so that its results can be compared with something.
"""

import tomllib
from dataclasses import dataclass
from datetime import time
from fractions import Fraction
from importlib.resources import files

MICRO = 1_000_000


@dataclass(frozen=True)
class Rate:
    """The price of one usage in one zone and band."""

    component: str
    setup_micro: int
    price_micro: int  # per `per` units
    per: int
    increment: int  # 0: proportional
    minimum_micro: int


@dataclass(frozen=True)
class Allowance:
    """A quantity that costs nothing, per subscription and calendar month."""

    id: str
    quantity: int


@dataclass(frozen=True)
class Offering:
    """What a subscription costs."""

    id: str
    gross: bool
    recurring: tuple[tuple[str, int], ...]  # component, price [micro per month]
    one_off: dict[str, tuple[tuple[str, int], ...]]  # action → component, price [micro]
    allowances: dict[str, Allowance]  # by component
    rates: dict[tuple[str, str], dict[str, Rate]]  # (usage, zone) → band, "" for every band


@dataclass(frozen=True)
class Tariff:
    """All offerings, zones and bands."""

    offerings: dict[str, Offering]
    prefixes: dict[str, str]  # prefix → zone
    rating_groups: dict[int, str]
    weekdays: tuple[tuple[tuple[int, str], ...], ...]  # Monday first: second of the day, band

    def zone_of(self, number: str) -> str | None:
        """Find the zone with the longest prefix of a number."""
        for length in range(len(number), 0, -1):
            zone = self.prefixes.get(number[:length])
            if zone is not None:
                return zone
        return None


def tariff_text() -> str:
    """Read the tariff file as it goes into the demo month."""
    return files("mediation.demo").joinpath("nordlys.toml").read_text("utf-8")


def read_tariff(text: str) -> Tariff:
    """Read the format "hovedbok-tariff/1"."""
    content = tomllib.loads(text)
    zones = content["zone"]
    return Tariff(
        offerings={offering["id"]: _offering(offering) for offering in content["offering"]},
        prefixes={p: zone["id"] for zone in zones for p in zone.get("prefixes", ())},
        rating_groups={g: zone["id"] for zone in zones for g in zone.get("rating_groups", ())},
        weekdays=tuple(_bands_on(content["band"], weekday) for weekday in range(1, 8)),
    )


def micro(price: str) -> int:
    """Turn a decimal price into millionths, exactly."""
    amount = Fraction(price) * MICRO
    assert amount.denominator == 1, "a price has at most six decimals"
    return amount.numerator


def _offering(content: dict[str, object]) -> Offering:
    rates: dict[tuple[str, str], dict[str, Rate]] = {}
    for row in content.get("rate", ()):  # type: ignore[attr-defined]
        bands = rates.setdefault((row["usage"], row["zone"]), {})
        bands[row.get("band", "")] = Rate(
            row["component"],
            micro(row.get("setup_fee", "0.00")),
            micro(row["price"]),
            row["per"],
            row["increment"],
            micro(row.get("minimum", "0.00")),
        )
    one_off: dict[str, tuple[tuple[str, int], ...]] = {}
    for row in content.get("one_off", ()):  # type: ignore[attr-defined]
        one_off[row["on"]] = (*one_off.get(row["on"], ()), (row["component"], micro(row["price"])))
    return Offering(
        id=str(content["id"]),
        gross=content["price_basis"] == "gross",
        recurring=tuple(
            (row["component"], micro(row["price"]))
            for row in content.get("recurring", ())  # type: ignore[attr-defined]
        ),
        one_off=one_off,
        allowances={
            row["component"]: Allowance(row["id"], row["quantity"])
            for row in content.get("allowance", ())  # type: ignore[attr-defined]
        },
        rates=rates,
    )


def _bands_on(bands: list[dict[str, object]], weekday: int) -> tuple[tuple[int, str], ...]:
    """List the bands of a weekday by the second at which they begin."""
    found = []
    for band in bands:
        if weekday in band.get("weekdays", range(1, 8)):  # type: ignore[operator]
            begins = time.fromisoformat(str(band["from"]))
            found.append((begins.hour * 3600 + begins.minute * 60, str(band["id"])))
    return tuple(sorted(found))
