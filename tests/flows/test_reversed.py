"""A usage file that was wrong: taken back as a whole, un-charged, and replaced by a better one."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from werkzeug.test import TestResponse

from ledger import service as ledger
from ledger.db import transaction
from ledger.errors import Conflict, Invalid
from ledger.service import access
from ledger.vault import vault
from mediation import service as mediation
from mediation.cli import files_under, ingest_paths, mediation_cli
from party import service as party
from rating import service as rating
from tests.flows.test_late import MONTH, _bill, _open_books, _rows, _ties
from tests.flows.test_pools import ALL_MONTH, OFFERING, TARIFF, _line, _rate, _take
from tests.reporting.test_desk import make_app


@pytest.fixture
def family(books: str) -> None:
    """A subscriber with a minute included, whose calls cost 60 øre a minute and 30 to begin."""
    assert books
    source = TARIFF + OFFERING.format(id="FAMILY", quantity=60)
    with transaction() as session:
        ledger.seed_book(session, "NO01")
        ledger.open_periods(session, "NO01", 2026)
        rating.load_tariff(session, source.encode())
        party.apply_orders(session, [_line(1, "FAMILY", ALL_MONTH)], {"FAMILY"})


def _reverse(file: str, *words: str) -> dict[str, Any]:
    told = CliRunner().invoke(
        mediation_cli, ["reverse", file, "--author", "Kari", "--because", "wrong", "--json", *words]
    )
    assert told.exit_code == 0, told.output + str(told.exception)
    counts: dict[str, Any] = json.loads(told.output)
    return counts


@pytest.mark.usefixtures("family")
def test_what_is_taken_back_is_credited_and_its_better_copy_charged(tmp_path: Path) -> None:
    """The pool is free again for the other call; a corrected file takes name and records over."""
    _take(tmp_path, "wrong.csv", (1, 5, 60), (1, 6, 60))
    _take(tmp_path, "right.csv", (1, 7, 60))
    assert _rate() == {"SUB1": 2 * 900_000}
    assert _bill(MONTH) == 1
    _ties()
    tried = _reverse("wrong.csv", "--dry-run")
    assert (tried["events"], tried["seconds"], tried["periods"]) == (2, 120, [MONTH])
    assert _rows("SELECT count(*) FROM file_reversal") == [(0,)]
    assert _reverse("wrong.csv") == {**tried, "dry_run": False}
    # The call that is left has the minute that the withdrawn one had used.
    assert _rate() == {"SUB1": 0}
    _ties()
    with transaction("auditor") as session:
        assert all(total.ties for total in mediation.control_totals(session))
        file = next(one for one in mediation.files(session) if one.name == "wrong.csv")
        place = mediation.record_location(session, vault(), file.file_id, 1)
    assert (file.state, file.reason) == ("reversed", "FILE_REVERSED")
    assert (place.bucket, place.reason) == ("filtered", "FILE_REVERSED")
    with pytest.raises(Conflict, match="taken back already"), transaction() as session:
        mediation.reverse_file(session, vault(), "wrong.csv", "Kari", "again")
    with pytest.raises(Invalid, match="author"), transaction() as session:
        mediation.reverse_file(session, vault(), "right.csv", " ", "why")
    # The same name, one of the same calls, and one that the first file had wrong.
    (tmp_path / "again").mkdir()
    _take(tmp_path / "again", "wrong.csv", (1, 5, 60), (1, 6, 120))
    assert _rate() == {"SUB1": 300_000 + 1_200_000 + 900_000}
    _ties()


@pytest.mark.usefixtures("books")
def test_other_files_may_stand_on_it(month_files: Path) -> None:
    """A file with parts of another's calls, and one of orders, is refused."""
    _open_books(month_files)
    ingest_paths(files_under([month_files / "orders", month_files / "usage"]))
    (chained,) = _rows("SELECT file_id FROM held_part ORDER BY 1 LIMIT 1")
    (orders,) = _rows("SELECT file_id FROM source_file WHERE format = 'order_csv' LIMIT 1")
    for file, told in ((chained, "chain"), (orders, "only a usage file")):
        with pytest.raises(Conflict, match=told), transaction() as session:
            mediation.reverse_file(session, vault(), str(file[0]), "Kari", "why")


@pytest.mark.usefixtures("family")
def test_a_file_with_copies_elsewhere_is_refused(tmp_path: Path) -> None:
    """Taking it back would lose the copies, which were set aside for it."""
    _take(tmp_path, "first.csv", (1, 5, 60))
    _take(tmp_path, "second.csv", (1, 5, 60), (1, 6, 60))
    told = CliRunner().invoke(
        mediation_cli, ["reverse", "first.csv", "--author", "Kari", "--because", "why"]
    )
    assert isinstance(told.exception, Conflict)
    assert "second.csv hold copies of its records" in str(told.exception)


@pytest.mark.usefixtures("family")
def test_a_file_is_taken_back_over_rest(tmp_path: Path) -> None:
    """Its scope, a reason and a key are needed; a retry with the key gets the first answer."""
    _take(tmp_path, "wrong.csv", (1, 5, 60), (1, 6, 60))
    ((file_id,),) = _rows("SELECT file_id FROM source_file WHERE name = 'wrong.csv'")
    with transaction() as session:
        tokens = {
            name: access.add_client(session, name, [wanted], actor="test", now=datetime.now(UTC))
            for name, wanted in (("reader", "mediation:read"), ("runner", "mediation:run"))
        }
    path = f"/api/v1/files/{file_id}/reversal"

    def post(key: str, name: str = "runner", where: str = path, **asked: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {tokens[name]}", "Idempotency-Key": key}
        return make_app().test_client().post(where, json=asked, headers=headers)

    assert post("a", "reader", reason="counted twice").status_code == 403
    assert post("", reason="counted twice").status_code == 422
    assert post("b").status_code == 422
    missing = post("c", where="/api/v1/files/999/reversal", reason="counted twice")
    assert (missing.status_code, missing.json["type"]) == (404, "/problems/not-found")
    tried = post("d", reason="counted twice", dry_run=True)
    assert tried.json == {
        "file_id": file_id, "name": "wrong.csv", "periods": [MONTH], "events": 2, "seconds": 120,
        "octets": 0, "suspended": 0, "waited": False, "recorded": False,
    }  # fmt: skip
    assert _rows("SELECT count(*) FROM file_reversal") == [(0,)]
    done = post("e", reason="counted twice")
    assert done.json == {**tried.json, "recorded": True}
    again = post("e", reason="counted twice")
    assert (again.json, again.headers["Idempotency-Hit"]) == (done.json, "true")
    assert post("e", reason="another reason").status_code == 422
    refused = post("f", reason="counted twice")
    assert (refused.status_code, refused.json["type"]) == (409, "/problems/conflict")
    assert "it is taken back already" in refused.json["detail"]
    assert _rows("SELECT actor, reason FROM file_reversal") == [("client:runner", "counted twice")]
