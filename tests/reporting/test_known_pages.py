"""The desk as of what was known: by seal position or by the clock in Oslo, kept by every link."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from flask.testing import FlaskClient

from ledger import service as ledger
from ledger.db import transaction
from ledger.journal import BatchDraft, EntryDraft, Line
from ledger.service.signing import open_signer
from reporting.web.dates import OSLO
from tests.ledger.conftest import seal_all
from tests.reporting.desk_books import BOOK, MARCH_END
from tests.reporting.test_desk import PAGE, enter, text_of
from tests.reporting.test_desk import client as _client

client = _client


def test_the_books_are_shown_as_they_were_known(client: FlaskClient, tmp_path: Path) -> None:
    """A posting that came later does not show, on the balance, the account or its own page."""
    seal_all(open_signer(tmp_path / "seal-key"))
    with transaction() as session:
        position = ledger.resolve_known(session, None).last_position
        lines = (Line("7830", 77_00), Line("1920", -77_00))
        entry = EntryDraft("JNL", MARCH_END, MARCH_END, "import", "late", "Sent", lines)
        ledger.post_batch(session, BatchDraft(BOOK, "test", "late", "tester", (entry,)))
    enter(client, "accountant")
    assert "77,00" in text_of(client, "/trial-balance")
    known = f"known_as_of={position}"
    seen = client.get(f"/trial-balance?{known}", headers=PAGE).text
    assert ("77,00" in seen, f"at seal position {position} " in seen) == (False, True)
    assert f'href="/accounts/1500?{known}"' in seen
    assert "77,00" not in text_of(client, f"/accounts/7830?{known}")
    assert client.get(f"/entries/JNL/2026/1?{known}", headers=PAGE).status_code == 404
    # Before the first seal nothing was known, by the clock on the wall in Oslo.
    assert "Nothing is posted yet" in text_of(client, "/trial-balance?known_as_of=01.01.2026 08:00")
    later = (datetime.now(UTC) + timedelta(hours=1)).astimezone(OSLO).strftime("%d.%m.%Y %H:%M")
    refused = client.get(f"/trial-balance?known_as_of={later}", headers=PAGE)
    assert (refused.status_code, "Nobody knows yet" in refused.text) == (422, True)
    assert client.get("/trial-balance?known_as_of=soon", headers=PAGE).status_code == 422
    assert client.get(f"/trial-balance/excel?{known}").status_code == 200
