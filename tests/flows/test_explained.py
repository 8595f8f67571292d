"""Explanations from the vault tie to charges and postings; a run that does not tie is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
from click.testing import CliRunner

from ledger.db import transaction
from ledger.errors import DoesNotTie
from ledger.vault import vault
from mediation import accruals, charging
from mediation.cli import files_under, ingest_paths
from mediation.rated_files import explain_row
from mediation.service import rating_run, usage_rating
from mediation.usage_files import read_parquet
from rating import pipeline
from rating import service as rating
from reporting.cli.trace import trace_cli
from tests.flows.test_late import MONTH, _open_books, _rate, _rows


@pytest.fixture
def taken(books: str, month_files: Path) -> Path:
    """A month whose files are taken in and not yet rated."""
    assert books
    _open_books(month_files)
    ingest_paths(files_under([month_files / "orders"]))
    ingest_paths(files_under([month_files / "usage"])[:6])
    return month_files


@pytest.mark.usefixtures("taken")
def test_every_rated_event_of_the_vault_can_be_put_into_words() -> None:
    """The row and the book of its run are enough; the sentences sum to the charges of the books."""
    _rate()
    with transaction("auditor") as session:
        run = rating.last_run(session, MONTH)
        assert run is not None
        book = rating.tariff_book_by_hash(session, run.tariff_hash)
        tables = [read_parquet(vault().open(name)) for name in run.rated_refs]
    rows = [row for table in tables for row in table.to_pylist()]
    told = [explain_row(row, book, "en") for row in rows]
    assert len(told) == run.counts["events"] > 100
    charged = _rows("SELECT sum(micro)::bigint FROM charge WHERE kind = 'usage'")
    assert [(sum(part.amount_micro for one in told for part in one.parts),)] == charged
    free = next(row for row in rows if row["free_quantity"])
    assert free["drawn_0"] == free["free_quantity"]
    assert book.allowances[free["allowance_0"]] in explain_row(free, book, "nb").sentences[2]
    rows[0]["usage_micro"] += 1
    with pytest.raises(DoesNotTie, match="was explained with usage_micro"):
        explain_row(rows[0], book, "nb")


@pytest.mark.usefixtures("taken")
def test_a_record_is_explained_on_request() -> None:
    """Norwegian by default; the voucher that posted it stands below; what has no price says so."""
    _rate()
    with transaction("auditor") as session:
        run = rating.last_run(session, MONTH)
        assert run is not None
        table = read_parquet(vault().open(run.rated_refs[0]))
    row = table.filter(pc.greater(table["amount_micro"], 0)).slice(0, 1).to_pylist()[0]
    place = f"{row['file_id']}#{row['record_no']}"
    plain = CliRunner().invoke(trace_cli, ["explain", place])
    assert plain.exit_code == 0, plain.output
    assert "Sum " in plain.output
    assert plain.output.splitlines()[-1].startswith("Bokført som USG/2026/1")
    told = CliRunner().invoke(trace_cli, ["explain", place, "--language", "en", "--json"])
    (event,) = json.loads(told.output)
    assert event["sentences"][-1].startswith("Total ")
    assert event["posted"] == ["USG/2026/1"]
    trail = CliRunner().invoke(trace_cli, ["record", place, "--json"])
    assert json.loads(trail.output)["charges"][0]["explanation"][0]["text"]
    (unrated,) = _rows("SELECT file_id, record_no FROM suspense ORDER BY 1, 2 LIMIT 1")
    assert CliRunner().invoke(trace_cli, ["explain", f"{unrated[0]}#{unrated[1]}"]).exit_code != 0


def _dearer(rate: Callable[..., Any]) -> Callable[..., Any]:
    def changed(*words: Any, **names: Any) -> Any:
        rated = rate(*words, **names)
        rated.amount_micro[rated.amount_micro.argmax()] += 1
        return rated

    return changed


def _forgetful(usage_owed: Callable[..., Any]) -> Callable[..., Any]:
    def changed(*words: Any) -> Any:
        owed = usage_owed(*words)
        name = next(iter(owed))
        owed[name] = replace(owed[name], micro=owed[name].micro + 10_000)
        return owed

    return changed


def _elsewhere(accrual_entries: Callable[..., Any]) -> Callable[..., Any]:
    def changed(*words: Any, **names: Any) -> Any:
        (entry,) = accrual_entries(*words, **names)
        first, second, *rest = [line for line in entry.lines if line.account != words[1]]
        moved = (
            entry.lines[0], replace(first, amount_minor=first.amount_minor - 1),
            replace(second, amount_minor=second.amount_minor + 1), *rest,
        )  # fmt: skip
        return (replace(entry, lines=moved),)

    return changed


@pytest.mark.usefixtures("taken")
@pytest.mark.parametrize(
    ("where", "name", "broken", "told"),
    [
        (usage_rating, "rate", _dearer(pipeline.rate), "its explanation from book"),
        (usage_rating, "usage_owed", _forgetful(charging.usage_owed),
         "Explanations and rated amounts differ in 1 sums"),
        (rating_run, "accrual_entries", _elsewhere(accruals.accrual_entries),
         "Charges and postings differ in 2 sums"),
    ],
)  # fmt: skip
def test_a_run_that_does_not_tie_is_refused(
    where: Any, name: str, broken: Any, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One millionth on an event, one øre on a charge or between accounts: nothing is recorded."""
    monkeypatch.setattr(where, name, broken)
    with pytest.raises(DoesNotTie, match=told):
        _rate()
    for table in ("rating_run", "charge_key", "charge_delta", "posting_batch"):
        assert _rows(f"SELECT count(*) FROM {table}") == [(0,)]
