"""What the vault keeps of runs, for the trail: rated events, and why things cost what they do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger import service as ledger
from ledger.service import EntryView
from ledger.vault import Vault
from mediation.flat_files import codes_of_charge
from mediation.models import SettlementRun
from mediation.rated_files import explain_row
from mediation.service.explaining import (
    last_settlements,
    partner_prices,
    say_entry,
    say_settled,
)
from mediation.service.settlement import SOURCE_SYSTEM as SETTLEMENT
from mediation.usage_files import read_parquet
from rating import service as rating
from rating.flat_codes import say_flat
from rating.models import ChargeKeyRow
from rating.phrases import Language
from rating.tariff_terms import components_behind

Trail = dict[str, Any]


class Explained:
    """Rated events and settlements of the periods asked for, and why; read once each."""

    def __init__(self, session: Session, store: Vault, language: Language) -> None:
        self.session, self.store, self.language = session, store, language
        self._tables: dict[str, pa.Table] = {}
        self._told: dict[str, pa.Table | None] = {}
        self._settlements: dict[tuple[str, str], Mapping[tuple[str, str], SettlementRun]] = {}

    def tell(self, key: ChargeKeyRow) -> Sequence[Trail]:
        """Say why a charge that is no event costs what it does, on all its bills together."""
        period = key.usage_period
        if period not in self._told:
            run = rating.last_run(self.session, period)
            name = run and run.explained_sha256
            self._told[period] = read_parquet(self.store.open(name)) if name else None
        table = self._told[period]
        codes = codes_of_charge(table, key) if table is not None else ()
        return [{"text": say_flat(code, key.text, self.language)} for code in codes]

    def explain(self, event: Mapping[str, Any]) -> Sequence[str]:
        """Say why an event costs what it does; nothing of runs that stored no codes."""
        run = rating.last_run(self.session, event["period"])
        if run is None or event.get("pieces") is None:
            return ()
        book = rating.tariff_book_by_hash(self.session, run.tariff_hash)
        if event["tariff_version"] != book.tariff.version:  # One of several versions of the month.
            label = f"{book.tariff.name}/{event['tariff_version']}"
            book = rating.find_tariff(self.session, label).book
        return explain_row(event, book, self.language).sentences

    def of_period(self, period: str) -> pa.Table:
        """Read the last run's events of a month."""
        if period not in self._tables:
            run = rating.last_run(self.session, period)
            refs = run.rated_refs if run else []
            tables = [read_parquet(self.store.open(name)) for name in refs]
            self._tables[period] = (
                pa.concat_tables(tables, promote_options="default") if tables else pa.table({})
            )
        return self._tables[period]

    def of_charge(self, key: ChargeKeyRow) -> pa.Table:
        """Select the events that a usage charge sums."""
        table = self.of_period(key.usage_period)
        if key.kind != "usage" or not table.num_rows:
            return table.slice(0, 0)
        mine = pc.and_(
            pc.and_(
                pc.equal(table["subscription_id"], key.subscription_id),
                pc.is_in(table["component"], pa.array(self._behind(key))),
            ),
            pc.equal(table["billing_account_id"], key.billing_account_id),
        )
        return table.filter(mine).sort_by([("started_at", "ascending")])

    def _behind(self, key: ChargeKeyRow) -> tuple[str, ...]:
        """Name the components of the events behind a charge, by the tariff of the last run."""
        run = rating.rating_runs(self.session, key.usage_period)[-1]
        book = rating.tariff_book_by_hash(self.session, run.tariff_hash)
        return components_behind(book.tariff.offerings, key.component)

    def at(self, file_id: int, record_no: int) -> list[dict[str, Any]]:
        """Find the events that carry a record's place, with the month they were used in."""
        found = []
        for period in self.session.execute(
            text("SELECT DISTINCT period FROM rating_run ORDER BY period")
        ).scalars():
            table = self.of_period(period)
            mine = pc.and_(
                pc.equal(table["file_id"], file_id), pc.equal(table["record_no"], record_no)
            )
            found += [{**row, "period": period} for row in table.filter(mine).to_pylist()]
        return found

    def entry(self, entry: EntryView) -> Sequence[Trail]:
        """Say why an entry of a settlement is what it is; nothing of other entries."""
        return _sentences(
            say_entry(self.session, self.store, entry.batch_id, entry.document_ref, self.language)
        )

    def settled(self, key: ChargeKeyRow) -> Sequence[Trail]:
        """Say whose the charges of a component are, of all customers, where others have a part."""
        runs = self.settlements(key.book_code, key.usage_period)
        # Content is settled by one tariff; a month that was rated again may have had another.
        mine = [run for (source, _), run in runs.items() if source == SETTLEMENT]
        last = max(mine, key=lambda run: run.settlement_run_id, default=None)
        if last is None:
            return ()
        return _sentences(
            say_settled(self.session, self.store, last, self.language, component=key.component)
        )

    def at_partners(self, book: str, period: str, file_id: int, record_no: int) -> list[Trail]:
        """Say what a record's events cost at partners, and what of their price is left."""
        own = ledger.functional_currency(self.session, book)
        return [
            {
                "tariff": tariff,
                "component": each.component,
                "currency": each.currency,
                "amount_micro": each.amount_micro,
                "margin_micro": each.margin_micro,
                "explanation": _sentences(each.sentences),
                "posted": self._vouchers(book, run.source_system, each.document),
            }
            for (_, tariff), run in sorted(self.settlements(book, period).items())
            for each in partner_prices(
                self.session, self.store, run, file_id, record_no, own, self.language
            )
        ]

    def _vouchers(self, book: str, source_system: str, document: str) -> list[Trail]:
        """Name the entries of a document of a settlement, with their days."""
        rows = self.session.execute(
            text(
                "SELECT s.code || '/' || e.fiscal_year || '/' || e.voucher_no,"
                " e.effective_date::text FROM journal_entry e"
                " JOIN voucher_series s USING (series_id) JOIN book b ON b.book_id = e.book_id"
                " WHERE b.code = :book AND e.source_system = :system AND e.document_ref = :document"
                " ORDER BY e.entry_id"
            ),
            {"book": book, "system": source_system, "document": document},
        )
        return [{"voucher": row[0], "date": row[1]} for row in rows]

    def settlements(self, book: str, period: str) -> Mapping[tuple[str, str], SettlementRun]:
        """Give the last settlements of a month, by source and tariff."""
        if (book, period) not in self._settlements:
            self._settlements[book, period] = last_settlements(self.session, book, period)
        return self._settlements[book, period]


def _sentences(told: Sequence[str]) -> Sequence[Trail]:
    return [{"text": sentence} for sentence in told]
