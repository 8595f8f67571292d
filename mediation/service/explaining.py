"""Settlements that prove themselves: what was explained, computed and posted is the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow.compute as pc
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from ledger.exchange import format_rate
from ledger.vault import Vault
from mediation.flat_files import read_settled, write_settled
from mediation.models import SettlementRun
from mediation.rated_files import explain_row
from mediation.service.month_entries import MonthEntries
from mediation.tying import check_equal
from mediation.usage_files import read_parquet
from rating import service as rating
from rating.flat_codes import say_flat
from rating.margin_codes import say_margin
from rating.phrases import PHRASES, Language
from rating.settled_codes import SettledCode, sums_explained
from rating.tariff import TariffBook


@dataclass(frozen=True, slots=True)
class Told:
    """The explanations of a run.

    `mirrored` : by document, the account that holds the opposite of what is explained.
    `event_refs` : the priced events in the vault, where the run prices any.
    """

    book: TariffBook
    codes: Sequence[SettledCode]
    mirrored: Mapping[str, str] = field(default_factory=dict)
    event_refs: Sequence[str] = ()


def prove(run: MonthEntries, told: Told) -> None:
    """Refuse a run whose documents would stand at something else than their explanations.

    Raises
    ------
    DoesNotTie : names the documents and places that differ; nothing may be posted.
    """
    check_equal(_explained(told), "Explanations", run.standing(), "amounts", "minor units")


def post(session: Session, store: Vault, run: MonthEntries, told: Told, actor: str) -> int | None:
    """Post what a run found, prove what the journal then holds, and keep why.

    Returns
    -------
    the batch; None where nothing is new. A run that finds and explains nothing new keeps nothing.

    Raises
    ------
    DoesNotTie : explanations and journal differ; nothing may be committed.
    """
    prove(run, told)
    batch_id = run.post(session, actor)
    check_equal(
        _explained(told), "Explanations", run.booked_now(session), "postings", "minor units"
    )
    kept = store.put(write_settled(told.codes), "traffic").sha256
    last = last_settlement(session, run.month.book_code, run.month.period, run.source_system,
                           told.book.tariff.name)  # fmt: skip
    names = (told.book.content_hash, kept, list(told.event_refs))
    same = last and (last.tariff_hash, last.explained_sha256, last.event_refs) == names
    if batch_id is None and (same or not told.codes):
        return None
    session.add(
        SettlementRun(
            book_code=run.month.book_code, source_system=run.source_system,
            period=run.month.period, tariff_hash=told.book.content_hash, batch_id=batch_id,
            explained_sha256=kept, event_refs=list(told.event_refs), actor=actor,
        )
    )  # fmt: skip
    session.flush()
    return batch_id


def last_settlement(
    session: Session, book: str, period: str, source_system: str, tariff: str
) -> SettlementRun | None:
    """Give the run that says where a month's settlement by a tariff stands."""
    found = last_settlements(session, book, period, source_system)
    return found.get((source_system, tariff))


def last_settlements(
    session: Session, book: str, period: str, source_system: str | None = None
) -> dict[tuple[str, str], SettlementRun]:
    """Give the last runs of a month by source and tariff."""
    runs = select(SettlementRun).filter_by(book_code=book, period=period)
    if source_system is not None:
        runs = runs.filter_by(source_system=source_system)
    last: dict[tuple[str, str], SettlementRun] = {}
    for run in session.scalars(runs.order_by(SettlementRun.settlement_run_id)):
        tariff = rating.tariff_book_by_hash(session, run.tariff_hash).tariff.name
        last[run.source_system, tariff] = run
    return last


def say_settled(
    session: Session, store: Vault, run: SettlementRun, language: Language, *,
    document: str | None = None, component: str | None = None,
) -> list[str]:  # fmt: skip
    """Put the codes of a run into words: those of one document, or of one component."""
    return [
        say_flat(
            each.code, _text(session, each.code.label, each.component), language, each.holder,
            each.currency,
        )
        for each in read_settled(read_parquet(store.open(run.explained_sha256)))
        if document in (None, each.document) and component in (None, each.component)
    ]  # fmt: skip


def _text(session: Session, label: str, component: str) -> str:
    """Give what a version calls a component."""
    parts = rating.tariff_book_labelled(session, label).tariff.components
    return next(part.text for part in parts if part.id == component)


def say_entry(
    session: Session, store: Vault, batch_id: int, document: str | None, language: Language
) -> list[str]:
    """Say why an entry of a settlement is what it is; nothing of other entries."""
    run = session.scalar(select(SettlementRun).filter_by(batch_id=batch_id))
    if run is None or document is None:
        return []
    told = say_settled(session, store, run, language, document=document)
    earlier = session.scalar(
        text(
            "SELECT 1 FROM journal_entry e JOIN book b USING (book_id)"
            " WHERE b.code = :book AND e.source_system = :system AND e.document_ref = :document"
            " AND e.entry_id >> 20 < :batch AND NOT EXISTS"
            " (SELECT FROM journal_entry r WHERE r.reverses_entry_id = e.entry_id) LIMIT 1"
        ),
        {"book": run.book_code, "system": run.source_system, "document": document,
         "batch": batch_id},
    )  # fmt: skip
    return told if earlier is None else [*told, PHRASES[language]["later"]]


@dataclass(frozen=True, slots=True)
class PartnerPrice:
    """What one event costs at a partner, in words."""

    component: str
    document: str  # of the partner's cost; "" where the event has none
    currency: str
    amount_micro: int
    margin_micro: int | None  # None where price or cost is not known
    sentences: tuple[str, ...]


def partner_prices(
    session: Session, store: Vault, run: SettlementRun, file_id: int, record_no: int,
    own_currency: str, language: Language,
) -> list[PartnerPrice]:  # fmt: skip
    """Say what the events with a record's place cost at partners, and what they leave.

    Raises
    ------
    DoesNotTie : what is kept and the tariff do not give the same.
    """
    last, found = rating.tariff_book_by_hash(session, run.tariff_hash), []
    codes = read_settled(read_parquet(store.open(run.explained_sha256)))
    documents = {each.component: each.document for each in codes}
    for name in run.event_refs:
        table = read_parquet(store.open(name))
        mine = pc.and_(pc.equal(table["file_id"], file_id), pc.equal(table["record_no"], record_no))
        rows: list[dict[str, Any]] = table.filter(mine).to_pylist()
        for row in rows:
            # A month may have several versions, and the run names the last.
            label = f"{last.tariff.name}/{row['tariff_version']}"
            book = last if last.label == label else rating.tariff_book_labelled(session, label)
            currency = book.tariff.currency
            priced = explain_row(row, book, language)
            rate = format_rate(row["rate"]) if row["known"] else ""
            left = say_margin(row, row["amount_micro"], currency, own_currency, rate, language)
            known = row["known"] and row["sold"]
            found.append(PartnerPrice(
                row["component"], documents.get(row["component"], ""), currency,
                row["amount_micro"], row["margin_micro"] if known else None,
                (*priced.sentences, *left),
            ))  # fmt: skip
    return found


def _explained(told: Told) -> dict[tuple[str, ...], int]:
    sums: dict[tuple[str, ...], int] = sums_explained(told.codes)
    for (document, _, currency, dimensions), minor in list(sums.items()):
        if document in told.mirrored:
            sums[document, told.mirrored[document], currency, dimensions] = -minor
    return sums
