"""Drafts of manual journals: write, attach, submit, judge, post. Two people, one hash.

The database keeps the order of versions, refuses whoever judges what they wrote, and refuses to
close a draft that was not approved where a rule asks for it: migrations/sql/0011_drafts.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.attachments import Attachment, AttachmentRefused, check_file
from ledger.drafts import (
    Draft,
    as_batch,
    check_complete,
    check_storable,
    content_hash,
    content_of,
)
from ledger.errors import Invalid
from ledger.journal import BatchDraft, Posted
from ledger.refusals import (
    ApprovalNeeded,
    CommentMissing,
    DraftChanged,
    MalformedEntry,
    UnknownSeries,
)
from ledger.service.access import record_event
from ledger.service.draft_names import check_names
from ledger.service.draft_reading import DraftView, read_draft
from ledger.service.posting import post_batch
from ledger.service.refused import translated
from ledger.service.turns import take_turn
from ledger.vault import Vault

__all__ = [
    "approve", "attach", "create_draft", "needs_approval", "post_unapproved", "reject",
    "save_draft", "set_approval_policy", "withdraw",
]  # fmt: skip


def create_draft(
    session: Session, draft: Draft, *, actor: str, key: str, ready: bool
) -> tuple[DraftView, bool]:
    """Open a draft with its first version; the same key of the same actor opens it once.

    Parameters
    ----------
    ready : the author is done and asks for approval; the draft is tried against the books now.

    Returns the draft, and whether this key had opened it before.
    Raises `SourceRefReused` for a known key with other content, else as `save_draft`.
    """
    with translated():
        opened = session.execute(
            text("SELECT opened, replayed FROM ledger_open_draft(:book, :actor, :key)"),
            {"book": draft.book, "actor": actor, "key": key},
        ).one()
    if opened.replayed:
        known = read_draft(session, opened.opened)
        first = known.versions[0]
        if first.content_hash != content_hash(content_of(draft)):
            raise DraftChanged(
                f"The key {key} opened draft {known.draft_id} with other content. Send a new key, "
                "or what was sent before.",
                draft_id=known.draft_id,
            )
        return known, True
    record_event(session, actor, "draft opened", f"draft/{opened.opened}", book=draft.book)
    return save_draft(session, opened.opened, 0, draft, actor=actor, ready=ready), False


def save_draft(
    session: Session, draft_id: int, after_version: int, draft: Draft, *, actor: str, ready: bool
) -> DraftView:
    """Append a version to a draft, after the one that was read; what was approved stays behind.

    What the same author wrote after the same version, sent again, is not written again.

    Raises
    ------
    DraftChanged : somebody wrote a version after the one that was read.
    DraftIsPosted, UnknownDraft.
    MalformedEntry : it names another book than that in which the draft was opened.
    Problem : a draft that names what its book does not know, as `check_names` says; one that is
        ready and that the books would refuse, with the reason.
    """
    check_storable(draft)
    check_names(session, draft)
    if ready:
        check_complete(draft)
    content = content_of(draft)
    take_turn(session, f"draft/{draft_id}")
    if after_version:
        view = read_draft(session, draft_id)
        if draft.book != view.book:
            raise MalformedEntry(
                f"Draft {draft_id} is of book {view.book} and stays there. Withdraw it, and open "
                f"another in {draft.book}.",
                draft_id=draft_id, book=view.book, pointer="/book",
            )  # fmt: skip
        if _is_latest(view, after_version, content_hash(content), actor, ready=ready):
            return view
    with translated():
        version = session.scalar(
            text(
                "SELECT ledger_write_draft(:draft, :after, CAST(:content AS jsonb), :hash,"
                " :ready, :actor)"
            ),
            {
                "draft": draft_id, "after": after_version, "content": json.dumps(content),
                "hash": content_hash(content), "ready": ready, "actor": actor,
            },
        )  # fmt: skip
    if ready:
        _try(session, as_batch(draft, draft_id, actor))
        record_event(session, actor, "draft submitted", f"draft/{draft_id}", version=version)
    return read_draft(session, draft_id)


def attach(
    session: Session, vault: Vault, draft_id: int, after_version: int, name: str, content: bytes,
    *, actor: str,
) -> tuple[DraftView, bool]:  # fmt: skip
    """Put a file into the vault and write a version of the draft that carries it.

    Returns the draft, and whether the file had been there before (then nothing is written).
    Raises `AttachmentRefused` for a kind or size that is not taken, else as `save_draft`.
    """
    safe, media_type = check_file(name, content)
    view = read_draft(session, draft_id)
    # Named by content: the hash is known before the bytes are kept.
    stored = vault.put(content)
    if any(file.sha256 == stored.sha256 for file in view.draft.attachments):
        return view, True
    if any(file.name == safe for file in view.draft.attachments):
        raise AttachmentRefused(
            f"Draft {draft_id} has another attachment called {safe}. Give this one a name of its "
            "own.",
            name=safe,
        )
    file = Attachment(stored.sha256, safe, stored.size, media_type)
    changed = replace(view.draft, attachments=(*view.draft.attachments, file))
    saved = save_draft(
        session, draft_id, after_version, changed, actor=actor, ready=view.latest.ready
    )
    return saved, False


def approve(
    session: Session, draft_id: int, approved_hash: bytes, *, approver: str, comment: str = ""
) -> Posted:
    """Approve the version that has this hash, and post it: both or neither.

    Approving again what the same person approved answers as the first time.

    Raises
    ------
    DraftChanged : the draft says something else by now.
    OwnDraft : the approver has written on it.
    NotAwaitingApproval : it was not submitted, or was judged already.
    Problem : why the books refuse it (a closed period, ...); nothing is kept then.
    """
    view = read_draft(session, draft_id, to_change=True)
    batch = replace(as_batch(view.draft, draft_id, view.latest.author), approved_by=approver)
    verdict = view.latest.verdict
    if (
        view.batch_id is not None
        and verdict is not None
        and ((verdict.approver, view.latest.content_hash) == (approver, approved_hash))
    ):
        return post_batch(session, batch)
    _judge(session, view, approved_hash, approver, "approved", comment)
    posted = post_batch(session, batch)
    _close(session, view, posted)
    record_event(
        session, approver, "draft approved", f"draft/{draft_id}",
        version=view.latest.version_no, hash=approved_hash.hex(), voucher=str(posted.vouchers[0]),
    )  # fmt: skip
    return posted


def reject(
    session: Session, draft_id: int, rejected_hash: bytes, *, approver: str, comment: str
) -> DraftView:
    """Send the version that has this hash back to its author, with the reason.

    Raises `CommentMissing` where no reason is given, else as `approve`.
    """
    view = read_draft(session, draft_id, to_change=True)
    verdict = view.latest.verdict
    if verdict is not None and (
        (verdict.verdict, verdict.approver, view.latest.content_hash)
        == ("rejected", approver, rejected_hash)
    ):
        return view
    if not comment.strip():
        raise CommentMissing(
            f"Say why draft {draft_id} is rejected; its author has to know what to change.",
            draft_id=draft_id,
        )
    _judge(session, view, rejected_hash, approver, "rejected", comment)
    record_event(
        session, approver, "draft rejected", f"draft/{draft_id}",
        version=view.latest.version_no, hash=rejected_hash.hex(), comment=comment,
    )  # fmt: skip
    return read_draft(session, draft_id)


def post_unapproved(session: Session, draft_id: int, wanted_hash: bytes, *, actor: str) -> Posted:
    """Post a submitted draft that no rule wants a second person for, in its author's name.

    Raises `ApprovalNeeded` where a rule does, `DraftChanged`, else as `approve`.
    """
    view = read_draft(session, draft_id, to_change=True)
    if view.latest.content_hash != wanted_hash:
        raise _changed(view)
    batch = as_batch(view.draft, draft_id, view.latest.author)
    if view.batch_id is not None and view.latest.verdict is None:
        return post_batch(session, batch)
    if not view.latest.ready or needs_approval(session, batch):
        raise ApprovalNeeded(
            f"Draft {draft_id} needs the approval of another person before it is posted.",
            draft_id=draft_id,
        )
    posted = post_batch(session, batch)
    _close(session, view, posted)
    record_event(
        session, actor, "draft posted", f"draft/{draft_id}", version=view.latest.version_no,
        voucher=str(posted.vouchers[0]),
    )  # fmt: skip
    return posted


def withdraw(session: Session, draft_id: int, *, actor: str, reason: str) -> DraftView:
    """Take a draft back, which only its maker can; it is final, and stays readable.

    Withdrawing again what one has withdrawn changes nothing.

    Raises
    ------
    NotYourDraft : somebody else opened it; they reject it, or its maker withdraws.
    DraftIsPosted, DraftIsWithdrawn, UnknownDraft.
    Invalid : no reason is given.
    """
    view = read_draft(session, draft_id, to_change=True)
    if view.withdrawal is not None and view.withdrawal.actor == actor:
        return view
    if not reason.strip():
        raise Invalid(f"Say why draft {draft_id} is withdrawn; the reason stays on record.")
    with translated():
        session.execute(
            text("SELECT ledger_withdraw_draft(:draft, :actor, :why)"),
            {"draft": draft_id, "actor": actor, "why": reason.strip()},
        )
    record_event(session, actor, "draft withdrawn", f"draft/{draft_id}", reason=reason.strip())
    return read_draft(session, draft_id)


def needs_approval(session: Session, batch: BatchDraft) -> bool:
    """Tell whether a rule in force today wants a second person for these entries.

    What a person posts is a manual journal, whatever type it gives itself.
    """
    return any(
        session.scalar(
            text(
                "SELECT ledger_approval_needed(book_id, :types, :accounts, :debit,"
                " ledger_policy_day()) FROM book WHERE code = :book"
            ),
            {
                "types": sorted({"manual", entry.entry_type}),
                "accounts": sorted({line.account for line in entry.lines}),
                "debit": sum(max(line.base, 0) for line in entry.lines),
                "book": batch.book,
            },
        )
        for entry in batch.entries
    )


def set_approval_policy(
    session: Session, book: str, *, entry_type: str, account_prefix: str,
    amount_from_minor: int | None, valid_from: date, actor: str,
) -> None:  # fmt: skip
    """Say from a day on which journals need a second person; None lets them pass this rule.

    Raises `PolicyReachesBack` for a day that is past or has its rule already.
    """
    rule: dict[str, Any] = {
        "type": entry_type, "prefix": account_prefix, "amount": amount_from_minor,
        "day": valid_from,
    }  # fmt: skip
    with translated():
        session.execute(
            text("SELECT ledger_set_approval_policy(:book, :type, :prefix, :amount, :day, :actor)"),
            {"book": book, "actor": actor, **rule},
        )
    told = {**rule, "day": valid_from.isoformat()}
    record_event(session, actor, "approval rule set", f"book/{book}", **told)


def _is_latest(
    view: DraftView, after_version: int, written: bytes, actor: str, *, ready: bool
) -> bool:
    """Tell whether this is what stands: written after that version, and judged by nobody yet."""
    latest = view.latest
    standing = (latest.version_no, latest.content_hash, latest.author, latest.ready)
    return (
        standing == (after_version + 1, written, actor, ready)
        and latest.verdict is None and view.batch_id is None and view.withdrawal is None
    )  # fmt: skip


def _judge(
    session: Session, view: DraftView, judged: bytes, approver: str, verdict: str, comment: str
) -> None:
    """Record a verdict on the latest version, if that is what was read."""
    if view.latest.content_hash != judged:
        raise _changed(view)
    with translated():
        session.execute(
            text("SELECT ledger_judge_draft(:draft, :version, :hash, :actor, :verdict, :why)"),
            {
                "draft": view.draft_id, "version": view.latest.version_no, "hash": judged,
                "actor": approver, "verdict": verdict, "why": comment.strip(),
            },
        )  # fmt: skip


def _close(session: Session, view: DraftView, posted: Posted) -> None:
    with translated():
        session.execute(
            text("SELECT ledger_close_draft(:draft, :version, :batch)"),
            {
                "draft": view.draft_id,
                "version": view.latest.version_no,
                "batch": posted.batch_id,
            },
        )


def _try(session: Session, batch: BatchDraft) -> None:
    """Post and take back: the author meets what the books refuse, not the approver."""
    series = batch.entries[0].series
    kind = session.scalar(
        text(
            "SELECT document_type FROM voucher_series JOIN book USING (book_id)"
            " WHERE book.code = :book AND voucher_series.code = :series"
        ),
        {"book": batch.book, "series": series},
    )
    if kind != "journal":
        raise UnknownSeries(
            f"{series} is no series of journals. A manual journal takes JNL.", series=series
        )
    attempt = session.begin_nested()
    post_batch(session, batch)
    attempt.rollback()


def _changed(view: DraftView) -> DraftChanged:
    return DraftChanged(
        f"Draft {view.draft_id} is at version {view.latest.version_no} by now, and that is not "
        "what you read. Read it again and decide on that.",
        draft_id=view.draft_id,
        version=view.latest.version_no,
    )
