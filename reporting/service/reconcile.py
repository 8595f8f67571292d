"""The month's ties: each figure from its own source, and the totals that describe the month.

Sources, none of which reads another's tables:

    bytes          files read again from the vault and decoded
    outcomes       what became of each record, in Parquet, with releases and suspense
    feeds          the control accounts of mediation
    parquet        accepted usage, rated events and explanations in the vault
    charges        the charge tables
    invoices       issued invoices, their lines, and the charges these cover
    bank           payments as the bank told them
    journal        lines of posted entries
    balances       the deltas that the trial balance sums
    open items     items and their allocations
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger import service as ledger
from ledger.money import format_amount
from ledger.vault import Vault
from mediation.formats import NOT_USAGE
from reporting.reconciliation import Tie, Unit
from reporting.service.explained_ties import explained_ties
from reporting.service.recount import (
    BUCKETS,
    USAGE_MEASURES,
    BucketSums,
    Shelf,
    Sums,
    components_beside,
    count_documents,
    count_files,
    count_outcomes,
    count_rated,
    count_usage,
    look_at_keys,
)

_UNITS: Mapping[str, Unit] = {"records": "count", "seconds": "seconds", "octets": "octets"}


@dataclass(frozen=True, slots=True)
class Scope:
    """Which month of which book is tied, and the day as of which it is looked at."""

    book: str
    period: str
    as_of: date


@dataclass(frozen=True, slots=True)
class MonthState:
    """All totals and ties of a month: its state, not how it came about."""

    totals: dict[str, str | int]
    ties: list[Tie]


def month_state(session: Session, store: Vault, scope: Scope) -> MonthState:
    """Compute every total and every tie of a month, in one snapshot; changes nothing."""
    shelf = Shelf(store)
    held = count_files(session, shelf)
    outcomes = count_outcomes(session, shelf, held)
    usage = count_usage(session, shelf, scope.period)
    rated = count_rated(session, shelf, scope.period)
    explained = explained_ties(session, shelf, scope.book, scope.period)
    look_at_keys(session, shelf)
    kept = (len(shelf.asked), len(shelf.whole))
    documents = count_documents(session, shelf, scope.book)
    feeds = _feeds(session)
    tables = _tables(session)
    charges = _charges(session, scope, components_beside(session, shelf, scope.period))
    invoices = _invoices(session, scope)
    journal = _journal(session, scope)
    payments = _payments(session, scope)
    ties = [
        Tie("objects in the vault", kept[0], "references", kept[1], "vault", "count"),
        *_feed_ties(held, feeds, outcomes, usage),
        *_table_ties(held, tables),
        *_rating_ties(usage, rated, charges),
        *explained,
        *_billing_ties(charges, invoices, journal),
        Tie("documents", invoices["count"], "invoices", documents, "vault", "count"),
        *_money_ties(held, tables, payments, journal),
        *_ledger_ties(session, scope),
    ]
    totals: dict[str, str | int] = {
        **_feed_totals(held, feeds),
        "rated_events": rated["events"],
        "rated_micro": rated["micro"],
        "unpriced_events": rated["unpriced"],
        "accrued_net": format_amount(charges["net"]),
        "unbilled": format_amount(journal["unbilled"]),
        "invoices": invoices["count"],
        "documents": documents,
        "invoiced_net": format_amount(invoices["net"]),
        "vat": format_amount(invoices["vat"]),
        "invoiced_gross": format_amount(invoices["gross"]),
        "payments": payments["count"],
        "paid": format_amount(payments["booked"]),
        "allocated": format_amount(payments["allocated"]),
        "unallocated": format_amount(payments["unallocated"]),
        "outstanding": format_amount(journal["receivable"]),
        "trial_balance": format_amount(journal["all"]),
    }
    return MonthState(totals, ties)


# Sources ---------------------------------------------------------------------------------------


def _feeds(session: Session) -> BucketSums:
    """Sum the control accounts of usage files by measure and bucket, `received` included."""
    rows = session.execute(
        text(
            "SELECT m.measure, m.from_bucket, m.to_bucket, m.reason, sum(m.quantity)"
            " FROM control_move m JOIN source_file f USING (file_id)"
            " WHERE f.format <> ALL (:tables) GROUP BY 1, 2, 3, 4"
        ),
        {"tables": list(NOT_USAGE)},
    )
    sums: BucketSums = {}
    for measure, source, target, reason, quantity in rows:
        sign = 1 if source == "received" else -1
        sums[measure, source] = sums.get((measure, source), 0) + sign * int(quantity)
        sums[measure, target] = sums.get((measure, target), 0) + int(quantity)
        if source == "accepted":
            # Taken by rating, which could not price it; its rows stay in the vault's usage.
            unpriced = (f"{measure} unpriced", target)
            sums[unpriced] = sums.get(unpriced, 0) + int(quantity)
        elif source == "suspended" and reason == "NO_RATE":
            # Given back by rating, which has a price for it now.
            unpriced = (f"{measure} unpriced", source)
            sums[unpriced] = sums.get(unpriced, 0) - int(quantity)
    return sums


def _tables(session: Session) -> Sums:
    """Sum the control accounts of order and bank files, and count the orders that were applied."""
    row = session.execute(
        text(
            "SELECT coalesce(sum(quantity) FILTER (WHERE measure = 'records'"
            "  AND format <> 'ocr_giro' AND from_bucket = 'received'), 0) AS rows,"
            " coalesce(sum(quantity) FILTER (WHERE measure = 'records' AND format = 'order_csv'"
            "  AND to_bucket = 'accepted'), 0) AS applied,"
            " coalesce(sum(quantity) FILTER (WHERE measure = 'ore'"
            "  AND from_bucket = 'received'), 0) AS ore,"
            " coalesce(sum(quantity) FILTER (WHERE measure = 'ore'"
            "  AND to_bucket = 'accepted'), 0) AS booked,"
            " (SELECT count(*) FROM applied_order WHERE file_id IS NOT NULL) AS orders"
            " FROM control_move JOIN source_file USING (file_id)"
            " WHERE format = ANY (:tables)"
        ),
        {"tables": list(NOT_USAGE)},
    ).one()
    return {name: int(value) for name, value in row._mapping.items()}  # noqa: SLF001 - public name


def _charges(session: Session, scope: Scope, beside: Sequence[str]) -> Sums:
    """Sum the charges of a book; usage events and their value, of the month used.

    Parameters
    ----------
    beside : components whose use is counted under others already; their events are left out.
    """
    row = session.execute(
        text(
            "SELECT coalesce(sum(d.micro) FILTER (WHERE k.kind = 'usage'"
            "   AND k.usage_period = :period), 0) AS usage_micro,"
            " coalesce(sum(d.events) FILTER (WHERE k.kind = 'usage'"
            "   AND k.usage_period = :period AND k.component <> ALL (:beside)), 0) AS usage_events,"
            " coalesce(sum(d.minor_net), 0) AS net,"
            " coalesce(sum(d.minor_net) FILTER (WHERE NOT EXISTS (SELECT FROM invoice_charge i"
            "   WHERE i.charge_key_id = k.charge_key_id)), 0) AS unbilled"
            " FROM charge_delta d JOIN charge_key k USING (charge_key_id)"
            " WHERE k.book_code = :book"
        ),
        {"book": scope.book, "period": scope.period, "beside": list(beside)},
    ).one()
    return {name: int(value) for name, value in row._mapping.items()}  # noqa: SLF001


def _invoices(session: Session, scope: Scope) -> Sums:
    """Sum invoices, the lines printed on them, and the charges that the lines cover."""
    row = session.execute(
        text(
            "SELECT count(*) AS count, coalesce(sum(net_minor), 0) AS net,"
            " coalesce(sum(vat_minor), 0) AS vat, coalesce(sum(gross_minor), 0) AS gross,"
            " coalesce(sum(CASE basis WHEN 'gross' THEN gross_minor ELSE net_minor END), 0)"
            "  AS printed,"
            " (SELECT coalesce(sum(l.amount_minor), 0) FROM invoice_line l"
            "  JOIN invoice USING (invoice_id) WHERE book = :book) AS lines,"
            " (SELECT coalesce(sum(c.net_minor), 0) FROM invoice_charge c"
            "  JOIN charge_key k USING (charge_key_id) WHERE k.book_code = :book) AS covered,"
            " (SELECT coalesce(sum(c.amount_minor), 0) FROM invoice_charge c"
            "  JOIN charge_key k USING (charge_key_id) WHERE k.book_code = :book) AS covered_amount"
            " FROM invoice WHERE book = :book"
        ),
        {"book": scope.book},
    ).one()
    return {name: int(value) for name, value in row._mapping.items()}  # noqa: SLF001


def _journal(session: Session, scope: Scope) -> Sums:
    """Sum journal lines: by series where a tie asks for it, and whole accounts."""
    rows = session.execute(
        text(
            "SELECT s.code AS series, a.number AS account, sum(l.amount_minor) AS amount"
            " FROM journal_line l JOIN journal_entry e USING (entry_id)"
            " JOIN account a USING (account_id) JOIN voucher_series s USING (series_id)"
            " JOIN book b ON b.book_id = e.book_id WHERE b.code = :book GROUP BY 1, 2"
        ),
        {"book": scope.book},
    ).all()

    def total(series: str | None = None, account: str = "") -> int:
        return sum(
            int(row.amount)
            for row in rows
            if series in (None, row.series) and row.account.startswith(account)
        )

    return {
        "all": total(),
        "accrued": total("USG", "1530"),
        "billed_out": -total("SAL", "1530"),
        "unbilled": total(None, "1530"),
        "invoiced": total("SAL", "15") - total("SAL", "1530"),
        "vat": -total("SAL", "27"),
        "paid": total("PAY", "19"),
        "receivable": total(None, "15") - total(None, "153"),
        "set_aside": -total("PAY", "2991"),
        "credited": -(total("PAY", "15") - total("PAY", "153")),
    }


def _payments(session: Session, scope: Scope) -> Sums:
    """Sum the bank's payments, and the allocations made by the batches that booked them."""
    row = session.execute(
        text(
            "SELECT count(*) AS count, coalesce(sum(amount_minor), 0) AS amount,"
            " coalesce(sum(amount_minor) FILTER (WHERE entry_id IS NOT NULL), 0) AS booked,"
            " coalesce(sum(allocated_minor), 0) AS allocated,"
            " coalesce(sum(unallocated_minor), 0) AS unallocated,"
            " (SELECT coalesce(sum(amount_minor), 0) FROM allocation WHERE batch_id IN"
            "  (SELECT batch_id FROM bank_payment WHERE book = :book)) AS allocations"
            " FROM bank_payment WHERE book = :book"
        ),
        {"book": scope.book},
    ).one()
    return {name: int(value) for name, value in row._mapping.items()}  # noqa: SLF001


# Ties ------------------------------------------------------------------------------------------


def _feed_ties(held: Sums, feeds: BucketSums, outcomes: BucketSums, usage: Sums) -> list[Tie]:
    ties = []
    for measure in USAGE_MEASURES:
        unit, received = _UNITS[measure], feeds.get((measure, "received"), 0)
        ties.append(
            Tie(f"{measure} in files", held[measure], "file bytes", received, "feed control", unit)
        )
        ties += [
            Tie(f"{measure} {bucket}", feeds.get((measure, bucket), 0), "feed control",
                outcomes[measure, bucket], "outcomes", unit)
            for bucket in BUCKETS
        ]  # fmt: skip
    for measure in ("seconds", "octets"):
        used = feeds.get((measure, "accepted"), 0) + feeds.get((measure, "merged"), 0)
        used += feeds.get((f"{measure} unpriced", "suspended"), 0)
        ties.append(
            Tie(f"{measure} used", used, "feed control", usage[measure], "usage Parquet",
                _UNITS[measure])
        )  # fmt: skip
    return ties


def _table_ties(held: Sums, tables: Sums) -> list[Tie]:
    return [
        Tie("order rows in files", held["rows"], "file bytes", tables["rows"], "feed control",
            "count"),
        Tie("orders applied", tables["applied"], "feed control", tables["orders"],
            "applied orders", "count"),
    ]  # fmt: skip


def _rating_ties(usage: Sums, rated: Sums, charges: Sums) -> list[Tie]:
    return [
        Tie("usage rated", usage["rows"], "usage Parquet", rated["events"], "rated Parquet",
            "count"),
        Tie("events charged", rated["charged"], "rated Parquet", charges["usage_events"],
            "charges", "count"),
        Tie("rated value (millionths)", rated["micro"] + rated["beside micro"], "rated Parquet",
            charges["usage_micro"], "charges", "count"),
    ]  # fmt: skip


def _billing_ties(charges: Sums, invoices: Sums, journal: Sums) -> list[Tie]:
    return [
        Tie("accrued revenue", charges["net"], "charges", journal["accrued"], "journal 1530"),
        Tie("unbilled", charges["unbilled"], "charges", journal["unbilled"], "journal 1530"),
        Tie("billed net", invoices["covered"], "charges on invoices", journal["billed_out"],
            "journal 1530"),
        Tie("invoice net", invoices["net"], "invoices", invoices["covered"],
            "charges on invoices"),
        Tie("invoice lines", invoices["printed"], "invoices", invoices["lines"], "invoice lines"),
        Tie("lines covered", invoices["lines"], "invoice lines", invoices["covered_amount"],
            "charges on invoices"),
        Tie("VAT", invoices["vat"], "invoices", journal["vat"], "journal 2700"),
        Tie("invoiced", invoices["gross"], "invoices", journal["invoiced"], "journal 15xx"),
    ]  # fmt: skip


def _money_ties(held: Sums, tables: Sums, payments: Sums, journal: Sums) -> list[Tie]:
    return [
        Tie("payments in files", held["payments"], "file bytes", payments["count"],
            "bank payments", "count"),
        Tie("money in files", held["ore"], "file bytes", payments["amount"], "bank payments"),
        Tie("money received", held["ore"], "file bytes", tables["ore"], "feed control"),
        Tie("money booked", tables["booked"], "feed control", payments["booked"],
            "bank payments"),
        Tie("paid", payments["booked"], "bank payments", journal["paid"], "journal 19xx"),
        Tie("payments used", payments["allocated"] + payments["unallocated"], "bank payments",
            journal["credited"] + journal["set_aside"], "journal 15xx and 2991"),
        Tie("allocated", payments["allocated"], "bank payments", payments["allocations"],
            "allocations"),
        Tie("unallocated", payments["unallocated"], "bank payments", journal["set_aside"],
            "journal 2991"),
    ]  # fmt: skip


def _ledger_ties(session: Session, scope: Scope) -> list[Tie]:
    """Tie open items with their control accounts, and balances with lines and with zero."""
    outstanding = dict.fromkeys(_item_accounts(session, scope.book), 0)
    for item in ledger.open_items(session, scope.book, effective_as_of=scope.as_of):
        outstanding[item.account] = outstanding.get(item.account, 0) + item.outstanding_minor
    balances = ledger.trial_balance(session, scope.book, effective_as_of=scope.as_of)
    lines = session.execute(
        text(
            "SELECT coalesce(sum(l.amount_minor) FILTER (WHERE l.amount_minor > 0), 0) AS debit,"
            " coalesce(-sum(l.amount_minor) FILTER (WHERE l.amount_minor < 0), 0) AS credit"
            " FROM journal_line l JOIN account USING (account_id) JOIN book b USING (book_id)"
            " WHERE b.code = :book AND l.effective_date <= :as_of"
        ),
        {"book": scope.book, "as_of": scope.as_of},
    ).one()
    return [
        *(
            Tie(f"open items {account}", items, "open items",
                ledger.control_balance(session, scope.book, [account], effective_as_of=scope.as_of),
                f"journal {account}")
            for account, items in sorted(outstanding.items())
        ),
        Tie("debits", sum(b.debit_minor for b in balances), "balance deltas", int(lines.debit),
            "journal lines"),
        Tie("credits", sum(b.credit_minor for b in balances), "balance deltas", int(lines.credit),
            "journal lines"),
        Tie("trial balance", sum(b.balance_minor for b in balances), "balance deltas", 0, "zero"),
    ]  # fmt: skip


def _item_accounts(session: Session, book: str) -> Sequence[str]:
    """List the open-item accounts that have lines: those whose items all vanished, too."""
    return session.execute(
        text(
            "SELECT a.number FROM account a JOIN book b USING (book_id)"
            " WHERE b.code = :book AND a.open_item AND EXISTS"
            " (SELECT FROM journal_line l WHERE l.account_id = a.account_id)"
        ),
        {"book": book},
    ).scalars().all()  # fmt: skip


def _feed_totals(held: Sums, feeds: BucketSums) -> dict[str, str | int]:
    totals: dict[str, str | int] = {"files": held["files"]}
    for measure in USAGE_MEASURES:
        totals[measure] = feeds.get((measure, "received"), 0)
        for bucket in BUCKETS:
            totals[f"{measure}_{bucket}"] = feeds.get((measure, bucket), 0)
    return totals
