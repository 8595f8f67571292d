"""Post what can be posted: the good entries as one batch, the bad ones each with its reason.

A batch is refused for one entry at a time, and each attempt costs a posting. So what a refusal
names, an account that is closed or a day that nobody opened, is held against all entries at once:
those that have it too are tried apart from the others, and mostly one by one.

Attempts on a part are taken back also where they succeed. Thousands of savepoints that stay make
PostgreSQL walk through all of them for each row that one of them has touched.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar

from sqlalchemy.orm import Session

from ledger.errors import Problem
from ledger.intake import Drafted
from ledger.journal import EntryDraft
from ledger.service.staging import keep_stage

Outcome = TypeVar("Outcome")
Post = Callable[[Sequence[Drafted]], Sequence[Outcome]]

_CAUSES = 3  # that are looked for in all entries together; with more of them, part by part.


@dataclass(frozen=True, slots=True)
class Refused:
    """An entry that is not in the journal, and what was said against it alone."""

    record: int
    problem: Problem


def sift(
    session: Session, drafted: Sequence[Drafted], post: Post[Outcome], most: int
) -> list[Outcome | Refused]:
    """Post entries in as few batches as may be, and leave out those that are refused alone.

    Parameters
    ----------
    post : posts some entries as one batch and checks it, or raises a `Problem`; tried in a
        savepoint each time.
    most : behind so many refusals nothing more is tried or posted, and has no outcome.

    Returns one outcome per entry, in no order. Of entries with one reference the first is posted
    that is good.
    """
    outcomes: list[Outcome | Refused] = []
    while drafted and most > 0:
        firsts, drafted = _firsts(drafted)
        found = _Sieve(session, firsts, post, most).outcomes()
        outcomes += found
        most -= sum(isinstance(outcome, Refused) for outcome in found)
    return outcomes


def _firsts(drafted: Sequence[Drafted]) -> tuple[Sequence[Drafted], Sequence[Drafted]]:
    """Tell the first entry of each reference from those that come later."""
    seen: set[str] = set()
    firsts: list[Drafted] = []
    later: list[Drafted] = []
    for one in drafted:
        (later if one.source_ref in seen else firsts).append(one)
        seen.add(one.source_ref)
    return firsts, later


class _Sieve(Generic[Outcome]):
    """Entries whose references differ, on their way into the journal."""

    def __init__(
        self, session: Session, drafted: Sequence[Drafted], post: Post[Outcome], most: int
    ) -> None:
        self._session, self._drafted, self._post, self._most = session, drafted, post, most
        self._refused: dict[int, Refused] = {}  # by place

    def outcomes(self) -> list[Outcome | Refused]:
        """Post what is good, all in one batch where that can be."""
        left = list(range(len(self._drafted)))
        for _ in range(_CAUSES):
            try:
                return [*self._posted(left), *self._refused.values()]
            except Problem as refusal:
                if len(left) == 1:
                    self._refuse(left[0], refusal)
                    return [*self._refused.values()]
                alike, others = self._told_apart(left, left, refusal)
                if not (alike and others):
                    break
            left = sorted([*others, *self._good_of(alike, 1)])
        good = self._good_of(left, max(1, len(left) // 2))
        return [*self._posted_in_parts(sorted(good)), *self._refused.values()]

    def _posted(self, places: Sequence[int]) -> Sequence[Outcome]:
        if not places or self._is_over:
            return []
        try:
            with self._session.begin_nested():
                return self._post(self._at(places))
        except Problem:
            keep_stage(self._session)
            raise

    def _posted_in_parts(self, places: Sequence[int]) -> list[Outcome]:
        """Post entries each of which is good, but perhaps not beside every other."""
        try:
            return [*self._posted(places)]
        except Problem as refusal:
            if len(places) == 1:
                self._refuse(places[0], refusal)
                return []
        middle = len(places) // 2
        return [*self._posted_in_parts(places[:middle]), *self._posted_in_parts(places[middle:])]

    def _good_of(self, places: Sequence[int], size: int) -> list[int]:
        """Try so many at a time: twice as many behind a good part, half behind a bad one."""
        good: list[int] = []
        left = places
        while left and not self._is_over:
            part, behind = left[:size], left[size:]
            refusal = self._refusal_of(part)
            if refusal is None:
                good, left, size = [*good, *part], behind, 2 * size
            elif len(part) == 1:
                self._refuse(part[0], refusal)
                left = behind
            else:
                alike, others = self._told_apart(left, part, refusal)
                size = len(part) // 2
                if alike and others:
                    good += self._good_of(alike, 1)
                    left = others
        return good

    def _refusal_of(self, places: Sequence[int]) -> Problem | None:
        """Tell what is said against some entries together; nothing of it stays."""
        attempt = self._session.begin_nested()
        try:
            self._post(self._at(places))
        except Problem as refusal:
            return refusal
        finally:
            attempt.rollback()
            keep_stage(self._session)
        return None

    def _refuse(self, place: int, refusal: Problem) -> None:
        self._refused[place] = Refused(self._drafted[place].record, refusal)

    @property
    def _is_over(self) -> bool:
        return len(self._refused) >= self._most

    def _at(self, places: Sequence[int]) -> Sequence[Drafted]:
        return [self._drafted[place] for place in places]

    def _told_apart(
        self, left: Sequence[int], refused: Sequence[int], refusal: Problem
    ) -> tuple[list[int], list[int]]:
        """Tell those that have what was refused from the others; none where it names nothing.

        An entry that is refused for what nobody else can have is alike with itself alone.
        """
        named = [(name, str(refusal.facts[name])) for name in _HELD if name in refusal.facts]
        place = refusal.facts.get("entry")
        alike: set[int] = set()
        if named:
            alike = set.intersection(*(self._having[one] for one in named))
        elif isinstance(place, int):
            alike = {refused[place]}
        return [one for one in left if one in alike], [one for one in left if one not in alike]

    @cached_property
    def _having(self) -> Mapping[tuple[str, str], set[int]]:
        """Map what refusals may name to the places of the entries that have it."""
        found: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
        for place, one in enumerate(self._drafted):
            entry = one.entry  # Drafted from its columns each time that it is asked for.
            for name, held_by in _HELD.items():
                for value in held_by(entry):
                    found[name, value].add(place)
        return found


def _lines(entry: EntryDraft, name: str) -> Iterator[str]:
    return (value for line in entry.lines if (value := getattr(line, name)) is not None)


# What the facts of a refusal may name, and where an entry has it.
_HELD: Mapping[str, Callable[[EntryDraft], Iterator[str]]] = {
    "account": lambda entry: _lines(entry, "account"),
    "vat_code": lambda entry: _lines(entry, "vat_code"),
    "dimension": lambda entry: (name for line in entry.lines for name in line.dimensions or ()),
    "series": lambda entry: iter((entry.series,)),
    "effective_date": lambda entry: iter((entry.effective_date.isoformat(),)),
}
