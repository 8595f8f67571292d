"""Pages of periods: how the months stand, one month with its checklist, and the close of a year."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from flask import Flask, redirect, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as BaseResponse

from ledger import service as ledger
from ledger.api.periods import period_etag, states_of
from ledger.closing import Scope, UnknownChecklist, is_closed
from ledger.db import transaction
from ledger.errors import Invalid, Problem
from ledger.money import parse_amount
from ledger.periods import MODULES
from ledger.service import checklists, closing, year_end
from ledger.service.checklists import Checklist
from ledger.service.periods import PeriodState
from ledger.web import current_actor, scope
from ledger.web.etags import StateChanged
from reporting.norwegian import kroner, whole_number
from reporting.web.arguments import number_argument, read_day
from reporting.web.clocks import wanted_known
from reporting.web.dates import OSLO
from reporting.web.frame import book, wanted_day

_EVIDENCE_SHOWN = 20
_LATE_SHOWN = 200
_COUNTS = frozenset({"octets", "records", "rows", "seconds", "undated"})
_AMOUNT = re.compile(r"-?[0-9]+\.[0-9]{2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Month:
    """A period in the list: its modules in order, and the evidence of its last close."""

    period: str
    modules: tuple[PeriodState, ...]
    closed_on: Checklist | None


@dataclass(frozen=True, slots=True)
class YearRow:
    """A fiscal year above its months: its result, and how it was closed."""

    year: year_end.Year
    months: tuple[Month, ...]
    may_close: bool


def add_pages(app: Flask) -> None:
    """Add these pages to the application."""
    for rule, name, view, methods in (
        ("/periods", "periods", _periods, ["GET"]),
        ("/periods/<period>", "period", _period, ["GET"]),
        ("/periods/<period>/checklist", "period_look", _look, ["POST"]),
        ("/periods/<period>/close", "period_close", _close, ["POST"]),
        ("/periods/<period>/reopen", "period_reopen", _reopen, ["POST"]),
        ("/periods/<period>/exceptions", "period_except", _except, ["POST"]),
        ("/periods/<period>/waivers", "period_waive", _waive, ["POST"]),
        ("/years/<int:year>/close", "year_close", _close_year, ["POST"]),
    ):
        app.add_url_rule(rule, f"desk.{name}", view, methods=methods)


@scope("ledger:read")
def _periods() -> str:
    """List the years of the book, the newest first, and how each month of them stands."""
    with transaction() as session:
        return _list_page(session)


@scope("ledger:read")
def _period(period: str) -> str:
    """Show a month: its modules, its newest checklist or the one asked for, and what came late."""
    with transaction() as session:
        return _page(session, period)


@scope("periods:close")
def _look(period: str) -> BaseResponse | tuple[str, int]:
    """Run the checks and keep what they find."""
    who = current_actor().reference
    return _attempt(
        period, lambda session: closing.run_checklist(session, book(), period, actor=who)
    )


@scope("periods:close")
def _close(period: str) -> BaseResponse | tuple[str, int]:
    """Close the month, if nothing is in the way; for good only where that is confirmed."""
    level, who = request.form.get("level", ""), current_actor().reference

    def close(session: Session) -> object:
        if level == "hard" and request.form.get("confirm") != "yes":
            raise Invalid("Confirm that the month is closed for good: nothing can open it again.")
        closing.hold_period(session, book(), period)  # Twice at once: the second finds it done.
        standing = [state.level for state in states_of(session, book(), period)]
        if level in closing.CLOSED_AS and is_closed(standing, level):
            return None  # The same form again.
        _require_as_read(session, period)
        return closing.close_period(session, book(), period, level=level, actor=who)

    return _attempt(period, close)


@scope("periods:close")
def _reopen(period: str) -> BaseResponse | tuple[str, int]:
    """Open modules of the month to everybody again."""
    chosen, who = request.form.get("module", ""), current_actor().reference

    def reopen(session: Session) -> object:
        modules = MODULES if chosen == "all" else (chosen,)
        closing.hold_period(session, book(), period)
        standing = {state.module: state.level for state in states_of(session, book(), period)}
        if all(standing.get(module) == "open" for module in modules):
            return None  # The same form again.
        _require_as_read(session, period)
        return closing.reopen_modules(
            session, book(), period, modules=modules, actor=who,
            reason=request.form.get("reason", ""),
        )  # fmt: skip

    return _attempt(period, reopen)


@scope("periods:waive")
def _except(period: str) -> BaseResponse | tuple[str, int]:
    """Let one person post into a module of the closed month until the end of a day."""
    who = current_actor().reference

    def leave(session: Session) -> object:
        day = read_day(request.form.get("until", ""), "until")
        if day is None:
            raise Invalid("Say until when; at most 31 days from now.", field="until")
        name = request.form.get("actor", "").strip()
        return ledger.grant_exception(
            session, book(), period, module=request.form.get("module", ""),
            actor=name if ":" in name else f"staff:{name}",
            reason=request.form.get("reason", ""), granted_by=who,
            expires_at=datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=OSLO),
        )  # fmt: skip

    return _attempt(period, leave)


@scope("periods:waive")
def _waive(period: str) -> BaseResponse | tuple[str, int]:
    """Let an open check pass, as it was found on the checklist that was read."""
    who, number = current_actor().reference, request.form.get("checklist", type=int)
    return _attempt(period, lambda session: closing.waive_check(
        session, number or 0, request.form.get("check", ""), actor=who,
        reason=request.form.get("reason", ""),
    ))  # fmt: skip


@scope("periods:close")
def _close_year(year: int) -> BaseResponse | tuple[str, int]:
    """Move the result of a year to equity."""
    who = current_actor().reference
    try:
        with transaction() as session:
            year_end.close_year(session, book(), year, actor=who)
    except Problem as refusal:
        with transaction() as session:
            return _list_page(session, refusal), int(refusal.status)
    return redirect(url_for("desk.periods"), HTTPStatus.SEE_OTHER)


def _attempt(period: str, change: Callable[[Session], object]) -> BaseResponse | tuple[str, int]:
    """Do one change to a month in a transaction; a refusal is told on the month's own page."""
    try:
        with transaction() as session:
            change(session)
    except Problem as refusal:
        with transaction() as session:
            return _page(session, period, refusal), int(refusal.status)
    return redirect(url_for("desk.period", period=period), HTTPStatus.SEE_OTHER)


def _require_as_read(session: Session, period: str) -> None:
    """Refuse a form of a page that shows the month as it was before somebody changed it."""
    if request.form.get("standing") != period_etag(states_of(session, book(), period)):
        raise StateChanged(
            f"{period} was changed by somebody else, or by you in another window, since this page "
            "was read. Nothing was done. Look again, below."
        )


def _page(session: Session, period: str, refusal: Problem | None = None) -> str:
    states = states_of(session, book(), period)
    evidence = checklists.list_checklists(session, book(), period, limit=_EVIDENCE_SHOWN)
    wanted = number_argument("checklist")
    shown = next((one for one in evidence if wanted in (None, one.checklist_id)), None)
    if wanted is not None and shown is None:
        raise UnknownChecklist(f"{period} has no checklist {wanted}.", checklist_id=wanted)
    if shown is not None:
        shown = closing.with_waivers(session, shown)
    day, known = wanted_day(), wanted_known(session)
    late = ledger.late_postings(session, book(), period, day, known)
    return render_template(
        "period.html", period=period, states=states, standing=period_etag(states),
        scope=Scope.of(book(), period), checklist=shown, evidence=evidence,
        is_newest=wanted is None or wanted == evidence[0].checklist_id, late=late[:_LATE_SHOWN],
        late_count=len(late), level=_level(states), modules=MODULES, refusal=refusal,
        clocks=ledger.resolve_clocks(session, day, known), case_figure=case_figure,
    )  # fmt: skip


def _list_page(session: Session, refusal: Problem | None = None) -> str:
    states = ledger.period_states(session, book())
    by_year: dict[int, list[Month]] = {}
    for code in dict.fromkeys(state.period for state in states):
        modules = tuple(state for state in states if state.period == code)
        closed = checklists.list_checklists(session, book(), code, only_closing=True, limit=1)
        month = Month(code, modules, closed[0] if closed else None)
        by_year.setdefault(modules[0].fiscal_year, []).append(month)
    rows = [
        YearRow(
            year_end.read_year(session, book(), year), tuple(months),
            all(month.modules[0].level != "open" for month in months)
            and months[-1].modules[0].level == "soft",
        )
        for year, months in sorted(by_year.items(), reverse=True)
    ]  # fmt: skip
    return render_template("periods.html", years=rows, modules=MODULES, refusal=refusal)


def case_figure(name: str, value: object) -> str | None:
    """Write an amount or a count of a case as Norwegians do; None for all that is no figure.

    Evidence keeps amounts as decimal strings; numbers of batches, drafts and years are no counts.
    """
    if isinstance(value, int) and name in _COUNTS:
        return whole_number(value)
    if isinstance(value, str) and _AMOUNT.fullmatch(value):
        return kroner(parse_amount(value))
    return None


def _level(states: list[PeriodState]) -> str:
    """Say in one word how a month stands: open, partly closed, closed or locked for good."""
    levels = {state.level for state in states}
    if states[0].level == "hard":
        return "hard"
    if levels <= {"soft", "hard"}:
        return "soft"
    return "open" if levels == {"open"} else "partly"
