"""Provocations of the error gallery about people: drafts, who may judge them, who may see what."""

from __future__ import annotations

from datetime import UTC, date, datetime

from sqlalchemy.orm import Session

from ledger import access
from ledger.drafts import Draft
from ledger.service import draft_reading, drafting
from ledger.service.access import add_staff, client_actor
from ledger.service.book_access import set_book_access
from ledger.vault import vault
from tests.ledger.conftest import Drafts
from tests.reporting.provocations import provokes

drafts = Drafts()


def _draft(session: Session, *, ready: bool = True) -> draft_reading.DraftView:
    """Anna's draft of a bank charge."""
    entry = drafts.journal("", ("7830", 5_00), ("1920", -5_00))
    written = Draft("NO01", entry)
    view, _ = drafting.create_draft(session, written, actor="staff:anna", key="k", ready=ready)
    return view


def _approve(session: Session, view: draft_reading.DraftView, approver: str = "staff:per") -> None:
    drafting.approve(session, view.draft_id, view.latest.content_hash, approver=approver)


@provokes("draft-changed")
def _draft_changed(session: Session) -> object:
    view = _draft(session)
    drafting.attach(session, vault(), view.draft_id, 1, "x.txt", b"x", actor="staff:ole")
    return _approve(session, view)


@provokes("draft-is-posted")
def _draft_is_posted(session: Session) -> object:
    view = _draft(session)
    _approve(session, view)
    return drafting.save_draft(session, view.draft_id, 1, view.draft, actor="x", ready=False)


@provokes("not-awaiting-approval")
def _not_awaiting_approval(session: Session) -> object:
    return _approve(session, _draft(session, ready=False))


@provokes("comment-missing")
def _comment_missing(session: Session) -> object:
    view = _draft(session)
    wanted = view.latest.content_hash
    return drafting.reject(session, view.draft_id, wanted, approver="staff:per", comment=" ")


@provokes("own-draft")
def _own_draft(session: Session) -> object:
    return _approve(session, _draft(session), "staff:anna")


@provokes("draft-is-withdrawn")
def _draft_is_withdrawn(session: Session) -> object:
    view = _draft(session)
    drafting.withdraw(session, view.draft_id, actor="staff:anna", reason="sent twice")
    return _approve(session, view)


@provokes("not-your-draft")
def _not_your_draft(session: Session) -> object:
    view = _draft(session)
    return drafting.withdraw(session, view.draft_id, actor="staff:per", reason="wrong account")


@provokes("book-not-permitted")
def _book_not_permitted(_session: Session) -> object:
    actor = access.Actor("staff", 1, "kari", frozenset(), books=frozenset({"NO02"}))
    return access.check_book(actor, "NO01")


@provokes("access-reaches-back")
def _access_reaches_back(session: Session) -> object:
    add_staff(session, "kari", ["accountant"], "twelve-letters", actor="x", now=datetime.now(UTC))
    return set_book_access(
        session, "staff:kari", "NO01", granted=True, reason="x", actor="x",
        valid_from=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip


@provokes("programs-only")
def _programs_only(_session: Session) -> object:
    return access.check_program(access.Actor("staff", 1, "anna", frozenset({"ledger:post"})))


@provokes("approval-needed")
def _approval_needed(session: Session) -> object:
    view = _draft(session)
    wanted = view.latest.content_hash
    return drafting.post_unapproved(session, view.draft_id, wanted, actor="staff:anna")


@provokes("policy-reaches-back")
def _policy_reaches_back(session: Session) -> object:
    return drafting.set_approval_policy(
        session, "NO01", entry_type="manual", account_prefix="", amount_from_minor=1_000_00,
        valid_from=date(2001, 1, 1), actor="staff:anna",
    )  # fmt: skip


@provokes("attachment-refused")
def _attachment_refused(session: Session) -> object:
    view, page = _draft(session), b"<!doctype html>"
    return drafting.attach(session, vault(), view.draft_id, 1, "page.html", page, actor="x")


@provokes("scope-missing")
def _scope_missing(_session: Session) -> object:
    reader = access.Actor("staff", 1, "night-desk", access.scopes_of(["auditor"]))
    return access.check_allowed(reader, "ledger:post")


@provokes("token-invalid")
def _token_invalid(session: Session) -> object:
    return client_actor(session, "hvb_0.nobody", now=datetime(2026, 3, 31, tzinfo=UTC))
