"""Pages of billing operations: files with their control totals and alarms, and suspense."""

from __future__ import annotations

from flask import Flask, render_template, request

from ledger.db import transaction
from ledger.web import scope
from reporting.web import sources

_FILES_SHOWN = 500
_RECORDS_SHOWN = 200


def add_pages(app: Flask) -> None:
    """Add these pages to the application."""
    for rule, name, view in (
        ("/feeds", "feeds", _feeds),
        ("/feeds/<int:file_id>", "feed", _feed),
        ("/suspense", "suspense", _suspense),
    ):
        app.add_url_rule(rule, f"desk.{name}", view)


@scope("mediation:read")
def _feeds() -> str:
    """List the files registered, newest first, and whether their sums tie."""
    with transaction() as session:
        files = sources.files(session)
    untied = sum(not file.ties for file in files)
    return render_template(
        "feeds.html", files=files[:_FILES_SHOWN], count=len(files), untied=untied
    )


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
    reason = request.args.get("reason") or None
    with transaction() as session:
        reasons = sources.suspense_by_reason(session)
        records = sources.suspended(session, reason=reason, limit=_RECORDS_SHOWN)
    return render_template(
        "suspense.html", reasons=reasons, records=records, reason=reason, shown=_RECORDS_SHOWN
    )
