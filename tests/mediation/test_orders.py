"""Order files and subscription lists on their way into the party room."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sqlalchemy.orm import Session

from mediation.demo.orders import write_orders
from mediation.demo.plan import make_plan
from mediation.demo.population import Subscription, populate
from mediation.formats import orders_csv
from mediation.formats.problems import BrokenFile
from mediation.service.orders import apply_order_file, register_subscription_file
from party import service as party

PLAN = make_plan("2026-03", 60, 3, 4)
SOLD = {"MOBIL-1GB", "MOBIL-5GB", "MOBIL-15GB", "BEDRIFT-BASIS", "BEDRIFT-PLUSS", "EKSTRA-SIM"}


@pytest.fixture(name="population", scope="module")
def _population() -> list[Subscription]:
    return populate(PLAN)


@pytest.fixture(name="files", scope="module")
def _files(population: list[Subscription]) -> dict[str, bytes]:
    return write_orders(PLAN, population)


def _apply_all(session: Session, files: dict[str, bytes]) -> None:
    for file_id, (name, raw) in enumerate(files.items(), 1):
        apply_order_file(session, file_id, raw, name, SOLD)


def test_a_demo_month_is_applied_once(session: Session, files: dict[str, bytes]) -> None:
    """Every row is applied but the one for an offering nobody sells; again, all are known."""
    for again in (False, True):
        for name, raw in files.items():
            outcome = apply_order_file(session, 1, raw, name, SOLD)
            reasons = [reason for _, reason, _ in outcome.suspended]
            assert reasons == (["UNKNOWN_OFFERING"] if "0002" in name else [])
            done = outcome.rows - len(reasons)
            assert (outcome.applied, outcome.already) == ((0, done) if again else (done, 0))
    assert party.search_customers(session, "19999999") == []


def test_a_demo_month_is_what_its_maker_meant(
    session: Session, files: dict[str, bytes], population: list[Subscription]
) -> None:
    """Every subscriber has the generator's offering and payer, at each instant of change."""
    _apply_all(session, files)
    agreements = party.load_agreements(session)
    numbers = {a.billing_account_id: a.number for a in party.billing_accounts(session)}
    for subscription in population:
        for interval in subscription.intervals:
            end = PLAN.end if interval.end is None else interval.end
            instants = np.array([interval.start, end - 1], np.int64)
            card = np.full(2, int(subscription.imsi), np.int64)
            holder = agreements.find("imsi", card, instants)
            assert (holder >= 0).all()
            names = [
                agreements.offering_names[c] for c in agreements.offerings_at(holder, instants)
            ]
            assert names == [interval.offering] * 2
            payers = [numbers[key] for key in agreements.payers_at(holder, instants).tolist()]
            assert payers == [subscription.account.number] * 2
        last = subscription.intervals[-1]
        if last.end is not None:
            gone = agreements.find("imsi", card[:1], np.array([last.end], np.int64))
            assert gone.tolist() == [-1]


def test_bad_rows_are_suspended_by_line_and_the_sums_tie(session: Session) -> None:
    """Rows that cannot be read and rows that cannot be applied stand together, in order of line."""
    start = "2026-03-01T00:00:00+01:00"
    customer = "10000001,person,Kunde 10000001,,,,,,,30000001,consumer"
    rows = [
        f"M1,change,{start},{customer},SUB1,MOBIL-1GB,,,",
        f"M2,add,yesterday,{customer},SUB1,MOBIL-1GB,4791000001,,",
        f"M3,add,{start},{customer},SUB1,MOBIL-1GB,4791000001,,",
        f"M4,add,{start},{customer},SUB2,MOBIL-1GB,4791000001,,",
    ]
    head = ["HDR,MOOX,1,2026-03-01", ",".join(orders_csv.COLUMNS)]
    raw = "\n".join([*head, *rows, "TRL,4"]).encode()
    outcome = apply_order_file(session, 1, raw, "o.csv", SOLD)
    assert [(line, reason) for line, reason, _ in outcome.suspended] == [
        (3, "UNKNOWN_SUBSCRIPTION"), (4, "BAD_ROW"), (6, "NUMBER_IN_USE")
    ]  # fmt: skip
    assert outcome.rows == outcome.applied + outcome.already + len(outcome.suspended) == 4


@pytest.mark.parametrize("column", orders_csv.COLUMNS)
def test_no_value_of_one_row_stops_the_others(session: Session, column: str) -> None:
    """A value that no table or index can hold costs its own row only, whatever the column."""
    digits = "".join(str(number) for number in range(3000))
    cells = {
        "order_id": "M1", "action": "add", "effective_at": "2026-03-01T00:00:00+01:00",
        "customer_no": "10000001", "customer_kind": "person", "name": "Kunde 10000001",
        "billing_account": "30000001", "segment": "consumer", "subscription_id": "SUB1",
        "offering": "MOBIL-1GB", "msisdn": "4791000001",
    }  # fmt: skip
    other = cells | {"order_id": "M2", "subscription_id": "SUB2", "msisdn": "4791000002"}
    rows = [cells | {column: digits}, other]
    lines = [",".join(row.get(name, "") for name in orders_csv.COLUMNS) for row in rows]
    head = ["HDR,MOOX,1,2026-03-01", ",".join(orders_csv.COLUMNS)]
    raw = "\n".join([*head, *lines, "TRL,2"]).encode()
    outcome = apply_order_file(session, 1, raw, "o.csv", SOLD | {digits})
    assert [(line, reason) for line, reason, _ in outcome.suspended] == [(3, "BAD_ROW")]
    assert outcome.applied == 1


def test_a_file_that_lost_rows_changes_nothing(session: Session, files: dict[str, bytes]) -> None:
    """Its trailer tells; the file is refused before any row is applied."""
    name, raw = next(iter(files.items()))
    lines = raw.split(b"\n")
    with pytest.raises(BrokenFile, match="counts"):
        apply_order_file(session, 1, b"\n".join(lines[:2] + lines[3:]), name, SOLD)
    assert party.search_customers(session, "") == []


def test_the_sample_list_never_lets_a_new_holder_inherit(session: Session, shared: Path) -> None:
    """4740000002 changed hands: the old holder to the end of 2024, nobody, then the new one."""
    raw = (shared / "samples/synthetic/subscriptions.csv").read_bytes()
    for applied, already in ((4, 0), (0, 4)):
        outcome = register_subscription_file(session, 1, raw, "subscriptions.csv")
        assert (outcome.applied, outcome.already, outcome.suspended) == (applied, already, ())
    instants = np.array(
        [
            "2024-12-31T22:59:59",
            "2024-12-31T23:00:00",
            "2025-05-31T21:59:59",
            "2025-05-31T22:00:00",
        ],
        "datetime64[s]",
    ).astype(np.int64)
    agreements = party.load_agreements(session)
    found = agreements.find("msisdn", np.full(4, 4740000002, np.int64), instants)
    assert found[1:3].tolist() == [-1, -1]
    assert found[0] != found[3]
    payers = agreements.payers_at(found, instants)[[0, 3]].tolist()
    names = {a.billing_account_id: a.name for a in party.billing_accounts(session)}
    assert [names[key] for key in payers] == ["BA-PRIVATE-7", "BA-PRIVATE-2"]
