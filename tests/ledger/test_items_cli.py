"""Claims, credits and their use from the command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from ledger import service
from ledger.cli import items
from ledger.cli.ledger import ledger_cli
from ledger.db import transaction
from ledger.refusals import OverAllocated, UnknownAccount, UnknownOpenItem

if TYPE_CHECKING:
    from tests.ledger.conftest import Drafts


def run(*words: object) -> str:
    """Run a command; a refusal is raised."""
    done = CliRunner().invoke(ledger_cli, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def told(*words: object) -> dict[str, Any]:
    """Run a command for a program."""
    answer: dict[str, Any] = json.loads(run(*words, "--json"))
    return answer


def left(*words: object) -> dict[str, str]:
    """What is outstanding, by document."""
    return {one["document_ref"]: one["outstanding"] for one in told("items", *words)["items"]}


@pytest.fixture
def pair(books: str, drafts: Drafts) -> tuple[int, int]:
    """An invoice of 125.00 and a payment of 50.00; gives credit and debit."""
    with transaction() as session:
        posted = service.post_batch(
            session, drafts.batch("b-1", drafts.invoice("i-1"), drafts.payment("p-1", 50_00))
        )
    return posted.open_item_ids[1, 2], posted.open_item_ids[0, 1]


def test_a_credit_is_used_for_a_claim_once(pair: tuple[int, int]) -> None:
    """The same command again, as after a crash, finds what it did; another reference does more."""
    assert left() == {"i-1": "125.00", "p-1": "-50.00"}
    assert left("--as-of", "2026-03-31") == {"i-1": "125.00"}
    use = ("allocate", *pair, "20.00", "--on", "2026-04-20")
    first, again = told(*use), told(*use)
    assert (first["replayed"], again["replayed"]) == (False, True)
    assert first["allocations"] == again["allocations"]
    assert "It was made before; another needs a --ref." in run(*use)
    assert left() == {"i-1": "105.00", "p-1": "-30.00"}
    assert "uses 30.00 from 2026-04-20 on." in run(
        "allocate", *pair, "30.00", "--on", "2026-04-20", "--ref", "second"
    )
    assert left() == {"i-1": "75.00"}
    assert left("--state", "settled") == {"p-1": "0.00"}
    with pytest.raises(OverAllocated, match="hovedbok ledger items"):
        run("allocate", *pair, "0.01", "--on", "2026-04-21")
    with pytest.raises(UnknownOpenItem):
        run("allocate", 77, pair[1], "0.01", "--on", "2026-04-21")


def test_lists_are_filtered_and_read_to_their_end(
    pair: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By party, account, document and KID; page after page where there are many."""
    monkeypatch.setattr(items, "PAGE_MAX", 1)
    assert left("--party", 1, "--account", "1500") == {"i-1": "125.00", "p-1": "-50.00"}
    assert left("--ref", "i-1") == left("--kid", "00000001") == {"i-1": "125.00"}
    assert left("--party", 2) == {}
    with pytest.raises(UnknownAccount):
        run("items", "--account", "9999")
    for amount in ("20.00", "30.00"):
        run("allocate", *pair, amount, "--on", "2026-04-20")
    assert [one["amount"] for one in told("allocations")["allocations"]] == ["20.00", "30.00"]
    assert len(told("allocations", "--item", pair[0])["allocations"]) == 2
    assert told("allocations", "--to", "2026-04-19")["allocations"] == []
    page = run("items", "--state", "all")
    assert ("125.00" in page, page.splitlines()[-1].startswith("All days")) == (True, True)
    assert f"credit {pair[0]} for {pair[1]}" in run("allocations")
