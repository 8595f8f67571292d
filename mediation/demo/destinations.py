"""The numbers people call: how they are written in records and what they are in E.164.

A pool of a few thousand numbers serves the whole month. Categories are drawn by weight; each has
its own way of writing numbers: international, national, or dialled with 00.
"""

from dataclasses import dataclass

import numpy as np

from mediation.demo.numbering import INTERNATIONAL, NATIONAL, UNKNOWN_TYPE, address

FIRST_OF_EACH = ("nordic", "europe", "premium", "short", "emergency", "no-rate", "dialled")


@dataclass(frozen=True)
class Destination:
    """One called number."""

    category: str
    number_type: int  # type and plan of number octet
    written: str  # digits as in the record
    number: str  # normalised: E.164 digits, or "0" and the short code

    @property
    def octets(self) -> bytes:
        """The address as it stands in a record."""
        return address(self.number_type, self.written)


@dataclass(frozen=True)
class Pool:
    """Destinations with one cumulative weight each, in whole numbers."""

    members: list[Destination]
    edges: np.ndarray  # (categories,) cumulative weights
    spans: list[tuple[int, int]]  # first member and count per category
    names: list[str]

    def draw(self, dice: np.random.Generator, count: int) -> np.ndarray:
        """Choose destinations by weight: (count,) indices of members."""
        category = np.searchsorted(
            self.edges, dice.integers(0, self.edges[-1], count), side="right"
        )
        firsts = np.array([first for first, _ in self.spans], np.int64)
        sizes = np.array([size for _, size in self.spans], np.int64)
        return firsts[category] + dice.integers(0, 1 << 40, count) % sizes[category]

    def first_of(self, category: str) -> int:
        """Find the first member of a category."""
        return self.spans[self.names.index(category)][0]


def voice_pool(on_net: list[str]) -> Pool:
    """Build the numbers that calls go to."""
    return _pool(
        (
            (500, "on-net", [_abroad("on-net", msisdn) for msisdn in on_net]),
            (250, "mobile", [_home("mobile", f"40{n:06d}") for n in range(600)]),
            (140, "fixed", [_home("fixed", f"2200{n:04d}") for n in range(400)]),
            (30, "dialled", [_dialled("dialled", f"47220100{n:02d}") for n in range(50)]),
            (28, "nordic", [_dialled("nordic", f"4612340{n:04d}") for n in range(60)]),
            (22, "europe", [_abroad("europe", f"49301000{n:04d}") for n in range(60)]),
            (10, "premium", [_home("premium", f"829000{n:02d}") for n in range(30)]),
            (12, "short", [_short("short", f"0{n}") for n in range(2000, 2040)]),
            (2, "emergency", [_short("emergency", code) for code in ("110", "112", "113")]),
            (4, "no-rate", [_abroad("no-rate", f"1202555{n:04d}") for n in range(100, 120)]),
        )
    )


def sms_pool(on_net: list[str]) -> Pool:
    """Build the numbers that messages go to."""
    return _pool(
        (
            (600, "on-net", [_abroad("on-net", msisdn) for msisdn in on_net]),
            (330, "mobile", [_abroad("mobile", f"4740{n:06d}") for n in range(600)]),
            (30, "nordic", [_abroad("nordic", f"4670123{n:04d}") for n in range(60)]),
            (20, "europe", [_abroad("europe", f"48501000{n:03d}") for n in range(60)]),
            (18, "short", [_short("short", f"{n}") for n in range(2002, 2012)]),
            (2, "no-rate", [_abroad("no-rate", f"1202555{n:04d}") for n in range(100, 120)]),
        )
    )


def _pool(categories: tuple[tuple[int, str, list[Destination]], ...]) -> Pool:
    members: list[Destination] = []
    spans = []
    for _, _, group in categories:
        spans.append((len(members), len(group)))
        members += group
    edges = np.cumsum([weight for weight, _, _ in categories])
    return Pool(members, edges, spans, [name for _, name, _ in categories])


def _abroad(category: str, number: str) -> Destination:
    return Destination(category, INTERNATIONAL, number, number)


def _home(category: str, number: str) -> Destination:
    return Destination(category, NATIONAL, number, f"47{number}")


def _dialled(category: str, number: str) -> Destination:
    return Destination(category, UNKNOWN_TYPE, f"00{number}", number)


def _short(category: str, code: str) -> Destination:
    return Destination(category, NATIONAL, code, f"0{code}")
