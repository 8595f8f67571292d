"""What explains charges and settlements is counted again: one millionth elsewhere is seen."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pytest
from sqlalchemy import text

from ledger.db import transaction
from ledger.vault import vault
from mediation.usage_files import read_parquet, write_table
from tests.flows import test_contracts as contracts
from tests.flows import test_settlement as settlement
from tests.flows import test_wholesale_versions as wholesale
from tests.flows.conftest import Copy
from tests.flows.home import broken_ties
from tests.flows.test_ties import DAMAGED, _first, _more, _rated_object, _replace
from tests.rating.test_margins import RETAIL, WHOLESALE

VALUE = "explained value (millionths)"
SETTLED = "settlements explained"
COSTS = "partner costs (millionths)"


def _flat_object() -> str:
    return _first("SELECT explained_sha256 FROM rating_run ORDER BY run_id DESC")


def _settled_object() -> str:
    return _first("SELECT explained_sha256 FROM settlement_run ORDER BY settlement_run_id DESC")


def _partner_object() -> str:
    return _first("SELECT event_refs ->> 0 FROM settlement_run ORDER BY settlement_run_id DESC")


@pytest.mark.parametrize(
    ("find", "column"), [(_rated_object, "rounding_micro"), (_flat_object, "amount_micro")]
)
def test_a_damaged_explanation_of_charges_shows(
    find: Callable[[], str], column: str, copy: Copy
) -> None:
    """Why an event, or a month, costs what it does is summed against the charges."""
    assert copy
    name = find()
    _replace(name, _more(column)(vault().get(name)))
    assert broken_ties() == {DAMAGED, VALUE}


def _to_others(raw: bytes) -> bytes:
    """Give an øre of the provider to the collector: the sum is the same."""
    table = read_parquet(BytesIO(raw))
    rows = table.to_pylist()
    for code, added in (("share", -10_000), ("rest", 10_000)):
        next(row for row in rows if row["code"] == code)["amount_micro"] += added
    changed = pa.Table.from_pylist(rows, table.schema)
    return write_table({name: changed[name] for name in changed.column_names})


def test_a_settlement_is_explained_place_by_place(books: str, tmp_path: Path) -> None:
    """Whose the money is is held against the journal, holder by holder, after a late call too."""
    assert books
    settlement._begin(settlement._tariff())
    settlement._take(tmp_path, "a.csv", ("4782900001", 5))
    settlement._rate()
    settlement._settle()
    settlement._take(tmp_path, "late.csv", ("4782900001", 6))
    settlement._rate()
    settlement._settle()
    assert broken_ties() == set()
    name = _settled_object()
    _replace(name, _to_others(vault().get(name)))
    assert broken_ties() == {DAMAGED, SETTLED}


def test_what_partners_are_owed_is_explained_by_its_events(books: str, tmp_path: Path) -> None:
    """A cost of an event, the code of a partner, and a run of which the journal alone is left."""
    assert books
    wholesale._begin(RETAIL.encode(), WHOLESALE.encode())
    wholesale._take(tmp_path, "a.csv", (1, "4740000001", 5, 6_000), (1, "4748000001", 6, 600))
    settlement._rate()
    wholesale._partners()
    assert broken_ties() == set()
    for name in (_partner_object(), _settled_object()):
        whole = vault().get(name)
        _replace(name, _more("amount_micro")(whole))
        assert broken_ties() == {DAMAGED, COSTS}
        _replace(name, whole)
    with transaction("owner") as session:
        session.execute(text("ALTER TABLE settlement_run DISABLE TRIGGER USER"))
        session.execute(text("DELETE FROM settlement_run"))
        session.execute(text("ALTER TABLE settlement_run ENABLE TRIGGER USER"))
    assert broken_ties() == {SETTLED}


def test_what_pools_and_fair_use_cost_is_counted_beside_the_events(
    books: str, tmp_path: Path
) -> None:
    """Use that is charged a second time, beyond what is included, is no event of its own."""
    contracts.test_a_fleet_pays_for_its_pool_and_each_card_its_part(books, tmp_path)
    assert broken_ties() == set()
