"""Pages of billing operations: files with their control totals and alarms, and suspense."""

from __future__ import annotations

import re

from flask import Flask, render_template, request
from sqlalchemy.orm import Session

from ledger.db import transaction
from ledger.errors import Invalid, Problem
from ledger.web import current_actor, scope
from mediation import service as mediation
from mediation.outcomes import REASONS
from mediation.service import RowOutcome
from reporting.web import sources
from reporting.web.arguments import choice_argument, number_argument

_FILES_SHOWN = 500
_RECORDS_SHOWN = 200
_ACTIONS = ("try", "run", "correct", "give_up")


def add_pages(app: Flask) -> None:
    """Add these pages to the application."""
    for rule, name, view, methods in (
        ("/feeds", "feeds", _feeds, ["GET"]),
        ("/feeds/<int:file_id>", "feed", _feed, ["GET"]),
        ("/suspense", "suspense", _suspense, ["GET"]),
        ("/suspense/rows", "suspense_rows", _rows, ["POST"]),
    ):
        app.add_url_rule(rule, f"desk.{name}", view, methods=methods)


@scope("mediation:read")
def _feeds() -> str:
    """List the files registered, newest first, or those that somebody has to look at."""
    look, before = choice_argument("look", ("yes",)), number_argument("before")
    with transaction() as session:
        files, refused = sources.files(session), mediation.refused_files(session)
    wanted = [file for file in files if file.wants_a_look] if look else files
    shown = [file for file in wanted if before is None or file.file_id < before]
    return render_template(
        "feeds.html", files=shown[:_FILES_SHOWN], more=len(shown) > _FILES_SHOWN, before=before,
        look=look, count=len(wanted), untied=sum(not file.ties for file in files),
        seen_to=sum(file.wants_a_look for file in files), refused=refused,
    )  # fmt: skip


@scope("mediation:read")
def _feed(file_id: int) -> str:
    """Show one file: its control account per measure, and what of it is suspended."""
    with transaction() as session:
        file = sources.file(session, file_id)
        records = sources.suspended(session, file_id=file_id, limit=_RECORDS_SHOWN)
    return render_template("feed.html", file=file, records=records)


@scope("mediation:read")
def _suspense() -> str:
    """List suspended records by reason, and the newest of them."""
    return _suspense_page()


@scope("mediation:run")
def _rows() -> str | tuple[str, int]:
    """Run suspended rows of orders again, correct one or give it up; say what became of them."""
    try:
        with transaction() as session:
            outcomes = _act(session, request.form.get("action", ""))
    except Problem as refusal:
        return _suspense_page(refusal=refusal), int(refusal.status)
    return _suspense_page(outcomes=outcomes, tried=request.form.get("action") == "try")


def _act(session: Session, action: str) -> list[RowOutcome]:
    if action not in _ACTIONS:
        raise Invalid("Choose what to do with the rows: try, run, correct or give up.",
                      field="action")  # fmt: skip
    typed = {name: request.form.get(name, "").strip()
             for name in ("file", "line", "column", "value", "reason")}  # fmt: skip
    signed = (current_actor().reference, typed["reason"])
    if action in {"try", "run"}:
        return sources.rerun_rows(session, *signed, dry_run=action == "try")
    if not re.fullmatch("[1-9][0-9]{0,8}", typed["line"], re.ASCII):
        raise Invalid(f"{typed['line']!r} is no number of a line.", field="line")
    place = (typed["file"], int(typed["line"]))
    if action == "give_up":
        return [sources.give_up_row(session, *place, *signed)]
    values = {typed["column"]: typed["value"]} if typed["column"] else {}
    return [sources.correct_row(session, *place, values, *signed)]


def _suspense_page(
    outcomes: list[RowOutcome] | None = None, refusal: Problem | None = None, *,
    tried: bool = False,
) -> str:  # fmt: skip
    with transaction() as session:
        reasons = sources.suspense_by_reason(session)
        reason = choice_argument("reason", (*REASONS[1:], *(row.reason for row in reasons)))
        records = sources.suspended(session, reason=reason, limit=_RECORDS_SHOWN)
    return render_template(
        "suspense.html", reasons=reasons, records=records, reason=reason, shown=_RECORDS_SHOWN,
        outcomes=outcomes, refusal=refusal, tried=tried,
    )  # fmt: skip
