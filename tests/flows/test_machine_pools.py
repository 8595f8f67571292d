"""Cards of several plans and accounts that use one pool together, from session to charge."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from ledger import service as ledger
from ledger.db import transaction
from ledger.vault import vault
from party import service as party
from rating import service as rating
from rating.tariff import parse_tariff
from rating.tariff_terms import TariffInvalid
from reporting.service.tracing import trace_voucher
from tests.flows.home import broken_ties
from tests.flows.test_contracts import BEGUN, POOL, _rate, _rerate, _take_octets
from tests.flows.test_pools import BERIT, _agree
from tests.party.rows import order
from tests.rating.test_fair_use import TARIFF

FREE = TARIFF.replace('  [[offering.fair_use]]\n  component = "eea"\n', "").replace(
    '  surcharge = "surcharge"\n', ""
)
FLEET = POOL.replace(
    "[[offering.pool]]", '[[offering.pool]]\n  id = "fleet"\n  scope = "agreement"'
)
SMALL = FREE + FLEET
BIG = SMALL[SMALL.index("[[offering]]") :].replace('id = "FRI"', 'id = "BIG"').replace(
    "included = 1000", "included = 4000"
)  # fmt: skip
OWED = (
    "SELECT s.external_ref, sum(c.micro)::bigint FROM charge c JOIN subscription s"
    " USING (subscription_id) WHERE component = 'surcharge' GROUP BY 1 ORDER BY 1"
)


def _owed() -> dict[str, int]:
    _rate()
    with transaction("auditor") as session:
        return {str(name): int(micro) for name, micro in session.execute(text(OWED))}


@pytest.fixture
def fleet(books: str, tmp_path: Path) -> Path:
    """Four cards: two of one account, one of a daughter's, one of somebody else's."""
    assert books
    cards = [("FRI", {}), ("BIG", {}), ("FRI", {"account_ref": "30000002", "customer": BERIT}),
             ("FRI", {"account_ref": "30000003"})]  # fmt: skip
    with transaction() as session:
        ledger.seed_book(session, "NO01")
        ledger.open_periods(session, "NO01", 2026)
        rating.load_tariff(session, (SMALL + BIG).encode())
        done = party.apply_orders(
            session,
            [
                order(number, "add", int(BEGUN.timestamp()), offering=offering,
                      subscription_ref=f"SUB{number}", msisdn=4791000000 + number,
                      imsi=242010000000000 + number, **who)
                for number, (offering, who) in enumerate(cards, 1)
            ],
            {"FRI", "BIG"},
        )  # fmt: skip
        assert [outcome.state for outcome in done] == ["applied"] * 4, done
    for number, octets in enumerate((5000, 500, 3000, 1500), 1):
        imsi = bytes.fromhex(f"42020100000000f{number}")
        _take_octets(tmp_path, f"PGW_000{number}.dat", octets, 7000 + number, {0x83: imsi})
    return tmp_path


def test_plans_and_accounts_share_one_pool(fleet: Path) -> None:
    """By account first, each alone; under one agreement together; and again when one leaves."""
    # 5500 of 5000: a step at 2.00, by use. 3000 of 1000: two steps. 1500 of 1000: one.
    alone = {"SUB1": 1_818_182, "SUB2": 181_818, "SUB3": 4_000_000, "SUB4": 2_000_000}
    assert _owed() == alone
    assert _owed() == alone
    _agree(fleet, "agreements.csv", "KONSERN,,30000001,2026-02-01",
           "DATTER,KONSERN,30000002,2026-02-01")  # fmt: skip
    # 8500 of 6000: three steps, by use; the fourth card is none of theirs.
    together = {"SUB1": 3_529_412, "SUB2": 352_941, "SUB3": 2_117_647, "SUB4": 2_000_000}
    assert _owed() == together
    assert _rerate() == []
    assert broken_ties() == set()
    with transaction() as session:
        trail = trace_voucher(session, vault(), "NO01", "USG/2026/1", language="en")
    told = str([one["explanation"] for one in trail["charges"] if one["component"] == "surcharge"])
    assert "3 cards bring 6000 B and used 8500 B; 3000 B beyond at 2.00 per 1000 B" in told
    _agree(fleet, "left.csv", ",,30000002,2026-02-15")
    assert _owed() == alone


@pytest.mark.parametrize(
    "changed",
    [("price", "3.00"), ("per", "7"), ("step", "7"), ("scope", "account"), ("overage", "eea")],
)
def test_what_is_shared_has_one_price(changed: tuple[str, str]) -> None:
    """Two plans of one pool that say another price, or share with others, are refused."""
    key, value = changed
    lines = [
        f'  {key} = "{value}"' if line.strip().startswith(f"{key} = ") and not value.isdecimal()
        else f"  {key} = {value}" if line.strip().startswith(f"{key} = ") else line
        for line in FLEET.splitlines()
    ]  # fmt: skip
    other = BIG.replace(FLEET.replace("included = 1000", "included = 4000"), "\n".join(lines))
    with pytest.raises(TariffInvalid, match="fleet is a pool of FRI too, with another overage"):
        parse_tariff((SMALL + other).encode())
    with pytest.raises(TariffInvalid, match="fleet is given twice in one offering"):
        parse_tariff((SMALL + FLEET).encode())
