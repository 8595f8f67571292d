"""What explains charges and settlements, counted again from the vault and held against the books.

Codes of events, and of what is no event, are the charges in millionths. Each place of the journal
that a settlement keeps stands at what its explanations come to, and what partners are owed is
explained by events with their costs.
"""

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger import service as ledger
from mediation.flat_files import read_settled
from mediation.models import SettlementRun
from mediation.service.explaining import last_settlements
from mediation.service.settlement import SOURCE_SYSTEM as SETTLEMENT
from mediation.service.wholesale import SOURCE_SYSTEM as WHOLESALE
from rating import service as rating
from rating.flat_codes import PARTNER
from rating.settled_codes import SettledCode, sums_explained
from reporting.reconciliation import Tie
from reporting.service.recount import Shelf

_PARTS = ("setup_micro", "usage_micro", "rounding_micro", "limit_micro")
_SETTLED = ("document", "component", "account", "holder", "dimensions", "currency", "code",
            "label", "numbers", "amount_micro")  # fmt: skip
_Places = dict[tuple[str, ...], int]


def explained_ties(session: Session, shelf: Shelf, book: str, period: str) -> list[Tie]:
    """Tie the explanations of a month with its charges and its settlements."""
    ties = _charge_ties(session, shelf, book, period)
    runs = list(_standing_runs(session, book, period))
    places = agreeing = costs = told = 0
    for source in (SETTLEMENT, WHOLESALE):
        mine = [run for run in runs if run.source_system == source]
        codes = [code for run in mine for code in _codes(shelf, run)]
        booked = _booked(session, source, book, period)
        wanted = _wanted(codes, booked)
        both = [
            (booked.get(place, 0), wanted.get(place, 0)) for place in booked.keys() | wanted.keys()
        ]
        places += sum(left != 0 or right != 0 for left, right in both)
        agreeing += sum(left == right != 0 for left, right in both)
        told += sum(each.code.amount_micro for each in codes if each.code.kind == PARTNER)
        costs += sum(_cost(shelf, name) for run in mine for name in run.event_refs)
    return [
        *ties,
        Tie("settlements explained", places, "journal", agreeing, "explanations", "count"),
        Tie("partner costs (millionths)", costs, "partner events Parquet", told, "explanations",
            "count"),
    ]  # fmt: skip


def _charge_ties(session: Session, shelf: Shelf, book: str, period: str) -> list[Tie]:
    """Tie the codes of the month's last run, of events and of what is no event, with the charges.

    Nothing is said of a run from before explanations were kept.
    """
    run = rating.last_run(session, period)
    if run is not None and run.explained_sha256 is None:
        return []
    sums = 0
    for name in run.rated_refs if run else ():
        table = shelf.table(name, list(_PARTS))
        sums += sum(pc.sum(table[part]).as_py() or 0 for part in _PARTS)
    if run is not None and run.explained_sha256 is not None:
        table = shelf.table(run.explained_sha256, ["amount_micro"])
        sums += pc.sum(table["amount_micro"]).as_py() or 0
    charged = _charged(session, book, period)
    return [Tie("explained value (millionths)", sums, "explanations", charged, "charges", "count")]


def _charged(session: Session, book: str, period: str) -> int:
    """Sum all charges for use in the month, whatever their kind and bill. [millionths]"""
    charged = session.scalar(
        text(
            "SELECT coalesce(sum(micro), 0)::bigint FROM charge_delta"
            " JOIN charge_key USING (charge_key_id)"
            " WHERE book_code = :book AND usage_period = :period"
        ),
        {"book": book, "period": period},
    )
    return int(charged or 0)


def _standing_runs(session: Session, book: str, period: str) -> Iterable[SettlementRun]:
    """Give the settlements that stand: of content the last one, of partners one a tariff."""
    runs = last_settlements(session, book, period)
    content = [run for (source, _), run in runs.items() if source == SETTLEMENT]
    yield from (run for (source, _), run in sorted(runs.items()) if source != SETTLEMENT)
    yield from sorted(content, key=lambda run: run.settlement_run_id)[-1:]


def _codes(shelf: Shelf, run: SettlementRun) -> list[SettledCode]:
    return read_settled(shelf.table(run.explained_sha256, list(_SETTLED)))


def _booked(session: Session, source: str, book: str, period: str) -> _Places:
    """Sum what the journal holds of a month's documents of one kind of settlement."""
    found = ledger.booked_by_document(session, book, source, f"{book}/{period}/")
    return {tuple(place): minor for place, minor in found.items()}


def _wanted(codes: Iterable[SettledCode], booked: _Places) -> _Places:
    """Say what each place should stand at; a partner's own account has the opposite of its cost."""
    codes = list(codes)
    wanted: _Places = dict(sums_explained(codes).items())
    for each in codes:
        if each.code.kind != PARTNER:
            continue
        rest = (each.document, each.currency, each.dimensions)
        for document, account, currency, dimensions in booked:
            place = (document, account, currency, dimensions)
            if (document, currency, dimensions) == rest and account != each.account:
                wanted[place] = -wanted[each.document, each.account, each.currency,
                                        each.dimensions]  # fmt: skip
    return wanted


def _cost(shelf: Shelf, name: str) -> int:
    """Sum what the events of one object cost, where that is known. [millionths]"""
    table = shelf.table(name, ["amount_micro", "known"])
    if not pa.types.is_boolean(table["known"].type):
        return 0  # It cannot be read, and that shows.
    return pc.sum(table.filter(table["known"])["amount_micro"]).as_py() or 0
