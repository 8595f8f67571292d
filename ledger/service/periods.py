"""Periods: who may still post where, who said so, and what came in after a month was closed."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.errors import Invalid
from ledger.journal import Voucher
from ledger.periods import MODULES, period_bounds
from ledger.refusals import PeriodLockedForGood, UnknownPeriod
from ledger.service.access import record_event
from ledger.service.books import require_book
from ledger.service.clocks import known_only
from ledger.service.refused import translated
from ledger.service.turns import take_turn


@dataclass(frozen=True, slots=True)
class PeriodException:
    """Leave for one actor to post into a soft-closed period until an instant."""

    actor: str
    reason: str
    granted_by: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class PeriodState:
    """How a module of a period stands, since when, by whom and why; never touched: all None."""

    period: str
    module: str
    level: str
    actor: str | None = None
    reason: str | None = None
    since: datetime | None = None
    reopened_until: datetime | None = None
    exceptions: tuple[PeriodException, ...] = ()
    fiscal_year: int = 0


@dataclass(frozen=True, slots=True)
class LatePosting:
    """An entry that was recorded after its period had been closed for one of its modules.

    `under` says how it could: "exception", "reopened" where the lock had been lifted, or "year-end"
    for the close of the year, which comes after that of its months. "moved" is revenue of the
    period that is dated in a later one: its lines say so by the dimension service_period.
    """

    entry_id: int
    voucher: Voucher
    effective_date: date
    text: str
    module: str
    under: str
    closed_at: datetime
    recorded_at: datetime
    actor: str


@dataclass(frozen=True, slots=True)
class Locked:
    """The lock that stands; `already`: it did before, and nothing was written."""

    lock_event_id: int
    already: bool
    actor: str
    since: datetime


def lock_period(
    session: Session, book: str, period: str, *, module: str, level: str, actor: str, reason: str
) -> int:
    """Lock a period ("2026-03") for a module (GL stands over all), or open it again if only soft.

    Waits for postings that are under way; a posting that comes later waits for this commit. Every
    exception from an earlier lock of the module ends.

    Parameters
    ----------
    module : GL, AR, BILLING or VAT (lines with a VAT code).
    level : open, soft or hard; a hard lock has no inverse.

    Returns the id of the lock event. Raises `UnknownPeriod`, `PeriodLockedForGood`, `LockRefused`.
    """
    made = set_lock(session, book, period, module, level, actor, reason)
    record_event(
        session, actor, "module opened" if level == "open" else "module locked",
        f"period/{book}/{period}", module=module, level=level, reason=reason, lock_event=made,
    )  # fmt: skip
    return made


def ensure_locked(
    session: Session, book: str, period: str, *, module: str, level: str, actor: str, reason: str
) -> Locked:
    """Lock a period as `lock_period` does; where it is locked for good, to do it again is no fault.

    Whoever lost the answer of a hard lock may ask again and learns whose lock stands. A softer one
    is refused as ever. A soft lock is always written: it ends the exceptions from the one before.

    Raises as `lock_period`.
    """
    already = False
    try:
        with session.begin_nested():
            lock_period(
                session, book, period, module=module, level=level, actor=actor, reason=reason
            )
    except PeriodLockedForGood:
        # Its lock is final, so the refusal was of this very module.
        if level != "hard":
            raise
        already = True
    row = session.execute(text(_STANDING), {"book": book, "period": period, "module": module}).one()
    return Locked(row.lock_event_id, already, row.actor, row.recorded_at)


def reopen_period(
    session: Session, book: str, period: str, *, module: str, actor: str, reason: str,
    until: datetime | None = None,
) -> int:  # fmt: skip
    """Open a soft-closed module of a period to everybody again; with `until` it closes by itself.

    Returns the id of the lock event. Raises as `lock_period`.
    """
    made = set_lock(session, book, period, module, "open", actor, reason, until)
    record_event(
        session, actor, "module opened", f"period/{book}/{period}", module=module, level="open",
        until=until and until.isoformat(), reason=reason, lock_event=made,
    )  # fmt: skip
    return made


def grant_exception(
    session: Session, book: str, period: str, *, module: str, actor: str, reason: str,
    granted_by: str, expires_at: datetime,
) -> int:  # fmt: skip
    """Let one actor post into a soft-closed module of a period until an instant, at most 31 days.

    It lifts the lock of that module and no other: where the general ledger is closed too, that
    takes an exception of its own. Locking the module again ends it. One that stands already in the
    very same words is given back: whoever sends it twice grants it once.

    Returns the id of the exception. Raises `UnknownPeriod`, `NotSoftClosed` (open, or hard), and
    `Invalid` where the actor grants it to themselves, gives no reason, or the term is odd.
    """
    _check_module(module)
    if granted_by == actor:
        raise Invalid(f"{actor} cannot make an exception for themselves; ask somebody else.")
    check_reason(reason)
    said = {
        "book": book, "period": period, "module": module, "actor": actor, "reason": reason,
        "by": granted_by, "until": expires_at,
    }  # fmt: skip
    take_turn(session, f"exception/{book}/{period}/{module}/{actor}")
    standing = session.scalar(text(_SAME_EXCEPTION), said)
    # Granted anew even so: what refuses it by now, such as a closed year, refuses it again.
    with session.begin_nested() as attempt:
        with translated():
            granted = session.scalar(
                text(
                    "SELECT ledger_grant_exception(:book, :period, :module, :actor, :reason, :by,"
                    " CAST(:until AS timestamptz))"
                ),
                said,
            )
        if standing is not None:
            attempt.rollback()
            return int(standing)
    assert granted is not None
    record_event(
        session, granted_by, "let into period", f"period/{book}/{period}", module=module,
        whom=actor, until=expires_at.isoformat(), reason=reason,
    )  # fmt: skip
    return int(granted)


def period_states(session: Session, book: str) -> list[PeriodState]:
    """List how each opened period stands for each module, in order; raises `UnknownBook`.

    A module that is open still takes nothing while GL is closed: GL stands over all.
    """
    require_book(session, book)
    events = {
        (row.period_code, row.module): row
        for row in session.execute(text(_LATEST_EVENTS), {"book": book})
    }
    exceptions: dict[tuple[str, str], list[PeriodException]] = defaultdict(list)
    for row in session.execute(text(_STANDING_EXCEPTIONS), {"book": book}):
        exceptions[row.period_code, row.module].append(
            PeriodException(row.actor, row.reason, row.granted_by, row.expires_at)
        )
    opened = session.execute(
        text("SELECT p.code, p.fiscal_year FROM period p JOIN book b USING (book_id)"
             " WHERE b.code = :book ORDER BY p.starts_on"),
        {"book": book},
    )  # fmt: skip
    states = []
    for period, year in opened:
        for module in MODULES:
            event = events.get((period, module))
            if event is None:
                states.append(PeriodState(period, module, "open", fiscal_year=year))
                continue
            states.append(
                PeriodState(
                    period, module, event.level, event.actor, event.reason, event.recorded_at,
                    event.expires_at if event.level == "open" else None,
                    tuple(exceptions[period, module]) if event.level == "soft" else (), year,
                )
            )  # fmt: skip
    return states


def late_postings(
    session: Session,
    book: str,
    period: str,
    effective_as_of: date | None = None,
    known_as_of: int | None = None,
) -> list[LatePosting]:
    """List entries of a period that were recorded after it had been closed for their module.

    An entry that met several locks is listed once for each; one that was moved to a later period
    once, for the first lock it met. The clocks choose among the entries; the locks are those that
    there are. Raises `Invalid`, `UnknownBook`, `UnknownPeriod`, `NotYetKnown`.
    """
    first, after = period_bounds(period)
    require_opened(session, book, period)
    span = {"book": book, "period": period, "first": first, "after": after,
            "day": effective_as_of, "known": known_as_of}  # fmt: skip
    known = known_only(session, "x.entry_id >> 20", known_as_of)
    rows = sorted(
        (
            row
            for listed in (_LATE, _MOVED)
            for row in session.execute(
                text(f"SELECT * FROM ({listed}) x WHERE {_BY_DAY}{known}"), span
            )
        ),
        key=lambda row: (row.recorded_at, row.entry_id, row.module),
    )
    return [
        LatePosting(
            row.entry_id, Voucher(row.series, row.fiscal_year, row.voucher_no),
            row.effective_date, row.text, row.module, row.under, row.closed_at, row.recorded_at,
            row.created_by,
        )
        for row in rows
    ]  # fmt: skip


def require_opened(session: Session, book: str, period: str) -> None:
    """Raise `UnknownPeriod` unless the book has this period: an empty answer would reassure.

    Raises `UnknownBook`.
    """
    require_book(session, book)
    found = session.scalar(
        text(
            "SELECT EXISTS (SELECT FROM period p JOIN book k USING (book_id)"
            " WHERE k.code = :book AND p.code = :period)"
        ),
        {"book": book, "period": period},
    )
    if not found:
        raise UnknownPeriod(
            f"Book {book} has no period {period}. Open its year first.", period=period
        )


def first_open_day(
    session: Session, book: str, series: str, not_before: date, *, vat: bool = False
) -> date:
    """Give the first day, from `not_before` on, whose period takes postings of a series.

    Exceptions do not count: what nobody chose a day for goes where everybody may post. With `vat`
    the VAT return of the period must be open too.

    Raises `UnknownSeries`, and `UnknownPeriod` where no opened period is open.
    """
    with translated():
        found: date | None = session.scalar(
            text("SELECT ledger_first_open_day(:book, :series, :day, :vat)"),
            {"book": book, "series": series, "day": not_before, "vat": vat},
        )
    assert found is not None
    return found


def set_lock(
    session: Session, book: str, period: str, module: str, level: str, actor: str, reason: str,
    until: datetime | None = None,
) -> int:  # fmt: skip
    """Write a lock of one module; who calls tells the audit log. Raises as `lock_period`."""
    _check_module(module)
    check_reason(reason)
    with translated():
        event = session.scalar(
            text(
                "SELECT ledger_lock_period(:book, :period, :module, :level, :actor, :reason,"
                " CAST(:until AS timestamptz))"
            ),
            {
                "book": book, "period": period, "module": module, "level": level, "actor": actor,
                "reason": reason, "until": until,
            },
        )  # fmt: skip
    assert event is not None
    return int(event)


def _check_module(module: str) -> None:
    if module not in MODULES:
        raise Invalid(f"{module!r} is no module; choose among {', '.join(MODULES)}.")


def check_reason(reason: str) -> None:
    """Refuse an empty reason, with `Invalid`."""
    if not reason.strip() or "\0" in reason:
        raise Invalid("Say why, in words: an auditor reads the reason of every lock.")


_STANDING = """
    SELECT lock_event_id, actor, recorded_at FROM period_lock_event JOIN book USING (book_id)
    WHERE code = :book AND period_code = :period AND module = :module
    ORDER BY lock_event_id DESC LIMIT 1"""
_LATEST_EVENTS = """
    SELECT DISTINCT ON (e.period_code, e.module) e.period_code, e.module, e.actor, e.reason,
        e.recorded_at, e.expires_at,
        CASE WHEN e.level = 'open' AND e.expires_at <= now() THEN 'soft' ELSE e.level END AS level
    FROM period_lock_event e JOIN book b USING (book_id) WHERE b.code = :book
    ORDER BY e.period_code, e.module, e.lock_event_id DESC"""
_EXCEPTIONS = """
    FROM period_lock_exception x JOIN book b USING (book_id)
    WHERE b.code = :book AND x.expires_at > now() AND x.lock_event_id = (
        SELECT max(lock_event_id) FROM period_lock_event e
        WHERE e.book_id = x.book_id AND e.period_code = x.period_code AND e.module = x.module)"""
_STANDING_EXCEPTIONS = f"SELECT x.* {_EXCEPTIONS} ORDER BY x.exception_id"
_SAME_EXCEPTION = f"""
    SELECT min(x.exception_id) {_EXCEPTIONS}
        AND x.period_code = :period AND x.module = :module AND x.actor = :actor
        AND x.reason = :reason AND x.granted_by = :by
        AND x.expires_at = CAST(:until AS timestamptz)"""
# The modules of an entry: that of its series, GL over all, and VAT where it has lines of a return.
# The standing event of each when the entry was recorded tells how it could be posted.
_LATE = """
    WITH entry AS (
        SELECT e.*, s.code AS series, s.module AS own, b.created_by, b.recorded_at
        FROM journal_entry e JOIN voucher_series s USING (series_id)
        JOIN posting_batch b ON b.batch_id = e.entry_id >> 20
        WHERE e.book_id = (SELECT book_id FROM book WHERE code = :book)
            AND e.effective_date >= :first AND e.effective_date < :after),
    closed AS (
        SELECT module, min(recorded_at) AS closed_at FROM period_lock_event
        WHERE book_id = (SELECT book_id FROM book WHERE code = :book)
            AND period_code = :period AND level <> 'open' GROUP BY module)
    SELECT e.entry_id, e.series, e.fiscal_year, e.voucher_no, e.effective_date, e.text, c.module,
        CASE WHEN e.own = 'YEAR' THEN 'year-end'
        WHEN (SELECT v.level = 'open' FROM period_lock_event v
            WHERE v.book_id = e.book_id AND v.period_code = :period AND v.module = c.module
                AND v.recorded_at < e.recorded_at
                AND (v.expires_at IS NULL OR v.expires_at > e.recorded_at)
            ORDER BY v.lock_event_id DESC LIMIT 1) THEN 'reopened' ELSE 'exception' END AS under,
        c.closed_at, e.recorded_at, e.created_by
    FROM entry e JOIN closed c ON c.closed_at < e.recorded_at AND (c.module IN (e.own, 'GL')
        OR (c.module = 'VAT' AND EXISTS (SELECT FROM journal_line l JOIN vat_code v
            USING (vat_code_id) WHERE l.entry_id = e.entry_id
            AND l.effective_date = e.effective_date AND v.saft_code NOT IN ('0', '7'))))"""
_BY_DAY = "x.effective_date <= coalesce(CAST(:day AS date), 'infinity')"
# Batches are found by what they did to balances: far fewer rows than lines.
_MOVED = """
    WITH held AS (SELECT book_id FROM book WHERE code = :book),
    labelled AS (
        SELECT dim_set_id FROM dimension_set JOIN held USING (book_id)
        WHERE 'service_period=' || :period = ANY (string_to_array(canonical_key, ';'))),
    moved AS (
        SELECT DISTINCT l.entry_id FROM (
            SELECT DISTINCT batch_id FROM balance_delta
            WHERE dim_set_id IN (SELECT dim_set_id FROM labelled) AND effective_date >= :after) b
        JOIN journal_line l ON l.entry_id >= b.batch_id << 20
            AND l.entry_id < (b.batch_id + 1) << 20 AND l.effective_date >= :after
        WHERE l.dim_set_id IN (SELECT dim_set_id FROM labelled))
    SELECT e.entry_id, s.code AS series, e.fiscal_year, e.voucher_no, e.effective_date, e.text,
        c.module, 'moved' AS under, c.recorded_at AS closed_at, b.recorded_at, b.created_by
    FROM moved JOIN journal_entry e USING (entry_id) JOIN voucher_series s USING (series_id)
    JOIN posting_batch b ON b.batch_id = e.entry_id >> 20
    JOIN LATERAL (
        SELECT module, recorded_at FROM period_lock_event
        WHERE book_id = e.book_id AND period_code = :period AND level <> 'open'
            AND module IN ('GL', 'VAT', s.module) AND recorded_at < b.recorded_at
        ORDER BY lock_event_id LIMIT 1) c ON true"""
