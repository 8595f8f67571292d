"""Closing a month: what a check finds, what stands in the way, and what is kept as evidence.

Pure: the checks themselves look into the books (`ledger.service.checks`); rooms above the ledger
add their own through `configure`, for the ledger knows none of them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import sha256
from typing import Any

from ledger.canonical import canonical_json
from ledger.errors import Conflict, NotFound, Problem
from ledger.periods import period_bounds

# ok: nothing to do. open: somebody has to decide, or to waive it. blocked: it has to be put right.
STATES = ("ok", "open", "blocked", "waived")
LEVELS = ("open", "soft", "hard")
ROWS_KEPT = 100  # Evidence names this many rows of a finding; counts and sums are of all.

ENCODING = b"hovedbok-checklist/1\n"


class ChecksOpen(Conflict):
    """A period cannot be closed while checks of it are open or blocked."""

    title = "Checks are open"


class CheckNotWaivable(Conflict):
    """Only an open check is waived, as it stands; a blocked one has to be put right."""

    title = "Check cannot be waived"


class UnknownChecklist(NotFound):
    """No checklist has this number, or the period has none yet."""

    title = "Unknown checklist"


class YearNotReady(Conflict):
    """The result of a year can still change, so it is not moved to equity yet."""

    title = "Year is not ready to be closed"


class YearIsClosed(Conflict):
    """The result of the year is moved to equity; what would change it comes after a reversal."""

    title = "Year is closed"


class YearResultLeft(Conflict):
    """A result would be left over for ever: an earlier year, or this one, is not closed yet."""

    title = "A result is not moved to equity"


class SeriesReserved(Conflict):
    """The series of year-end entries takes the close of a year, and its reversal, only."""

    title = "Series is reserved"


CLOSING: Mapping[str, type[Problem]] = {
    "HB033": YearNotReady,
    "HB034": YearIsClosed,
    "HB035": YearResultLeft,
    "HB036": ChecksOpen,
    "HB037": CheckNotWaivable,
    "HB038": SeriesReserved,
}


@dataclass(frozen=True, slots=True)
class Scope:
    """The month that is looked at: its first and its last day."""

    book: str
    period: str
    first_day: date
    last_day: date

    @classmethod
    def of(cls, book: str, period: str) -> "Scope":
        """Name a month, "2026-03". Raises `Invalid`."""
        first, after = period_bounds(period)
        return cls(book, period, first, after - timedelta(days=1))


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: ok, open or blocked, in a sentence and in figures.

    Figures are plain JSON: counts are integers, amounts decimal strings, `rows` a list of objects
    of the same keys.
    """

    state: str
    detail: str
    figures: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PeriodCheck:
    """A check by its code; `find` is called with a session and the month."""

    code: str
    title: str
    find: Callable[[Any, Scope], Finding]


@dataclass(frozen=True, slots=True)
class Waiver:
    """Who lets a result pass, and why."""

    waiver_id: int
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class Result:
    """A check's finding, and the waiver of exactly this finding where somebody gave one."""

    code: str
    title: str
    finding: Finding
    waiver: Waiver | None = None

    @property
    def state(self) -> str:
        """Give ok, open, blocked or waived."""
        return "waived" if self.waiver and self.finding.state == "open" else self.finding.state

    @property
    def detail(self) -> str:
        """Give the finding in a sentence."""
        return self.finding.detail

    @property
    def result_hash(self) -> bytes:
        """Hash what was found (32 bytes): what a waiver is bound to."""
        return _hashed({
            "code": self.code, "found": self.finding.state, "figures": self.finding.figures,
        })  # fmt: skip


def found(
    rows: Sequence[Mapping[str, Any]], ok: str, otherwise: str, *, state: str = "open",
    **figures: Any,
) -> Finding:  # fmt: skip
    """Make a finding of what is in the way, row by row; without a row all is well."""
    kept = {"count": len(rows), **figures, "rows": [dict(row) for row in rows[:ROWS_KEPT]]}
    return Finding(state if rows else "ok", otherwise if rows else ok, kept)


def in_the_way(results: Iterable[Result]) -> list[Result]:
    """Give the results that keep the month open, in order."""
    return [result for result in results if result.state in {"open", "blocked"}]


def refuse_open(period: str, results: Iterable[Result]) -> None:
    """Refuse to close over what is open or blocked, naming each. Raises `ChecksOpen`."""
    faults = in_the_way(results)
    if not faults:
        return
    told = " ".join(f"{fault.code} ({fault.state}): {fault.detail}" for fault in faults)
    raise ChecksOpen(
        f"{period} stays open. {told} Put these right; what is open and not blocked can be waived "
        "with a reason.",
        period=period,
        checks=[{"code": x.code, "state": x.state, "detail": x.detail} for x in faults],
    )


def content_of(results: Iterable[Result], **about: Any) -> dict[str, Any]:
    """Write results as the document that is kept, hashed and sealed."""
    return {
        **about,
        "checks": [
            {
                "code": one.code, "title": one.title, "state": one.state,
                "found": one.finding.state, "detail": one.detail,
                "figures": one.finding.figures, "result_hash": one.result_hash.hex(),
                "waiver": one.waiver and {
                    "waiver_id": one.waiver.waiver_id, "actor": one.waiver.actor,
                    "reason": one.waiver.reason,
                },
            }
            for one in results
        ],
    }  # fmt: skip


def results_of(content: Mapping[str, Any]) -> tuple[Result, ...]:
    """Read results back from the document that was kept."""
    return tuple(
        Result(
            one["code"], one["title"], Finding(one["found"], one["detail"], one["figures"]),
            Waiver(**one["waiver"]) if one["waiver"] else None,
        )
        for one in content["checks"]
    )  # fmt: skip


def content_hash(content: Mapping[str, Any]) -> bytes:
    """Hash a kept checklist (32 bytes); verify computes it again."""
    return _hashed(content)


def is_closed(levels: Iterable[str], wanted: str) -> bool:
    """Tell whether every module of a period is at least as closed as is wanted."""
    return all(LEVELS.index(level) >= LEVELS.index(wanted) for level in levels)


_room_checks: Callable[[], Sequence[PeriodCheck]] = tuple


def configure(checks: Callable[[], Sequence[PeriodCheck]]) -> None:
    """Say which checks the rooms above add; they are loaded when the first checklist is run."""
    global _room_checks  # noqa: PLW0603 - one set of checks per process, set at the door
    _room_checks = checks


def room_checks() -> Sequence[PeriodCheck]:
    """Give the checks of the rooms above the ledger."""
    return _room_checks()


def _hashed(content: Mapping[str, Any]) -> bytes:
    return sha256(ENCODING + canonical_json(content)).digest()
