"""Suspended rows of orders and lists: run again, corrected or given up, each exactly once."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text
from werkzeug.test import TestResponse

from ledger.db import transaction
from ledger.errors import Conflict, Invalid, NotFound, Problem
from ledger.service import access
from ledger.vault import vault
from mediation import service
from mediation.cli import mediation_cli
from mediation.formats import orders_csv
from mediation.service import RowOutcome, control_totals, correct_row, ingest_file, rerun_rows
from mediation.service.row_suspense import CorrectionRefused, RowNotWaiting
from party import service as party
from rating import service as rating
from reporting.service import reconcile
from reporting.service.recount import Shelf, count_files, count_outcomes
from tests.rating.tariffs import SMALL
from tests.reporting.test_desk import make_app

START = "2026-03-02T00:00:00+01:00"
WHO = ("Kari", "the party came later")
CELLS = {
    "action": "add", "effective_at": START, "customer_no": "10000001", "customer_kind": "person",
    "name": "Kunde 10000001", "billing_account": "30000001", "segment": "consumer",
    "offering": "ONE",
}  # fmt: skip


def add(order: str, subscription: str, msisdn: str, **changes: str) -> dict[str, str]:
    """An order that adds a subscription."""
    named = {"order_id": order, "subscription_id": subscription, "msisdn": msisdn}
    return {**CELLS, **named, **changes}


def cease(order: str, subscription: str) -> dict[str, str]:
    """An order that ends a subscription on the tenth."""
    return {"order_id": order, "action": "cease", "effective_at": "2026-03-10T00:00:00+01:00",
            "subscription_id": subscription}  # fmt: skip


def send(folder: Path, sequence: int, *rows: dict[str, str], name: str = "orders.csv") -> int:
    """Take in a file of orders; gives its number."""
    lines = [",".join(row.get(column, "") for column in orders_csv.COLUMNS) for row in rows]
    head = [f"HDR,FKM,{sequence},2026-03-02", ",".join(orders_csv.COLUMNS)]
    return take(folder, name, "\n".join([*head, *lines, f"TRL,{len(rows)}"]))


def take(folder: Path, name: str, content: str) -> int:
    """Take in a file; gives its number."""
    path = folder / name
    path.write_text(content, "utf-8")
    with transaction() as session:
        outcome = ingest_file(session, vault(), path)
    assert outcome.state == "accepted", outcome
    return outcome.file_id


def rows_of(file_id: int) -> tuple[int, int, int, int]:
    """Rows accepted, duplicate, suspended and filtered of a file, whose control account ties."""
    with transaction() as session:
        (one,) = control_totals(session, file_id)
    assert one.ties
    return one.accepted, one.duplicate, one.suspended, one.filtered


def rerun(*, dry_run: bool = False, file: str | None = None) -> list[tuple[int, str, str]]:
    """Run everything again: line, state and reason of each row."""
    with transaction() as session:
        rows = rerun_rows(session, vault(), *WHO, dry_run=dry_run, file=file)
    return [(row.line_no, row.state, row.reason) for row in rows]


def correct(file: str, line: int, dry_run: bool = False, **values: str) -> RowOutcome:
    """Correct a row and run it."""
    with transaction() as session:
        return correct_row(session, vault(), file, line, values, *WHO, dry_run=dry_run)


@pytest.fixture(name="sold", autouse=True)
def _sold(db: str) -> None:
    with transaction() as session:
        rating.load_tariff(session, SMALL.encode())


def test_a_row_is_run_again_when_what_it_needs_has_come(tmp_path: Path) -> None:
    """Once: in the order of files and lines, with a trial first, and the sums tie at each step."""
    early = send(tmp_path, 2, cease("O-2", "S-1"), cease("O-3", "S-9"))
    assert rows_of(early) == (0, 0, 2, 0)
    assert rerun() == [(3, "suspended", "UNKNOWN_SUBSCRIPTION"),
                       (4, "suspended", "UNKNOWN_SUBSCRIPTION")]  # fmt: skip
    send(tmp_path, 1, add("O-1", "S-1", "4791000001"))
    tried = [(3, "applied", ""), (4, "suspended", "UNKNOWN_SUBSCRIPTION")]
    assert rerun(dry_run=True) == tried
    assert rows_of(early) == (0, 0, 2, 0)
    assert rerun() == tried
    assert rows_of(early) == (1, 0, 1, 0)
    assert rerun() == tried[1:]
    with transaction() as session:
        ended = session.execute(
            text("SELECT bucket, cause, actor FROM suspense_release")
        ).one()  # fmt: skip
        assert tuple(ended) == ("accepted", WHO[1], WHO[0])
        applied = session.execute(
            text("SELECT order_id, file_id, line_no FROM applied_order ORDER BY 1")
        ).all()
        assert [row.order_id for row in applied] == ["O-1", "O-2"]
        assert tuple(applied[1]) == ("O-2", early, 3)
        assert [one.line_no for one in service.suspense(session)] == [4]


def test_a_wrong_value_is_corrected_and_run(tmp_path: Path) -> None:
    """The file stays as it came; the correction is a fact with an author and a reason."""
    wrong = add("O-1", "S-1", "4791000001", effective_at="yesterday", offering="NONE")
    file_id = send(tmp_path, 1, wrong)
    assert rows_of(file_id) == (0, 0, 1, 0)
    with pytest.raises(CorrectionRefused, match="column effective_at: 'soon' is no instant"):
        correct("orders.csv", 3, effective_at="soon")
    with pytest.raises(CorrectionRefused, match="column ofering: There is no such column"):
        correct("orders.csv", 3, effective_at=START, ofering="ONE")
    still = correct("orders.csv", 3, effective_at=START)
    assert (still.state, still.reason) == ("suspended", "UNKNOWN_OFFERING")
    trial = correct(str(file_id), 3, dry_run=True, offering="ONE")
    assert trial.state == "applied"
    assert rows_of(file_id) == (0, 0, 1, 0)
    done = correct(str(file_id), 3, offering="ONE")
    assert (done.state, done.file_name, rows_of(file_id)) == ("applied", "orders.csv", (1, 0, 0, 0))
    with transaction() as session:
        said = session.execute(
            text("SELECT column_name, value, actor, reason FROM row_correction"
                 " ORDER BY row_correction_id")
        ).all()  # fmt: skip
        assert [tuple(one) for one in said] == [
            ("effective_at", START, *WHO), ("offering", "ONE", *WHO)
        ]  # fmt: skip
        assert party.search_customers(session, "10000001")
    with pytest.raises(RowNotWaiting, match=r"Line 3 of orders\.csv does not wait"):
        correct("orders.csv", 3, offering="ONE")


def test_a_row_that_came_in_another_file_is_a_copy_of_it(tmp_path: Path) -> None:
    """The order came again and was applied: the first row ends as known, and changes nothing."""
    first = send(tmp_path, 1, cease("O-2", "S-1"), name="first.csv")
    send(tmp_path, 2, add("O-1", "S-1", "4791000001"), cease("O-2", "S-1"), name="second.csv")
    assert rerun(file="first.csv") == [(3, "already", "")]
    assert rows_of(first) == (0, 1, 0, 0)
    assert rerun() == []


def test_a_row_of_a_list_is_run_again_too(tmp_path: Path) -> None:
    """Here a number that somebody had is free after a correction."""
    heading = "subscription_id,imsi,msisdn,iccid,product,billing_account,usage_split_account,"
    row = "{},,{},,MOBILE,BA-1,,P-1,2024-01-01T00:00:00+01:00,"
    content = [heading + "user_party,valid_from,valid_to", row.format("S-1", "4790000001"),
               row.format("S-2", "4790000001")]  # fmt: skip
    file_id = take(tmp_path, "list.csv", "\n".join(content) + "\n")
    assert rows_of(file_id) == (1, 0, 1, 0)
    assert correct("list.csv", 3, msisdn="4790000002").state == "applied"
    assert rows_of(file_id) == (2, 0, 0, 0)


def test_a_row_is_given_up_by_name(tmp_path: Path) -> None:
    """It holds up no close any more, and is filtered in the sums; also what cannot be read."""
    file_id = send(tmp_path, 1, cease("O-2", '"'), cease("O-3", "S-3"))
    with transaction() as session:
        tried = service.give_up_row(session, "orders.csv", 3, *WHO, dry_run=True)
    assert (tried.state, rows_of(file_id)) == ("given up", (0, 0, 2, 0))
    with transaction() as session:
        service.give_up_row(session, "orders.csv", 3, *WHO)
    assert rows_of(file_id) == (0, 0, 1, 1)
    with transaction() as session, pytest.raises(RowNotWaiting):
        service.give_up_row(session, "orders.csv", 3, *WHO)


def test_what_cannot_be_is_refused_by_name(tmp_path: Path) -> None:
    """Nobody signs, no such file, no such line, nothing said, and one name of two files."""
    for sequence in (1, 2):
        send(tmp_path, sequence, cease(f"O-{sequence}", "S-1"))

    def refused(kind: type[Problem], file: str, line: int, author: str = "Kari", **values: str
                ) -> str:  # fmt: skip
        with transaction() as session, pytest.raises(kind) as caught:
            correct_row(session, vault(), file, line, values, author, "x")
        return str(caught.value)

    assert "author" in refused(Invalid, "orders.csv", 3, " ", offering="x")
    assert "what to correct" in refused(Invalid, "orders.csv", 3)
    assert "No file" in refused(NotFound, "x.csv", 3, offering="x")
    assert "does not wait" in refused(RowNotWaiting, "orders.csv", 9, offering="x")
    assert "waits in 2 files called orders.csv" in refused(Conflict, "orders.csv", 3, offering="x")
    with transaction() as session, pytest.raises(NotFound):
        rerun_rows(session, vault(), *WHO, file="x.csv")
    with transaction() as session, pytest.raises(Invalid, match="author"):
        rerun_rows(session, vault(), "Kari", " ")


def test_rows_that_end_are_counted_once_in_the_proof_of_a_month(tmp_path: Path) -> None:
    """As rows of files and as orders applied; the recount of usage does not see them at all."""
    send(tmp_path, 2, cease("O-2", "S-1"))
    send(tmp_path, 1, add("O-1", "S-1", "4791000001"))
    rerun()
    with transaction() as session:
        shelf = Shelf(vault())
        files = count_files(session, shelf)
        assert set(count_outcomes(session, shelf, files).values()) == {0}
        tables = reconcile._tables(session)
    assert (files["rows"], tables["rows"]) == (2, 2)
    assert (tables["applied"], tables["orders"]) == (2, 2)


def run(*words: str) -> Result:
    """Run a command of mediation in Kari's name."""
    signed = (*words, "--author", "Kari", "--because", "late")
    return CliRunner().invoke(mediation_cli, signed, catch_exceptions=False)


def test_the_commands_say_what_became_of_each_row(tmp_path: Path) -> None:
    """One command for all, one for one row; a trial says so; what is no COLUMN=VALUE is refused."""
    send(tmp_path, 2, cease("O-2", "S-1"), cease("O-3", "S-9"))
    send(tmp_path, 1, add("O-1", "S-1", "4791000001"), name="late.csv")
    tried = run("rerun", "--dry-run").output
    assert "2 rows tried: 1 applied, 0 known from another file, 1 still suspended." in tried
    assert "Nothing was recorded" in tried
    done = run("rerun").output
    assert "orders.csv#3 is applied." in done
    assert "orders.csv#4 is still suspended. UNKNOWN_SUBSCRIPTION" in done
    assert "hovedbok mediation recycle" in done
    other = json.loads(run("correct", "orders.csv", "4", "subscription_id=S-8", "--json").output)
    assert (other["state"], other["line_no"]) == ("suspended", 4)
    assert "is given up" in run("correct", "orders.csv", "4", "--give-up").output
    assert "0 rows tried" in run("rerun").output
    for words in ((), ("offering",), ("=x",), ("a=1", "a=2"), ("a=1", "--give-up")):
        assert run("correct", "orders.csv", "4", *words).exit_code == 2


def test_rows_are_run_and_corrected_over_rest(tmp_path: Path) -> None:
    """With the scope that runs feeds, a reason and a key; a retry does it once."""
    file_id = send(tmp_path, 2, cease("O-2", "S-1"), cease("O-3", "S-9"))
    send(tmp_path, 1, add("O-1", "S-1", "4791000001"))
    with transaction() as session:
        tokens = {
            name: access.add_client(session, name, [wanted], actor="test", now=datetime.now(UTC))
            for name, wanted in (("reader", "mediation:read"), ("runner", "mediation:run"))
        }

    def post(key: str, where: str, who: str = "runner", **asked: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {tokens[who]}", "Idempotency-Key": key}
        return make_app().test_client().post(f"/api/v1/{where}", json=asked, headers=headers)

    row = f"files/{file_id}/rows/4/corrections"
    for where in ("suspense/reruns", row):
        assert post("a", where, "reader", reason="late").status_code == 403
    tried = post("b", "suspense/reruns", reason="late", dry_run=True).json
    assert [one["state"] for one in tried["rows"]] == ["applied", "suspended"]
    assert (tried["recorded"], rows_of(file_id)) == (False, (0, 0, 2, 0))
    done = post("c", "suspense/reruns", reason="late", file_id=file_id)
    assert done.json == {**tried, "recorded": True}
    assert post("c", "suspense/reruns", reason="late", file_id=file_id).json == done.json
    assert rows_of(file_id) == (1, 0, 1, 0)
    for body in ({}, {"values": {"offering": "ONE"}, "give_up": True}, {"values": {"offering": 7}}):
        assert post("d", row, reason="late", **body).status_code == 422
    wrong = post("e", row, reason="late", values={"effective_at": "soon"})
    assert (wrong.status_code, wrong.json["type"]) == (422, "/problems/correction-refused")
    gone = post("f", row, reason="late", give_up=True).json
    assert (gone["state"], gone["recorded"], rows_of(file_id)) == ("given up", True, (1, 0, 0, 1))
    again = post("g", row, reason="late", give_up=True)
    assert (again.status_code, again.json["type"]) == (409, "/problems/row-not-waiting")
    with transaction() as session:
        actors = session.scalars(text("SELECT DISTINCT actor FROM suspense_release")).all()
    assert actors == ["client:runner"]
