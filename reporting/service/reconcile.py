"""The month's ties: each figure from its own source, and the totals that describe the month.

Sources, none of which reads another's tables:

    bytes          files read again from the vault and decoded
    feeds          the control accounts of mediation
    parquet        accepted usage and rated events in the vault
    charges        the charge tables
    invoices       issued invoices and their lines
    journal        lines of posted entries
    open items     items and their allocations
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow.compute as pc
from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger import service as ledger
from ledger.money import format_amount
from ledger.vault import Vault
from mediation import formats
from mediation import service as mediation
from mediation.formats import HEAD_OCTETS, ocr_giro
from mediation.service.control import outcome_counts
from mediation.usage_files import read_parquet
from rating import service as rating
from reporting.reconciliation import Tie

USAGE_MEASURES = ("records", "seconds", "octets")
_UNITS = {"records": "count", "seconds": "seconds", "octets": "octets"}


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
    """Compute every total and every tie of a month, in one snapshot."""
    held = _bytes(session, store)
    feeds = _feeds(session)
    usage = _usage(session, store, scope.period)
    rated = _rated(session, store, scope.period)
    charges = _charges(session, scope)
    invoices = _invoices(session, scope)
    journal = _journal(session, scope)
    payments = _payments(session, scope)
    ties = [
        *_feed_ties(held, feeds, usage),
        *_rating_ties(usage, rated, charges, feeds),
        *_billing_ties(charges, invoices, journal),
        *_money_ties(held, payments, journal),
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
        "documents": invoices["documents"],
        "invoiced_net": format_amount(invoices["net"]),
        "vat": format_amount(invoices["vat"]),
        "invoiced_gross": format_amount(invoices["gross"]),
        "payments": payments["count"],
        "paid": format_amount(payments["amount"]),
        "allocated": format_amount(payments["allocated"]),
        "unallocated": format_amount(payments["unallocated"]),
        "outstanding": format_amount(journal["receivable"]),
        "trial_balance": format_amount(journal["all"]),
    }
    return MonthState(totals, ties)


# Sources ---------------------------------------------------------------------------------------


def _bytes(session: Session, store: Vault) -> dict[str, int]:
    """Count again what the raw files hold, from their bytes alone."""
    sums = dict.fromkeys((*USAGE_MEASURES, "files", "payments", "ore"), 0)
    rows = session.execute(
        text(
            "SELECT name, sha256, format FROM source_file"
            " WHERE state = 'accepted' OR record_count > 0 ORDER BY file_id"
        )
    ).all()
    for row in rows:
        raw = store.get(row.sha256)
        sums["files"] += 1
        if row.format == "ocr_giro":
            paid = _payments_in(raw, row.name)
            sums["payments"] += len(paid)
            sums["ore"] += sum(paid)
        elif row.format not in {"order_csv", "subscription_csv"}:
            for measure, quantity in _usage_in(raw, row.name).items():
                sums[measure] += quantity
    return sums


def _usage_in(raw: bytes, name: str) -> dict[str, int]:
    decoded = formats.decode(raw, formats.recognise(name, raw[:HEAD_OCTETS], len(raw)))
    rows = decoded.columns
    return {
        "records": decoded.record_count,
        "seconds": int(rows["duration_s"].sum()),
        "octets": int(rows["octets_up"].sum()) + int(rows["octets_down"].sum()),
    }


def _payments_in(raw: bytes, name: str) -> list[int]:
    transmission = ocr_giro.read(raw, name)
    return [
        payment.amount_minor
        for assignment in transmission.assignments
        for payment in assignment.payments
    ]


def _feeds(session: Session) -> dict[tuple[str, str], int]:
    """Sum the control accounts of usage files by measure and bucket, `received` included."""
    rows = session.execute(
        text(
            "SELECT m.measure, m.from_bucket, m.to_bucket, sum(m.quantity)"
            " FROM control_move m JOIN source_file f USING (file_id)"
            " WHERE f.format NOT IN ('order_csv', 'subscription_csv', 'ocr_giro')"
            " GROUP BY 1, 2, 3"
        )
    )
    sums: dict[tuple[str, str], int] = {}
    for measure, source, target, quantity in rows:
        sign = 1 if source == "received" else -1
        sums[measure, source] = sums.get((measure, source), 0) + sign * int(quantity)
        sums[measure, target] = sums.get((measure, target), 0) + int(quantity)
        if source == "accepted":
            # Taken by rating, which could not price it; its rows stay in the vault's usage.
            unpriced = (f"{measure} unpriced", target)
            sums[unpriced] = sums.get(unpriced, 0) + int(quantity)
    return sums


def _usage(session: Session, store: Vault, period: str) -> dict[str, int]:
    """Sum accepted usage in Parquet."""
    table = mediation.accepted_usage(session, store, period, ["seconds", "octets", "quantity"])
    if not table.num_rows:
        return {"rows": 0, "seconds": 0, "octets": 0}
    return {
        "rows": table.num_rows,
        "seconds": pc.sum(table["seconds"]).as_py(),
        "octets": pc.sum(table["octets"]).as_py(),
    }


def _rated(session: Session, store: Vault, period: str) -> dict[str, int]:
    """Sum the rated events of the period's last run, in Parquet."""
    runs = rating.rating_runs(session, period)
    sums = {"events": 0, "micro": 0, "unpriced": 0}
    for name in runs[-1].rated_refs if runs else ():
        with store.open(name) as stream:
            table = read_parquet(stream, ["amount_micro", "reason"])
        sums["events"] += table.num_rows
        sums["micro"] += pc.sum(table["amount_micro"]).as_py() or 0
        sums["unpriced"] += pc.sum(pc.not_equal(table["reason"], 0)).as_py() or 0
    return sums


def _charges(session: Session, scope: Scope) -> dict[str, int]:
    """Sum the charge tables of a usage period."""
    row = session.execute(
        text(
            "SELECT coalesce(sum(d.micro) FILTER (WHERE k.kind = 'usage'), 0) AS usage_micro,"
            " coalesce(sum(d.events) FILTER (WHERE k.kind = 'usage'), 0) AS usage_events,"
            " coalesce(sum(d.minor_net), 0) AS net,"
            " coalesce(sum(d.minor_net) FILTER (WHERE NOT EXISTS (SELECT FROM invoice_charge i"
            "   WHERE i.charge_key_id = k.charge_key_id)), 0) AS unbilled"
            " FROM charge_delta d JOIN charge_key k USING (charge_key_id)"
            " WHERE k.book_code = :book"
        ),
        {"book": scope.book},
    ).one()
    return {name: int(value) for name, value in row._mapping.items()}  # noqa: SLF001 - public name


def _invoices(session: Session, scope: Scope) -> dict[str, int]:
    row = session.execute(
        text(
            "SELECT count(*) AS count, coalesce(sum(net_minor), 0) AS net,"
            " coalesce(sum(vat_minor), 0) AS vat, coalesce(sum(gross_minor), 0) AS gross,"
            " (SELECT coalesce(sum(c.net_minor), 0) FROM invoice_charge c) AS covered,"
            " (SELECT count(DISTINCT invoice_id) FROM document WHERE kind = 'pdf') AS documents"
            " FROM invoice WHERE book = :book"
        ),
        {"book": scope.book},
    ).one()
    return {name: int(value) for name, value in row._mapping.items()}  # noqa: SLF001


def _journal(session: Session, scope: Scope) -> dict[str, int]:
    """Sum journal lines: by series where a tie asks for it, and whole accounts."""
    rows = session.execute(
        text(
            "SELECT s.code AS series, a.number AS account, l.amount_minor > 0 AS debit,"
            " sum(l.amount_minor) AS amount, a.open_item AS open_item"
            " FROM journal_line l JOIN journal_entry e USING (entry_id)"
            " JOIN account a USING (account_id) JOIN voucher_series s USING (series_id)"
            " JOIN book b ON b.book_id = e.book_id WHERE b.code = :book GROUP BY 1, 2, 3, 5"
        ),
        {"book": scope.book},
    ).all()

    def total(series: str | None = None, account: str = "", debit: bool | None = None) -> int:
        return sum(
            int(row.amount)
            for row in rows
            if series in (None, row.series)
            and row.account.startswith(account)
            and debit in (None, row.debit)
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
        "unallocated": -total(None, "2991"),
        "credited": -(total("PAY", "15") - total("PAY", "153")),
    }


def _payments(session: Session, scope: Scope) -> dict[str, int]:
    row = session.execute(
        text(
            "SELECT count(*) AS count, coalesce(sum(amount_minor), 0) AS amount,"
            " coalesce(sum(allocated_minor), 0) AS allocated,"
            " coalesce(sum(unallocated_minor), 0) AS unallocated FROM bank_payment"
        )
    ).one()
    allocated = session.execute(
        text("SELECT coalesce(sum(amount_minor), 0) FROM allocation")
    ).scalar_one()
    found = {name: int(value) for name, value in row._mapping.items()}  # noqa: SLF001
    return {**found, "allocations": int(allocated)}


# Ties ------------------------------------------------------------------------------------------


def _feed_ties(
    held: Mapping[str, int], feeds: Mapping[tuple[str, str], int], usage: Mapping[str, int]
) -> list[Tie]:
    ties = []
    for measure in USAGE_MEASURES:
        received = feeds.get((measure, "received"), 0)
        ends = sum(q for (m, bucket), q in feeds.items() if m == measure and bucket != "received")
        unit = _UNITS[measure]
        ties += [
            Tie(f"{measure} in files", held[measure], "file bytes", received, "feed control", unit),  # type: ignore[arg-type]
            Tie(f"{measure} by outcome", received, "received", ends, "outcomes", unit),  # type: ignore[arg-type]
        ]
    for measure in ("seconds", "octets"):
        used = feeds.get((measure, "accepted"), 0) + feeds.get((measure, "merged"), 0)
        used += feeds.get((f"{measure} unpriced", "suspended"), 0)
        ties.append(
            Tie(
                f"{measure} accepted", used, "feed control", usage[measure], "usage Parquet",
                _UNITS[measure],  # type: ignore[arg-type]
            )
        )  # fmt: skip
    return ties


def _rating_ties(
    usage: Mapping[str, int], rated: Mapping[str, int], charges: Mapping[str, int],
    feeds: Mapping[tuple[str, str], int],
) -> list[Tie]:  # fmt: skip
    return [
        Tie("usage rated", usage["rows"], "usage Parquet", rated["events"], "rated Parquet", "count"),
        Tie(
            "events charged", rated["events"] - rated["unpriced"], "rated Parquet",
            charges["usage_events"], "charges", "count",
        ),
        Tie(
            "rated value (millionths)", rated["micro"], "rated Parquet", charges["usage_micro"],
            "charges", "count",
        ),
    ]  # fmt: skip


def _billing_ties(
    charges: Mapping[str, int], invoices: Mapping[str, int], journal: Mapping[str, int]
) -> list[Tie]:
    return [
        Tie("accrued revenue", charges["net"], "charges", journal["accrued"], "journal 1530"),
        Tie("unbilled", charges["unbilled"], "charges", journal["unbilled"], "journal 1530"),
        Tie("billed net", invoices["covered"], "invoice lines", journal["billed_out"],
            "journal 1530"),
        Tie("invoice net", invoices["net"], "invoices", invoices["covered"], "invoice lines"),
        Tie("VAT", invoices["vat"], "invoices", journal["vat"], "journal 2700"),
        Tie("invoiced", invoices["gross"], "invoices", journal["invoiced"], "journal 15xx"),
        Tie("documents", invoices["count"], "invoices", invoices["documents"], "archive", "count"),
    ]  # fmt: skip


def _money_ties(
    held: Mapping[str, int], payments: Mapping[str, int], journal: Mapping[str, int]
) -> list[Tie]:
    return [
        Tie("payments in files", held["payments"], "file bytes", payments["count"],
            "bank payments", "count"),
        Tie("paid", held["ore"], "file bytes", journal["paid"], "journal 19xx"),
        Tie("payments used", payments["amount"], "bank payments",
            journal["credited"] + journal["unallocated"], "journal 15xx and 2991"),
        Tie("allocated", payments["allocated"], "bank payments", payments["allocations"],
            "allocations"),
        Tie("unallocated", payments["unallocated"], "bank payments", journal["unallocated"],
            "journal 2991"),
    ]  # fmt: skip


def _ledger_ties(session: Session, scope: Scope) -> list[Tie]:
    """Tie open items with their control accounts, and the trial balance with zero."""
    items = ledger.open_items(session, scope.book, as_of=scope.as_of)
    outstanding: dict[str, int] = {}
    for item in items:
        outstanding[item.account] = outstanding.get(item.account, 0) + item.outstanding_minor
    balances = ledger.trial_balance(session, scope.book, effective_as_of=scope.as_of)
    ties = [
        Tie(f"open items {account}", outstanding[account], "open items", ledger.control_balance(session, scope.book, [account], as_of=scope.as_of),
            f"journal {account}")
        for account in sorted(outstanding)
    ]  # fmt: skip
    lines = session.execute(
        text(
            "SELECT coalesce(sum(l.amount_minor), 0) FROM journal_line l"
            " JOIN journal_entry e USING (entry_id) JOIN book b ON b.book_id = e.book_id"
            " WHERE b.code = :book AND l.effective_date <= :as_of AND l.amount_minor > 0"
        ),
        {"book": scope.book, "as_of": scope.as_of},
    ).scalar_one()
    return [
        *ties,
        Tie("debits", sum(b.debit_minor for b in balances), "balance deltas", int(lines),
            "journal lines"),
        Tie("trial balance", sum(b.balance_minor for b in balances), "balance deltas", 0, "zero"),
    ]  # fmt: skip


def _feed_totals(
    held: Mapping[str, int], feeds: Mapping[tuple[str, str], int]
) -> dict[str, str | int]:
    totals: dict[str, str | int] = {"files": held["files"]}
    for measure in USAGE_MEASURES:
        totals[measure] = feeds.get((measure, "received"), 0)
        for bucket in ("accepted", "merged", "held", "duplicate", "filtered", "suspended"):
            totals[f"{measure}_{bucket}"] = feeds.get((measure, bucket), 0)
    return totals


def outcomes(session: Session) -> Sequence[tuple[str, str, str, int]]:
    """Sum what lies in each bucket: bucket, reason, measure, quantity."""
    return outcome_counts(session)
