"""Trial balance and statement page at a growing number of lines, beside a scan of the lines.

    python -m benchmarks.bench_reading [MILLIONS …]

A private PostgreSQL of its own holds a history of months, a million lines each: bills at the end of
the month (27 batches of 30,000 lines), payments every day (30 batches of 5,000) and rated usage
every hour (720 batches of 56, nearly each line a delta of its own). The lines are made inside the
database by number, with guards off and the deltas summed from them, since the road in is measured
elsewhere (`posting`); they are sealed as positions in the order of their batches, and folded month
by month as the worker would. Nothing that reads knows the difference.

Ours is `service.trial_balance` and `service.account_statement` through a session, at today's clocks
and at past ones. The peers, alternating: the same balances by GROUP BY over the lines, which is
what a ledger without deltas does, with the database's parallel scan; and the page by the primary
key of its lines with a window sum, told the opening balance, which is the least any page can cost.
All figures of a pair must agree to the øre, or the program fails.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from statistics import median

import psycopg
from sqlalchemy import text

from benchmarks.measure import ROUNDS, seconds
from ledger import db, service
from ledger.db import migrate
from ledger.db.server import SUPERUSER, PrivateServer

BOOK = "NO01"
FIRST_YEAR = 2022
MILLIONS = (1, 10)
PAGE = 100


def main(millions: tuple[int, ...] = MILLIONS) -> None:
    """Grow one history to each size and measure it there."""
    with tempfile.TemporaryDirectory(prefix="hovedbok-bench-") as folder:
        server = PrivateServer(Path(folder))
        server.ensure_running()
        try:
            migrate.ensure_migrated(server.url("owner"))
            db.configure(server.addresses)
            _measure(server, sorted(millions))
        finally:
            for role in ("owner", "service", "auditor"):
                db.engine(role).dispose()
            server.stop()


def _measure(server: PrivateServer, millions: list[int]) -> None:
    with db.transaction() as session:
        service.seed_book(session, BOOK)
        for year in range(FIRST_YEAR, FIRST_YEAR + 1 + (millions[-1] - 1) // 12):
            service.open_periods(session, BOOK, year)
    name = server.url("service").rpartition("?")[0].rpartition("/")[2]
    address = server.url(SUPERUSER, name).replace("+psycopg", "", 1)
    print("reading: trial balance and statement page, milliseconds")
    with psycopg.connect(address, autocommit=True) as maker:
        maker.execute("SET session_replication_role = replica")
        maker.execute(_MAKER)
        made = 0
        for size in millions:
            while made < size:
                maker.execute("SELECT bench_month(%s, %s)", (BOOK, _month(made)))
                with db.transaction() as session:
                    service.fold_balances(session, BOOK)
                made += 1
            maker.execute("VACUUM ANALYZE")
            _tell(maker, made)


def _month(number: int) -> date:
    return date(FIRST_YEAR + number // 12, number % 12 + 1, 1)


def _tell(maker: psycopg.Connection, months: int) -> None:
    lines, deltas, positions = maker.execute(
        "SELECT (SELECT sum(line_count) FROM posting_batch), (SELECT count(*) FROM balance_delta),"
        " (SELECT max(position) FROM seal_member)"
    ).fetchone() or (0, 0, 0)
    print(f" {lines:,} lines, {deltas:,} deltas, {positions:,} batches, {months} months")
    today = _month(months) - timedelta(1)
    middle = _month(months // 2) + timedelta(16)
    for told, day, known in (
        ("trial balance, today", today, None),
        ("trial balance, mid-month", middle, None),
        ("trial balance, as known half-way", middle, positions // 2),
    ):
        _pair(told, lambda d=day, k=known: _ours(d, k), lambda d=day, k=known: _scan(d, k))
    _pair("statement of 1920, newest page", _statement, lambda: _page_scan(maker))
    _floor(maker)


def _pair(told: str, ours: Callable[[], object], theirs: Callable[[], object]) -> None:
    """Measure two ways to the same figures, alternating, and print both with their ratio."""
    if ours() != theirs():
        raise SystemExit(f"{told}: the two ways differ.")
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(ROUNDS)]
    mine, other = (median(side) * 1e3 for side in zip(*pairs, strict=True))
    spread = sorted(b / a for a, b in pairs)
    print(
        f"  {told:38} {mine:>9.1f} ms, scan {other:>9.1f} ms, {other / mine:>7.1f} ×"
        f"  ({spread[0]:.1f} to {spread[-1]:.1f})"
    )


def _ours(day: date, known: int | None) -> dict[str, int]:
    with db.transaction() as session:
        found = service.trial_balance(session, BOOK, day, known)
    return {row.account: row.balance_minor for row in found}


def _scan(day: date, known: int | None) -> dict[str, int]:
    seen = "" if known is None else (
        " AND entry_id >> 20 IN (SELECT batch_id FROM seal_member WHERE position <= :known)"
    )  # fmt: skip
    with db.transaction() as session:
        rows = session.execute(
            text(
                "SELECT number, sum(amount_minor)::bigint FROM journal_line"
                f" JOIN account USING (account_id) WHERE effective_date <= :day{seen}"
                " GROUP BY number"
            ),
            {"day": day, "known": known},
        ).all()
    return {str(account): int(minor) for account, minor in rows}


def _statement() -> list[tuple[int, int]]:
    with db.transaction() as session:
        page = service.account_statement(session, BOOK, "1920", limit=PAGE, newest=True)
    return [(line.entry_id, line.balance_minor) for line in page.lines]


def _page_scan(maker: psycopg.Connection) -> list[tuple[int, int]]:
    """Give the same page by a window over all lines of the account, read from the journal."""
    rows = maker.execute(
        "SELECT entry_id, balance FROM (SELECT entry_id, effective_date, line_no,"
        "  sum(amount_minor) OVER (ORDER BY effective_date, entry_id, line_no)::bigint AS balance"
        "  FROM journal_line WHERE account_id ="
        "  (SELECT account_id FROM account WHERE number = '1920')) s"
        f" ORDER BY effective_date DESC, entry_id DESC, line_no DESC LIMIT {PAGE}"
    ).fetchall()
    return [(int(entry), int(balance)) for entry, balance in reversed(rows)]


def _floor(maker: psycopg.Connection) -> None:
    """Measure the page beside the bare reading of its lines, whose places and opening are told."""
    page = _statement()
    entries = [entry for entry, _ in page]
    account, amount = maker.execute(
        "SELECT account_id, amount_minor FROM journal_line JOIN account USING (account_id)"
        " WHERE number = '1920' AND entry_id = %s",
        (entries[0],),
    ).fetchone() or (0, 0)
    opening = page[0][1] - amount

    def bare() -> list[tuple[int, int]]:
        with db.transaction() as session:
            rows = session.execute(
                text(
                    "SELECT entry_id, l.line_no, s.code, e.fiscal_year, e.voucher_no,"
                    " l.effective_date, coalesce(l.text, e.text), l.party_id, l.currency,"
                    " l.amount_minor, (:opening + sum(l.amount_minor) OVER"
                    "  (ORDER BY l.effective_date, entry_id, l.line_no))::bigint AS balance"
                    " FROM journal_line l JOIN journal_entry e USING (entry_id)"
                    " JOIN voucher_series s USING (series_id)"
                    " WHERE entry_id = ANY (:entries) AND l.account_id = :account"
                    " ORDER BY l.effective_date, entry_id, l.line_no"
                ),
                {"entries": entries, "opening": opening, "account": account},
            ).all()
        return [(int(row.entry_id), int(row.balance)) for row in rows]

    if bare() != page:
        raise SystemExit("The page and its bare reading differ.")
    pairs = [(seconds(_statement), seconds(bare)) for _ in range(ROUNDS)]
    mine, other = (median(side) * 1e3 for side in zip(*pairs, strict=True))
    spread = sorted(a / b for a, b in pairs)
    print(
        f"  {'the same page, beside its bare SQL':38} {mine:>9.1f} ms, bare {other:>9.1f} ms,"
        f" {mine / other:>7.1f} ×  ({spread[0]:.1f} to {spread[-1]:.1f})"
    )


# One month: bills on its last day, payments every day, rated usage every hour. All amounts are
# functions of the numbers, so that every run makes the same books.
_MAKER = """
CREATE FUNCTION bench_batch(of_book text, batch bigint, kind text, entries integer, day date)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    low bigint := batch << 20;
    b smallint := (SELECT book_id FROM book WHERE code = of_book);
    s voucher_series := (SELECT v FROM voucher_series v WHERE book_id = b AND code =
        CASE kind WHEN 'bill' THEN 'SAL' WHEN 'pay' THEN 'PAY' ELSE 'USG' END);
    bill integer[] := ARRAY(SELECT account_id FROM unnest(ARRAY['1500', '1530', '2700']) n
        JOIN account ON number = n AND book_id = b ORDER BY n);
    pay integer[] := ARRAY(SELECT account_id FROM unnest(ARRAY['1500', '1920']) n
        JOIN account ON number = n AND book_id = b ORDER BY n DESC);
    use integer[] := ARRAY(SELECT account_id FROM unnest(ARRAY['1530', '3000']) n
        JOIN account ON number = n AND book_id = b ORDER BY n);
BEGIN
    INSERT INTO journal_entry (entry_id, voucher_no, effective_date, document_date, book_id,
        series_id, fiscal_year, line_count, entry_type, source_system, source_ref, text, leaf)
    SELECT low + i, (low >> 4) + i + 1, day, day, b, s.series_id, extract(year FROM day),
        CASE kind WHEN 'bill' THEN 3 WHEN 'pay' THEN 2 ELSE 56 END, kind, 'bench',
        batch || '-' || i, kind, sha256((low + i)::text::bytea)
    FROM generate_series(0, entries - 1) i;
    IF kind = 'bill' THEN
        INSERT INTO journal_line (entry_id, line_no, party_id, amount_minor, base_minor, account_id,
            dim_set_id, effective_date, currency, tax_base_minor)
        SELECT low + i, n, CASE n WHEN 1 THEN (batch * 7919 + i) % 3000000 + 1 END, a, a, bill[n],
            CASE n WHEN 2 THEN i % 12 ELSE 0 END, day, 'NOK', CASE n WHEN 3 THEN -4 * v END
        FROM generate_series(0, entries - 1) i, LATERAL (SELECT 2500 + (i * 7919 + batch) % 9973
            AS v) v, LATERAL (VALUES (1, 5 * v), (2, -4 * v), (3, -v)) l (n, a);
    ELSIF kind = 'pay' THEN
        INSERT INTO journal_line (entry_id, line_no, party_id, amount_minor, base_minor, account_id,
            effective_date, currency)
        SELECT low + i, n, CASE n WHEN 2 THEN (batch * 7919 + i) % 3000000 + 1 END, a, a, pay[n],
            day, 'NOK'
        FROM generate_series(0, entries - 1) i, LATERAL (SELECT 12500 + (i * 7919 + batch) % 9973
            AS v) v, LATERAL (VALUES (1, v), (2, -v)) l (n, a);
    ELSE
        INSERT INTO journal_line (entry_id, line_no, amount_minor, base_minor, account_id,
            dim_set_id, effective_date, currency)
        SELECT low + i, 2 * k + n, a, a, use[n], k, day, 'NOK'
        FROM generate_series(0, entries - 1) i, generate_series(0, 27) k,
            LATERAL (SELECT 1000 + (k * 7919 + batch) % 9973 AS v) v,
            LATERAL (VALUES (1, v), (2, -v)) l (n, a);
    END IF;
    INSERT INTO balance_delta (batch_id, debit_minor, credit_minor, base_debit_minor,
        base_credit_minor, account_id, dim_set_id, effective_date, line_count, book_id, currency)
    SELECT batch, d, c, d, c, account_id, dim_set_id, day, n, b, 'NOK' FROM (
        SELECT account_id, dim_set_id, sum(greatest(amount_minor, 0)) AS d,
            sum(greatest(-amount_minor, 0)) AS c, count(*) AS n
        FROM journal_line WHERE entry_id >= low AND entry_id < low + (1 << 20)
            AND effective_date = day
        GROUP BY account_id, dim_set_id) t;
    INSERT INTO posting_batch (batch_id, book_id, source_system, source_ref, request_hash,
        entry_count, line_count, item_count, allocation_count, debit_totals, first_date, last_date,
        created_by)
    OVERRIDING SYSTEM VALUE
    SELECT batch, b, 'bench', batch, sha256('x'), entries, (SELECT sum(line_count)
        FROM balance_delta WHERE batch_id = batch AND effective_date = day), 0, 0, '{}', day, day,
        'bench';
    INSERT INTO batch_closed VALUES (batch);
    INSERT INTO seal_member (position, batch_id, block_no, batch_root)
    VALUES (batch, batch, 1, sha256('x'));
END $$;

CREATE FUNCTION bench_month(of_book text, month date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    batch bigint := coalesce((SELECT max(batch_id) FROM posting_batch), 0);
    days integer := (month + interval '1 month')::date - month;
BEGIN
    FOR hour IN 0..719 LOOP
        batch := batch + 1;
        PERFORM bench_batch(of_book, batch, 'use', 1, month + hour * days / 720);
        IF hour % 24 = 0 THEN
            batch := batch + 1;
            PERFORM bench_batch(of_book, batch, 'pay', 2500, month + hour * days / 720);
        END IF;
    END LOOP;
    FOR bill IN 1..27 LOOP
        batch := batch + 1;
        PERFORM bench_batch(of_book, batch, 'bill', 10000, month + days - 1);
    END LOOP;
END $$;
"""

if __name__ == "__main__":
    main(tuple(int(n) for n in sys.argv[1:]) or MILLIONS)
