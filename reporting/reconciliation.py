"""Ties: pairs of sums from independent sources that must be equal, and what is said when not.

A month is right when every tie holds. Left and right never come from one query: files are counted
again from their bytes, usage and rated events are summed from Parquet, charges, journal and open
items from their own tables.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ledger.errors import DoesNotTie
from ledger.money import format_amount

Unit = Literal["money", "count", "octets", "seconds"]


@dataclass(frozen=True, slots=True)
class Tie:
    """Two figures and where each comes from. Money is in minor units."""

    name: str
    left: int
    left_source: str
    right: int
    right_source: str
    unit: Unit = "money"

    @property
    def difference(self) -> int:
        """Left less right; zero when the tie holds."""
        return self.left - self.right

    def as_json(self) -> dict[str, object]:
        """Show the tie as the summary does: money as decimal strings, counts as integers."""
        return {
            "name": self.name,
            "left": self._shown(self.left),
            "right": self._shown(self.right),
            "difference": self._shown(self.difference),
            "left_source": self.left_source,
            "right_source": self.right_source,
        }

    def sentence(self) -> str:
        """Say the tie in words."""
        return (
            f"{self.name}: {self.left_source} gives {self._shown(self.left)}, "
            f"{self.right_source} gives {self._shown(self.right)}"
        )

    def _shown(self, figure: int) -> str | int:
        return format_amount(figure) if self.unit == "money" else figure


def broken(ties: Sequence[Tie]) -> list[Tie]:
    """Give the ties that do not hold, in order."""
    return [tie for tie in ties if tie.difference]


def check(ties: Sequence[Tie]) -> None:
    """Refuse to go on when any tie is broken, naming every one of them.

    Raises
    ------
    DoesNotTie : with one sentence per broken tie and the figures as facts.
    """
    faults = broken(ties)
    if faults:
        raise DoesNotTie(
            f"{len(faults)} of {len(ties)} sums do not tie. "
            + " ".join(f"{tie.sentence()}." for tie in faults)
            + " Nothing was closed; look at the first one named, the others may follow from it.",
            ties=[tie.as_json() for tie in faults],
        )
