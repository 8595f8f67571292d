"""Read drafts: one with its versions, those that wait, an attachment; and prove that they hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from ledger.attachments import Attachment
from ledger.drafts import Draft, content_hash, draft_of
from ledger.refusals import UnknownDraft
from ledger.service.books import require_book
from ledger.service.turns import take_turn


@dataclass(frozen=True, slots=True)
class Verdict:
    """What another person said about a version."""

    approver: str
    verdict: str  # approved or rejected.
    comment: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """Who took a draft back, and why."""

    actor: str
    reason: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class DraftVersion:
    """What a draft said at some moment, and what became of that."""

    version_no: int
    author: str
    recorded_at: datetime
    ready: bool
    content_hash: bytes
    draft: Draft
    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class DraftView:
    """A draft with every version of it, oldest first."""

    draft_id: int
    book: str
    created_by: str
    created_at: datetime
    batch_id: int | None
    state: str  # draft, submitted, rejected, posted or withdrawn.
    versions: tuple[DraftVersion, ...]
    withdrawal: Withdrawal | None = None

    @property
    def latest(self) -> DraftVersion:
        """Give the version that counts."""
        return self.versions[-1]

    @property
    def draft(self) -> Draft:
        """Give what the draft says now."""
        return self.latest.draft

    @property
    def compared(self) -> DraftVersion | None:
        """Give the version to lay beside the latest: the last one judged, else the last unlike it.

        Whoever approves sees everything that changed since somebody looked.
        """
        earlier = self.versions[:-1]
        judged = [version for version in earlier if version.verdict is not None]
        unlike = [v for v in earlier if v.content_hash != self.latest.content_hash]
        return next(iter(reversed(judged or unlike)), None)

    @property
    def authors(self) -> frozenset[str]:
        """Name everybody who may not judge it."""
        return frozenset({self.created_by, *(version.author for version in self.versions)})


@dataclass(frozen=True, slots=True)
class DraftRow:
    """A draft as lists show it. [minor units of the base currency]"""

    draft_id: int
    version_no: int
    state: str
    text: str
    author: str
    effective_date: date
    debit_minor: int
    attachments: int
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class ApprovalPolicy:
    """A rule: which entries need a second person, from a day and an amount on. [minor units]"""

    entry_type: str
    account_prefix: str
    amount_from_minor: int | None
    valid_from: date
    actor: str


def read_draft(session: Session, draft_id: int, *, to_change: bool = False) -> DraftView:
    """Read a draft with its versions. Raises `UnknownDraft`.

    Who reads it to change it has it alone until the transaction ends.
    """
    if to_change:
        take_turn(session, f"draft/{draft_id}")
    head = session.execute(
        text(
            "SELECT draft_id, book, created_by, created_at, batch_id, state, withdrawn_by, reason,"
            " withdrawn_at"
            f" FROM {_STANDING} WHERE draft_id = :id"
        ),
        {"id": draft_id},
    ).one_or_none()
    if head is None:
        raise UnknownDraft(f"There is no draft {draft_id}.", draft_id=draft_id)
    rows = session.execute(
        text(
            "SELECT v.version_no, v.author, v.recorded_at, v.ready, v.content_hash, v.content,"
            " a.approver, a.verdict, a.comment, a.recorded_at AS judged_at FROM draft_version v"
            " LEFT JOIN draft_approval a USING (draft_id, version_no)"
            " WHERE v.draft_id = :id ORDER BY v.version_no"
        ),
        {"id": draft_id},
    )
    versions = tuple(
        DraftVersion(
            row.version_no, row.author, row.recorded_at, row.ready, bytes(row.content_hash),
            draft_of(row.content),
            Verdict(row.approver, row.verdict, row.comment, row.judged_at)
            if row.verdict else None,
        )
        for row in rows
    )  # fmt: skip
    return DraftView(
        head.draft_id, head.book, head.created_by, head.created_at, head.batch_id, head.state,
        versions,
        None if head.withdrawn_by is None
        else Withdrawal(head.withdrawn_by, head.reason, head.withdrawn_at),
    )  # fmt: skip


def list_drafts(
    session: Session, book: str, *, state: str | None = None, before: int | None = None,
    limit: int = 100,
) -> list[DraftRow]:  # fmt: skip
    """List the drafts of a book, newest first, those of one state or all.

    `before` is the id of the last draft of the page before; `limit` is how many.
    """
    rows = session.execute(
        text(
            f"SELECT * FROM {_STANDING} WHERE book = :book"
            " AND (CAST(:state AS text) IS NULL OR state = :state)"
            " AND (CAST(:before AS bigint) IS NULL OR draft_id < :before)"
            " ORDER BY draft_id DESC LIMIT :limit"
        ),
        {"book": book, "state": state, "before": before, "limit": limit},
    )
    return [_row(row) for row in rows]


def waiting_drafts(session: Session, book: str, first_day: date, last_day: date) -> list[DraftRow]:
    """List the drafts dated in a span of days, both included, that nobody has decided on yet."""
    rows = session.execute(
        text(
            f"SELECT * FROM {_STANDING} WHERE book = :book AND state IN ('draft', 'submitted')"
            " AND CAST(content ->> 'effective_date' AS date) BETWEEN :first AND :last"
            " ORDER BY draft_id"
        ),
        {"book": book, "first": first_day, "last": last_day},
    )
    return [_row(row) for row in rows]


def _row(row: Row[Any]) -> DraftRow:
    """Show a draft as lists do; files are those of its latest version."""
    entry = draft_of(row.content).entry
    return DraftRow(
        row.draft_id, row.version_no, row.state, entry.text, row.author, entry.effective_date,
        sum(max(line.base, 0) for line in entry.lines), len(row.content["attachments"]),
        row.recorded_at,
    )  # fmt: skip


def draft_attachment(session: Session, draft_id: int, sha256: str) -> Attachment:
    """Find a file that any version of a draft carries. Raises `UnknownDraft`."""
    row = session.execute(
        text(
            "SELECT sha256, name, size, media_type FROM draft_attachment"
            " WHERE draft_id = :id AND sha256 = :sha256"
        ),
        {"id": draft_id, "sha256": sha256},
    ).one_or_none()
    if row is None:
        raise UnknownDraft(
            f"Draft {draft_id} has no attachment {sha256}.", draft_id=draft_id, sha256=sha256
        )
    return Attachment(*row)


def draft_of_batch(session: Session, batch_id: int) -> DraftView | None:
    """Read the draft that a batch was posted from; None for a batch of a system."""
    draft_id = session.scalar(
        text("SELECT draft_id FROM draft_posted WHERE batch_id = :batch"), {"batch": batch_id}
    )
    return None if draft_id is None else read_draft(session, draft_id)


def approval_policies(session: Session, book: str) -> list[ApprovalPolicy]:
    """List the approval rules of a book, ended ones too, newest first within each kind.

    Raises `UnknownBook`.
    """
    require_book(session, book)
    rows = session.execute(
        text(
            "SELECT entry_type, account_prefix, amount_from_minor, valid_from, actor"
            " FROM approval_policy JOIN book USING (book_id) WHERE code = :book"
            " ORDER BY entry_type, account_prefix, valid_from DESC"
        ),
        {"book": book},
    )
    return [ApprovalPolicy(*row) for row in rows]


def wrong_drafts(session: Session) -> Iterator[tuple[str, str]]:
    """Recompute the hash of every version, and compare what was posted with what was approved.

    Yields (where, detail) per fault.
    """
    rows = session.execute(
        text(
            "SELECT v.draft_id, v.version_no, v.content, v.content_hash, e.source_ref"
            " FROM draft_version v LEFT JOIN draft_posted p USING (draft_id, version_no)"
            " LEFT JOIN journal_entry e ON e.entry_id = p.batch_id << 20"
            " ORDER BY v.draft_id, v.version_no"
        ),
        execution_options={"yield_per": 1000},
    )
    for draft_id, version_no, content, stored, source_ref in rows:
        where = f"draft {draft_id} version {version_no}"
        found = content_hash(content)
        if found != bytes(stored):
            yield where, "its content does not have the hash that was approved"
        if source_ref is not None and source_ref != f"draft/{draft_id}/{found.hex()}":
            yield where, f"it was posted as {source_ref}, which is not its content"


# Each draft beside its latest version, with where it stands.
_STANDING = (
    "(SELECT d.draft_id, code AS book, created_by, created_at, p.batch_id, v.version_no, v.author,"
    " v.content, v.recorded_at, x.actor AS withdrawn_by, x.reason, x.recorded_at AS withdrawn_at,"
    " CASE WHEN p.batch_id IS NOT NULL THEN 'posted'"
    "  WHEN x.draft_id IS NOT NULL THEN 'withdrawn'"
    "  WHEN a.verdict = 'rejected' THEN 'rejected'"
    "  WHEN v.ready THEN 'submitted' ELSE 'draft' END AS state"
    " FROM journal_draft d JOIN book USING (book_id)"
    " CROSS JOIN LATERAL (SELECT * FROM draft_version w WHERE w.draft_id = d.draft_id"
    "  ORDER BY version_no DESC LIMIT 1) v"
    " LEFT JOIN draft_approval a ON a.draft_id = d.draft_id AND a.version_no = v.version_no"
    " LEFT JOIN draft_posted p ON p.draft_id = d.draft_id"
    " LEFT JOIN draft_withdrawn x ON x.draft_id = d.draft_id) standing"
)
