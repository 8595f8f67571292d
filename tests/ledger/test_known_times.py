"""Known as of a time: the last block signed by then, echoed as its position."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from urllib.parse import quote

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient
from sqlalchemy import text

from ledger import service
from ledger.cli.ledger import ledger_cli
from ledger.db import transaction
from ledger.errors import Invalid
from ledger.refusals import NotYetKnown
from ledger.service.signing import open_signer
from tests.ledger.conftest import Drafts, seal_all
from tests.ledger.test_api import client as _client
from tests.ledger.test_api import code_of

client = _client


@pytest.fixture(name="signed")
def _signed(books: str, drafts: Drafts, tmp_path: Path) -> list[datetime]:
    """Three blocks of one batch each; gives when they were signed."""
    key = open_signer(tmp_path / "seal-key")
    for number in range(3):
        with transaction() as session:
            entry = drafts.journal(f"j-{number}", ("7830", 1_00), ("1920", -1_00))
            service.post_batch(session, drafts.batch(f"b-{number}", entry))
        seal_all(key)
    with transaction() as session:
        return list(session.scalars(text("SELECT signed_at FROM seal_block ORDER BY block_no")))


def test_a_time_is_the_last_block_signed_by_then(signed: list[datetime]) -> None:
    """At the instant of signing the block counts, a microsecond before it does not."""
    tick = timedelta(microseconds=1)
    with transaction() as session:
        for position, moment in enumerate(signed, 1):
            assert service.known_position(session, moment) == position
            assert service.known_position(session, moment - tick) == position - 1
        assert service.known_position(session, datetime(2020, 1, 1, tzinfo=UTC)) == 0
        assert service.known_position(session, 2) == 2
        assert service.known_position(session, None) is None
        with pytest.raises(NotYetKnown, match="Nobody knows yet"):
            service.known_position(session, datetime.now(UTC) + timedelta(hours=1))


def test_a_block_that_is_signed_and_not_committed_is_waited_for(
    client: FlaskClient, signed: list[datetime], drafts: Drafts, tmp_path: Path
) -> None:
    """Else the same time would be one position now and the next one a moment later."""
    key = open_signer(tmp_path / "seal-key")
    with transaction() as session:
        entry = drafts.journal("j-9", ("7830", 9_00), ("1920", -9_00))
        service.post_batch(session, drafts.batch("b-9", entry))
    told: Queue[tuple[str, int]] = Queue()

    def ask(moment: datetime) -> None:
        body = client.get(f"/api/v1/balances?known_as_of={quote(moment.isoformat())}").json
        told.put((body["accounts"][0]["balance"], body["known_as_of"]))

    with transaction() as session:
        sealed = service.seal(session, key)
        assert sealed.block is not None
        asking = Thread(target=ask, args=(sealed.block.signed_at,))
        asking.start()
        # A time before the last block that stands is not concerned: it is answered at once.
        with transaction() as reader:
            assert service.known_position(reader, signed[1]) == 2
        with pytest.raises(Empty):
            told.get(timeout=0.3)
    asking.join(30)
    assert told.get_nowait() == ("-12.00", 4)
    with transaction() as session:
        assert service.known_position(session, sealed.block.signed_at) == 4


@pytest.mark.parametrize(
    "written",
    ["", "yesterday", "-1", "1.5", str(2**63), "2026-04-01", "2026-04-01T08:00:00", "1e3", "٣"],
)
def test_what_is_neither_position_nor_time_is_refused(written: str) -> None:
    """A time without its offset is of nowhere."""
    with pytest.raises(Invalid, match="neither a seal position nor a time"):
        service.read_known(written)


def test_rest_and_commands_echo_the_position(client: FlaskClient, signed: list[datetime]) -> None:
    """Every read that takes the clock takes a time too, whatever its offset, and shows no later."""
    when = signed[1].isoformat()
    for path in ("balances", "entries", "open-items", "allocations", "accounts/1920/statement",
                 "balance-sheet", "entries/JNL/2026/1", "parties/1/statement", f"entries/{1 << 20}",
                 f"entries/{1 << 20}/reversals"):  # fmt: skip
        told = client.get(f"/api/v1/{path}?known_as_of={quote(when)}").json
        assert (told["known_as_of"], told["sealed"]) == (2, True), path
    # A plus sign that nobody escaped is a blank when it arrives.
    listed = client.get(f"/api/v1/entries?known_as_of={when}").json["entries"]
    assert [entry["source_ref"] for entry in listed] == ["j-1", "j-0"]
    late = quote((datetime.now(UTC) + timedelta(days=1)).isoformat())
    assert code_of(client.get(f"/api/v1/balances?known_as_of={late}")) == (422, "not-yet-known")
    nowhere = client.get("/api/v1/balances?known_as_of=2026-04-01T08:00:00")
    assert code_of(nowhere) == (422, "schema-mismatch")
    for report in (["balance"], ["statement", "1920"], ["journal"], ["balance-sheet"]):
        run = CliRunner().invoke(ledger_cli, [*report, "--known-as-of", when, "--json"])
        assert json.loads(run.output)["known_as_of"] == 2, report


def test_pages_behind_a_time_stay_at_its_position(
    client: FlaskClient, signed: list[datetime]
) -> None:
    """The link names the position that the time came to."""
    when = quote(signed[2].isoformat())
    for path in ("entries", "accounts/1920/statement"):
        page = client.get(f"/api/v1/{path}?limit=2&known_as_of={when}").json
        assert "known_as_of=3" in page["next"], path
        following = client.get(page["next"])
        assert (following.status_code, following.json["next"]) == (200, None), path
