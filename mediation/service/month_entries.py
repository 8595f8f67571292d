"""What a run books of a month beside what the journal holds of it already: one batch, or nothing.

A run says anew what the whole month comes to, document by document, and posts the differences. One
run of a kind and month works at a time; the next one sees what it posted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Self

from sqlalchemy.orm import Session

from ledger import service as ledger
from ledger.journal import BatchDraft, EntryDraft, Line, canonical_dimensions
from mediation.charging import SERIES, Month


@dataclass(frozen=True, slots=True)
class MonthEntries:
    """The entries of one run, as they come together.

    `booked` : what earlier runs left standing, as `ledger.booked_by_document` tells it.
    """

    month: Month
    source_system: str
    entry_type: str
    source_ref: str  # of the batch; entries add their place in it
    prefix: str  # of all such runs of the month
    day: date  # the last of the month, or the first open one after it
    booked: Mapping[tuple[str, str, str, str], int]
    entries: list[EntryDraft] = field(default_factory=list)

    @classmethod
    def begin(
        cls, session: Session, month: Month, source_system: str, entry_type: str, *,
        of: str = "", vat: bool = False,
    ) -> Self:  # fmt: skip
        """Wait for an earlier run to end, and read what is booked.

        Parameters
        ----------
        of : what the run is about, where a month has several of a kind, ending in "/".
        vat : whether entries hold VAT, which a VAT return that is in may keep out of the month.
        """
        ledger.take_turn(session, f"{source_system}/{month.book_code}/{month.period}")
        prefix = f"{month.book_code}/{month.period}/{of}"
        run = ledger.batch_count(session, source_system, prefix) + 1
        last = month.after - timedelta(days=1)
        day = ledger.first_open_day(session, month.book_code, SERIES, last, vat=vat)
        booked = ledger.booked_by_document(session, month.book_code, source_system, prefix)
        return cls(month, source_system, entry_type, f"{prefix}{run}", prefix, day, booked)

    def add(self, document: str, told: str, lines: tuple[Line, ...]) -> None:
        """Book the differences of a document; without lines there are none."""
        if lines:
            self.entries.append(
                EntryDraft(
                    series=SERIES, effective_date=self.day, document_date=self.day,
                    entry_type=self.entry_type,
                    source_ref=f"{self.source_ref}/{len(self.entries)}",
                    text=told, lines=lines, document_ref=document,
                )
            )  # fmt: skip

    def standing(self) -> dict[tuple[str, ...], int]:
        """Give what documents stand at with this run, named as in `booked`."""
        sums: dict[tuple[str, ...], int] = {
            tuple(place): minor for place, minor in self.booked.items()
        }
        for entry in self.entries:
            for line in entry.lines:
                place = (
                    entry.document_ref or "", line.account, line.currency,
                    canonical_dimensions(line.dimensions or {}),
                )  # fmt: skip
                sums[place] = sums.get(place, 0) + line.amount_minor
        return sums

    def booked_now(self, session: Session) -> dict[tuple[str, ...], int]:
        """Read what documents stand at from the journal, as at the beginning."""
        booked = ledger.booked_by_document(
            session, self.month.book_code, self.source_system, self.prefix
        )
        return {tuple(place): minor for place, minor in booked.items()}

    def post(self, session: Session, actor: str) -> int | None:
        """Post what came together; gives the batch, None where nothing is new."""
        if not self.entries:
            return None
        draft = BatchDraft(
            self.month.book_code, self.source_system, self.source_ref, actor, tuple(self.entries)
        )
        return ledger.post_batch(session, draft).batch_id
