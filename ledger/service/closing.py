"""Close a month: look, let pass what may pass, and lock every module on that evidence.

A close runs its checks while it holds the month alone, so nothing is posted between the look and
the lock. All of it is one transaction: after a crash the month is as it was, and is closed anew.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.closing import (
    CheckNotWaivable,
    Result,
    Scope,
    Waiver,
    is_closed,
    refuse_open,
    room_checks,
)
from ledger.errors import Invalid
from ledger.periods import MODULES
from ledger.service.access import record_event
from ledger.service.books import require_book
from ledger.service.checklists import (
    Checklist,
    list_checklists,
    read_checklist,
    record_checklist,
)
from ledger.service.checks import CHECKS
from ledger.service.periods import check_reason, period_states, set_lock
from ledger.service.refused import translated
from ledger.service.turns import take_turn

CLOSED_AS = ("soft", "hard")


@dataclass(frozen=True, slots=True)
class Closed:
    """How a period was closed: `already` where nothing was left to do, and nothing was written.

    `checklist` is the evidence of the last close; None where single modules were locked instead.
    """

    period: str
    level: str
    already: bool
    checklist: Checklist | None


def run_checklist(session: Session, book: str, period: str, *, actor: str) -> Checklist:
    """Run every check of a month and keep what was found; nothing is locked.

    A waiver of an earlier checklist counts where the check finds the very same again.

    Raises `Invalid`, `UnknownBook`, `UnknownPeriod`.
    """
    return record_checklist(session, book, period, _run(session, book, period), actor=actor)


def waive_check(
    session: Session, checklist_id: int, code: str, *, actor: str, reason: str
) -> Waiver:
    """Let an open result of a checklist pass, for as long as the check finds the very same.

    The same again is recorded once. Raises `UnknownChecklist`, `CheckNotWaivable` (blocked, or in
    order), `Invalid` for a check that the list does not have, or without a reason.
    """
    check_reason(reason)
    seen = read_checklist(session, checklist_id)
    result = next((one for one in seen.results if one.code == code), None)
    if result is None:
        raise _unknown_check(code, [one.code for one in seen.results])
    # Two who waive at once, or one who presses twice: the second finds the waiver of the first.
    take_turn(session, f"waiver/{seen.book}/{seen.period}/{code}")
    standing = _waiver_of(session, seen.book, seen.period, result)
    if standing is not None:
        return standing
    if result.finding.state != "open":
        raise CheckNotWaivable(
            f"The check {code} is {result.finding.state}: {result.detail} Only what is open can be "
            "waived.",
            check=code, checklist_id=checklist_id, state=result.finding.state,
        )  # fmt: skip
    with translated():
        made = session.scalar(
            text("SELECT ledger_waive_check(:list, :code, :hash, :actor, :reason)"),
            {"list": checklist_id, "code": code, "hash": result.result_hash, "actor": actor,
             "reason": reason.strip()},
        )  # fmt: skip
    record_event(
        session, actor, "check waived", f"period/{seen.book}/{seen.period}", check=code,
        checklist=checklist_id, reason=reason.strip(),
    )  # fmt: skip
    assert made is not None
    return Waiver(int(made), actor, reason.strip())


def with_waivers(session: Session, seen: Checklist) -> Checklist:
    """Give a checklist with the waivers that were given of its results since it was kept."""
    return replace(seen, results=_waived(session, seen.book, seen.period, seen.results))


def close_period(
    session: Session, book: str, period: str, *, level: str, actor: str,
    waive: Mapping[str, str] | None = None,
) -> Closed:  # fmt: skip
    """Close a month for every module, if each check of it is in order or waived.

    Parameters
    ----------
    level : soft, or hard, which has no inverse.
    waive : checks to let pass as they are found, each with its reason.

    Raises
    ------
    ChecksOpen : naming what is open and what is blocked; nothing was written.
    CheckNotWaivable, YearResultLeft (a hard lock of the last month of a year that is not closed).
    UnknownBook, UnknownPeriod, Invalid.
    """
    if level not in CLOSED_AS:
        raise Invalid(f"{level!r} is no way to close a period; choose soft or hard.")
    require_book(session, book)
    hold_period(session, book, period)
    levels = [one.level for one in period_states(session, book) if one.period == period]
    if is_closed(levels, level):
        evidence = list_checklists(session, book, period, only_closing=True, limit=1)
        return Closed(period, level, True, evidence[0] if evidence else None)
    results = _run(session, book, period)
    if waive:
        looked = record_checklist(session, book, period, results, actor=actor)
        for code, reason in waive.items():
            waive_check(session, looked.checklist_id, code, actor=actor, reason=reason)
        results = _waived(session, book, period, results)
    refuse_open(period, results)
    made = record_checklist(session, book, period, results, actor=actor, closes_as=level)
    record_event(
        session, actor, "period closed", f"period/{book}/{period}", level=level,
        checklist=made.checklist_id,
    )  # fmt: skip
    return Closed(period, level, False, made)


def reopen_modules(
    session: Session, book: str, period: str, *, modules: Collection[str] = MODULES, actor: str,
    reason: str,
) -> list[str]:  # fmt: skip
    """Open modules of a soft-closed month to everybody again; gives those that were not open.

    Raises `PeriodLockedForGood`, `YearIsClosed`, `UnknownBook`, `UnknownPeriod`, `Invalid`.
    """
    check_reason(reason)
    hold_period(session, book, period)  # What was opened meanwhile is not opened again.
    closed = {
        one.module for one in period_states(session, book)
        if one.period == period and one.level != "open"
    }  # fmt: skip
    reopened = [module for module in MODULES if module in modules and module in closed]
    for module in reopened:
        set_lock(session, book, period, module, "open", actor, reason)
    if reopened:
        record_event(
            session, actor, "period reopened", f"period/{book}/{period}", modules=reopened,
            reason=reason,
        )  # fmt: skip
    return reopened


def hold_period(session: Session, book: str, period: str) -> None:
    """Have the month alone until the transaction ends; how it stands stays what is read from now.

    Raises `Invalid`, `UnknownBook`, `UnknownPeriod`.
    """
    Scope.of(book, period)  # Refuses what is no month before anything waits.
    with translated():
        session.execute(
            text("SELECT ledger_hold_period(:book, :period)"), {"book": book, "period": period}
        )


def _run(session: Session, book: str, period: str) -> tuple[Result, ...]:
    scope = Scope.of(book, period)
    require_book(session, book)
    found = tuple(
        Result(check.code, check.title, check.find(session, scope))
        for check in (*CHECKS, *room_checks())
    )
    return _waived(session, book, period, found)


def _waived(
    session: Session, book: str, period: str, results: tuple[Result, ...]
) -> tuple[Result, ...]:
    return tuple(replace(one, waiver=_waiver_of(session, book, period, one)) for one in results)


def _waiver_of(session: Session, book: str, period: str, result: Result) -> Waiver | None:
    """Find the first waiver of exactly this result."""
    row = session.execute(
        text(_WAIVER),
        {"book": book, "period": period, "code": result.code, "hash": result.result_hash},
    ).first()
    return None if row is None else Waiver(*row)


def _unknown_check(code: str, known: list[str]) -> Invalid:
    return Invalid(f"There is no check {code!r}; choose among {', '.join(known)}.", check=code)


_WAIVER = """
    SELECT w.waiver_id, w.actor, w.reason
    FROM check_waiver w JOIN close_checklist c USING (checklist_id) JOIN book k USING (book_id)
    WHERE k.code = :book AND c.period_code = :period AND w.check_code = :code
        AND w.result_hash = :hash
    ORDER BY w.waiver_id LIMIT 1"""
