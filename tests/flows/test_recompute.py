"""The month that was run comes to the same in a program that is not ours."""

from __future__ import annotations

import json
from pathlib import Path

from tests.flows.conftest import Finished
from tests.ledger.test_plaintext import hledger, hledger_balances


def test_hledger_finds_the_balances_of_the_demo_month(finished: Finished, tmp_path: Path) -> None:
    """Exported by the command and recomputed from the text alone, to the øre."""
    out = tmp_path / "month.journal"
    said = finished.home.run("ledger", "export", "--format", "hledger", "--out", str(out))
    assert "they sum to the trial balance" in said
    told = json.loads(finished.home.run("ledger", "balance", "--json"))["accounts"]
    ours = {(row["account"], row["currency"]): row["balance"] for row in told}
    journal = out.read_text()
    assert len(ours) > 5
    assert hledger_balances(journal) == {key: x for key, x in ours.items() if x != "0.00"}
    hledger(journal, "check", "--strict")
