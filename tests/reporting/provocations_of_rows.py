"""Provocations of the error gallery about rows of orders that wait in suspense."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy.orm import Session

from ledger.vault import vault
from mediation.formats import orders_csv
from mediation.service import correct_row, ingest_file
from rating import service as rating
from tests.rating.tariffs import SMALL
from tests.reporting.provocations import provokes


def _correct(session: Session, line: int, **values: str) -> object:
    """Take in a file with one order that nobody can read, and correct a line of it."""
    rating.load_tariff(session, SMALL.encode())
    cells = {"order_id": "O-1", "action": "cease", "effective_at": "yesterday",
             "subscription_id": "S-1"}  # fmt: skip
    row = ",".join(cells.get(column, "") for column in orders_csv.COLUMNS)
    lines = ["HDR,FKM,1,2026-03-02", ",".join(orders_csv.COLUMNS), row, "TRL,1"]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "orders.csv"
        path.write_text("\n".join(lines), "utf-8")
        ingest_file(session, vault(), path)
    return correct_row(session, vault(), "orders.csv", line, values, "kari", "a slip of the pen")


@provokes("row-not-waiting")
def _row_not_waiting(session: Session) -> object:
    return _correct(session, 7, offering="ONE")


@provokes("correction-refused")
def _correction_refused(session: Session) -> object:
    return _correct(session, 3, effective_at="2026-03-02")
