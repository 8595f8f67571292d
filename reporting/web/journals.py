"""Pages of manual journals: the queue, one draft with what changed, the form, and the verdict."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus

from flask import Flask, Response, redirect, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as BaseResponse

from ledger import service as ledger
from ledger.api.drafts import file_of
from ledger.attachments import SIZE_MAX
from ledger.db import transaction
from ledger.drafts import FINAL_STATES, STATES, as_batch, compare_lines
from ledger.errors import Invalid, Problem
from ledger.refusals import DraftChanged
from ledger.service import draft_reading, drafting
from ledger.service.chart import ChartAccount, chart_of_accounts
from ledger.service.dimensions import dimensions
from ledger.service.draft_reading import DraftView
from ledger.service.registers import currencies, vat_codes
from ledger.vault import vault
from ledger.web import current_actor, scope
from party.service import parties_of_numbers, party_labels
from reporting.norwegian import long_date
from reporting.web.arguments import choice_argument, number_argument
from reporting.web.dates import today
from reporting.web.frame import book, show_book
from reporting.web.journal_form import (
    Form,
    Row,
    draft_from,
    faults_of,
    fits,
    form_of,
    read_form,
    told_of_one,
    written_dimensions,
)
from reporting.web.sums import sums_of

_ROWS_SHOWN = 100
_ROWS_ADDED = 3
_HASH_LENGTH = 32
TABS = (
    ("submitted", "Waiting for approval"), ("draft", "Unfinished"), ("rejected", "Rejected"),
    ("posted", "Posted"), ("withdrawn", "Withdrawn"),
)  # fmt: skip


def add_pages(app: Flask) -> None:
    """Add these pages to the application."""
    for rule, name, view, methods in (
        ("/journal", "journals", _journals, ["GET"]),
        ("/journal/new", "journal_new", _new, ["GET"]),
        ("/journal/new", "journal_create", _create, ["POST"]),
        ("/journal/sum", "journal_sum", _sum, ["POST"]),
        ("/journal/<int:draft_id>", "journal", _journal, ["GET"]),
        ("/journal/<int:draft_id>/edit", "journal_edit", _edit, ["GET"]),
        ("/journal/<int:draft_id>/edit", "journal_change", _change, ["POST"]),
        ("/journal/<int:draft_id>/submit", "journal_submit", _submit, ["POST"]),
        ("/journal/<int:draft_id>/verdict", "journal_judge", _judge, ["POST"]),
        ("/journal/<int:draft_id>/posting", "journal_post", _post, ["POST"]),
        ("/journal/<int:draft_id>/withdrawal", "journal_withdraw", _withdraw, ["POST"]),
        ("/journal/<int:draft_id>/attachments", "journal_attach", _attach, ["POST"]),
        ("/journal/<int:draft_id>/attachments/<sha256>", "journal_file", _file, ["GET"]),
    ):
        app.add_url_rule(rule, f"desk.{name}", view, methods=methods)


@scope("ledger:read")
def _journals() -> str:
    """List drafts by where they stand; what waits for approval comes first."""
    state = choice_argument("state", STATES) or "submitted"
    before = number_argument("before")
    with transaction() as session:
        rows = draft_reading.list_drafts(
            session, book(), state=state, before=before, limit=_ROWS_SHOWN
        )
    return render_template(
        "journals.html", rows=rows, state=state, tabs=TABS, more=len(rows) == _ROWS_SHOWN
    )


@scope("ledger:post")
def _new() -> str:
    """Show an empty form; its key makes sending it twice harmless."""
    form = Form(long_date(today()), key=secrets.token_hex(16))
    with transaction() as session:
        return _form_page(session, form, None)


@scope("ledger:post")
def _create() -> BaseResponse | tuple[str, int] | str:
    """Add a row, or keep the draft, or submit it."""
    return _write(None)


@scope("ledger:post")
def _edit(draft_id: int) -> str:
    """Show the form with what the draft says."""
    with transaction() as session:
        view = draft_reading.read_draft(session, draft_id)
        own = ledger.functional_currency(session, view.book)
        parties = {line.party_id for line in view.draft.entry.lines if line.party_id}
        numbers = {party: one[0] for party, one in party_labels(session, parties).items()}
        form = form_of(view.draft, view.latest.version_no, own, numbers)
        return _form_page(session, form, draft_id)


@scope("ledger:post")
def _change(draft_id: int) -> BaseResponse | tuple[str, int] | str:
    """Add a row, or write the next version of the draft."""
    return _write(draft_id)


@scope("ledger:post")
def _sum() -> str:
    """Add up what is typed so far."""
    return render_template("journal_sum.html", form=read_form(request.form))


@scope("ledger:read")
def _journal(draft_id: int) -> str:
    """Show a draft: its lines beside those of the version before, its files and its verdicts."""
    with transaction() as session:
        return _draft_page(session, draft_reading.read_draft(session, draft_id))


@scope("ledger:post")
def _submit(draft_id: int) -> BaseResponse | tuple[str, int]:
    """Ask for approval of what was read."""
    with transaction() as session:
        view = draft_reading.read_draft(session, draft_id)
    return _attempt(view, lambda session: drafting.save_draft(
        session, draft_id, _version(), view.draft, actor=current_actor().reference, ready=True
    ))  # fmt: skip


@scope("ledger:approve")
def _judge(draft_id: int) -> BaseResponse | tuple[str, int]:
    """Approve and post what was read, or send it back."""
    verdict, comment = request.form.get("verdict"), request.form.get("comment", "")
    wanted, person = _read_hash(), current_actor().reference
    if verdict not in {"approved", "rejected"}:
        raise Invalid("Approve or reject the draft.")
    with transaction() as session:
        view = draft_reading.read_draft(session, draft_id)
    judge = drafting.approve if verdict == "approved" else drafting.reject
    return _attempt(
        view, lambda session: judge(session, draft_id, wanted, approver=person, comment=comment)
    )


@scope("ledger:post")
def _post(draft_id: int) -> BaseResponse | tuple[str, int]:
    """Post what no rule wants a second person for."""
    wanted, person = _read_hash(), current_actor().reference
    with transaction() as session:
        view = draft_reading.read_draft(session, draft_id)
    return _attempt(
        view, lambda session: drafting.post_unapproved(session, draft_id, wanted, actor=person)
    )


@scope("ledger:post")
def _withdraw(draft_id: int) -> BaseResponse | tuple[str, int]:
    """Take back a draft of one's own, as it was read."""
    person, reason, version = current_actor().reference, request.form.get("reason", ""), _version()
    with transaction() as session:
        view = draft_reading.read_draft(session, draft_id)

    def withdraw(session: Session) -> object:
        if view.latest.version_no != version:
            raise DraftChanged(
                f"Draft {draft_id} is at version {view.latest.version_no} by now. Read it again.",
                draft_id=draft_id,
            )
        return drafting.withdraw(session, draft_id, actor=person, reason=reason)

    return _attempt(view, withdraw)


@scope("ledger:post")
def _attach(draft_id: int) -> BaseResponse | tuple[str, int]:
    """Put a file beside the draft."""
    file = request.files.get("file")
    if file is None or not file.filename:
        raise Invalid("Choose a file to attach.")
    name, content = file.filename, file.read(SIZE_MAX + 1)
    with transaction() as session:
        view = draft_reading.read_draft(session, draft_id)
    return _attempt(view, lambda session: drafting.attach(
        session, vault(), draft_id, _version(), name, content, actor=current_actor().reference
    ))  # fmt: skip


@scope("ledger:read")
def _file(draft_id: int, sha256: str) -> Response:
    """Give an attachment to be saved."""
    return file_of(draft_id, sha256)


def _write(draft_id: int | None) -> BaseResponse | tuple[str, int] | str:
    """Do what the form was sent for; what cannot be done is told above what was typed."""
    form, action = read_form(request.form), request.form.get("action", "save")
    if action == "line":
        form = replace(form, rows=(*form.rows, *[Row()] * _ROWS_ADDED))
        with transaction() as session:
            return _form_page(session, form, draft_id)
    actor, ready = current_actor().reference, action == "submit"
    try:
        with transaction() as session:
            if draft_id is None:
                key = form.key or secrets.token_hex(16)
                own = ledger.functional_currency(session, book())
                draft = draft_from(form, book(), own, _customers_of(session, form))
                view, _ = drafting.create_draft(session, draft, actor=actor, key=key, ready=ready)
            else:
                before = draft_reading.read_draft(session, draft_id)
                own = ledger.functional_currency(session, before.book)
                draft = draft_from(
                    form, before.book, own, _customers_of(session, form), before.draft.attachments
                )
                view = drafting.save_draft(
                    session, draft_id, form.version, draft, actor=actor, ready=ready
                )
    except Problem as refusal:
        form = replace(form, faults=faults_of(refusal, form.rows))
        with transaction() as session:
            page = _form_page(session, form, draft_id, refusal)
        return page, int(refusal.status)
    return _to(view.draft_id)


def _customers_of(session: Session, form: Form) -> dict[str, int]:
    """Give the parties of the customer numbers that are typed; the ledger keeps any number."""
    typed = (row.party.strip() for row in form.rows)
    return parties_of_numbers(session, [number for number in typed if number.isprintable()])


def _attempt(
    view: DraftView, change: Callable[[Session], object]
) -> BaseResponse | tuple[str, int]:
    """Do one change to a draft in a transaction; a refusal is told on the draft's own page."""
    try:
        with transaction() as session:
            change(session)
    except Problem as refusal:
        with transaction() as session:
            now = draft_reading.read_draft(session, view.draft_id)
            return _draft_page(session, now, refusal), int(refusal.status)
    return _to(view.draft_id)


def _draft_page(session: Session, view: DraftView, refusal: Problem | None = None) -> str:
    actor, names = current_actor(), _names(session, view.book)
    show_book(view.book)
    entry, before = view.draft.entry, view.compared
    old = view.draft if before is None else before.draft
    changes = compare_lines(old.entry.lines, entry.lines)
    voucher = None
    if view.batch_id is not None:
        voucher = ledger.read_entry(session, view.batch_id << 20).voucher
    own = actor.reference in view.authors
    batch = as_batch(view.draft, view.draft_id, view.latest.author)
    parties = {line.party_id for line in (*entry.lines, *old.entry.lines) if line.party_id}
    return render_template(
        "journal.html", view=view, entry=entry, before=before, old=old, changes=changes,
        parties=party_labels(session, parties), written_dimensions=written_dimensions,
        sums=sums_of(entry.lines),
        names=names, voucher=voucher, own=own, refusal=refusal,
        told=told_of_one(refusal) if refusal else "", editable=fits(view.draft),
        judges=view.state == "submitted" and actor.may("ledger:approve") and not own,
        writes=view.state not in FINAL_STATES and actor.may("ledger:post"),
        maker=view.state not in FINAL_STATES and actor.may("ledger:post")
        and actor.reference == view.created_by,
        alone=view.state == "submitted" and not drafting.needs_approval(session, batch),
    )  # fmt: skip


def _form_page(
    session: Session, form: Form, draft_id: int | None, refusal: Problem | None = None
) -> str:
    of_book = book() if draft_id is None else draft_reading.read_draft(session, draft_id).book
    show_book(of_book)
    own = ledger.functional_currency(session, of_book)
    accounts = [a for a in chart_of_accounts(session, of_book) if _takes_manual(a)]
    return render_template(
        "journal_form.html", form=replace(form, own=own), draft_id=draft_id, accounts=accounts,
        refusal=refusal, told=told_of_one(refusal, form.rows) if refusal else "",
        dimensions=dimensions(session, of_book),
        currencies=currencies(session), vat_codes=vat_codes(session, of_book, today()),
    )  # fmt: skip


def _takes_manual(account: ChartAccount) -> bool:
    return account.manual_post_allowed and not account.open_item


def _names(session: Session, of_book: str) -> dict[str, str]:
    return {account.number: account.name for account in chart_of_accounts(session, of_book)}


def _version() -> int:
    written = request.form.get("version", "")
    if not written.isascii() or not written.isdigit() or len(written) > 5:
        raise Invalid("The form does not say which version it is of. Load the page again.")
    return int(written)


def _read_hash() -> bytes:
    try:
        found = bytes.fromhex(request.form.get("content_hash", ""))
    except ValueError:
        found = b""
    if len(found) != _HASH_LENGTH:
        raise Invalid("The form does not say what was read. Load the page again.")
    return found


def _to(draft_id: int) -> BaseResponse:
    return redirect(url_for("desk.journal", draft_id=draft_id), HTTPStatus.SEE_OTHER)
