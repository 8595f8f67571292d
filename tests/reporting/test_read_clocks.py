"""Every read of the API takes both clocks and says what they came to, or is listed with why."""

from __future__ import annotations

import csv
import re
from datetime import UTC, datetime, timedelta
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from flask.testing import FlaskClient

from ledger import service as ledger
from ledger.access import SCOPES
from ledger.db import transaction
from ledger.journal import BatchDraft
from ledger.service import access
from ledger.service.assertions import Assertion, assert_balance
from ledger.service.signing import open_signer
from ledger.web import tabled
from reporting.formats import xlsx
from tests.ledger.conftest import Drafts, seal_all
from tests.reporting.desk_books import BOOK, MARCH_END
from tests.reporting.test_desk import INVOICE, enter, make_app
from tests.reporting.test_desk import client as _client

client = _client

# Why reads take no clocks, with the reads that this is true of, each by its whole address.
WITHOUT_CLOCKS = {
    "Registers: their rows are dated themselves, and sealed by copy without a position.": (
        "accounts", "accounts/{account}", "accounts/{account}/versions", "approval-rules", "books",
        "books/{book}", "currencies", "dimensions", "exchange-rates", "posting-rules", "vat-codes",
        "vat-codes/{code}", "voucher-gaps", "voucher-series",
    ),
    "Who may ask, which is nothing that the books hold.": ("clients",),
    "Locks: each names its instant, and whoever asks wants to know what may be posted now.": (
        "periods", "periods/{period}", "periods/{period}/checklist",
    ),
    "Work that is not in the books yet, or never will be.": (
        "drafts", "drafts/{draft_id}", "drafts/{draft_id}/attachments/{sha256}",
        "drafts/{draft_id}/versions", "posting-batches/{request_id}",
        "posting-batches/{request_id}/results", "webhooks", "webhooks/{webhook_id}",
    ),
    "Evidence that names the seal or the hash it stands under, the same for ever.": (
        "checklists/{checklist_id}", "entries/{series}/{year}/{number}/proof", "events",
        "invoices/{number}/pdf", "periods/{period}/checklists", "seals", "seals/key",
        "seals/{block_no}",
    ),
    "Facts of the rooms above the journal, which no batch carries and no seal numbers.": (
        "customers", "customers/{party_id}", "files", "files/{file_id}", "suspense", "tariffs",
        "tariffs/{name}/{version}", "tariffs/{name}/{version}/changes",
        "tariffs/{name}/{version}/file",
    ),
}  # fmt: skip
# The catalogue is another's standard, whose arguments are given; tariffs are dated themselves.
_NOT_OURS = "/tmf-api/"
CLOCKS = {"effective_as_of", "known_as_of"}
# The day of these is in their address; their other clock is asked for like everybody's.
DAY_IN_ADDRESS = {"/api/v1/years/{year}"}


def _echoed(read: dict[str, Any], schemas: dict[str, Any]) -> set[str]:
    """The properties of what a read answers."""
    schema = read["responses"]["200"]["content"]["application/json"]["schema"]
    return set(schemas[schema["$ref"].rpartition("/")[2]]["properties"])


def test_every_read_takes_and_echoes_both_clocks(db: str) -> None:
    """A new read has the clocks, or a reason in the list above; no reason outlives its read."""
    spec = make_app().test_client().get("/api/v1/openapi.json").json
    reads = {path: verbs["get"] for path, verbs in spec["paths"].items() if "get" in verbs}
    excepted = {f"/api/v1/{path}" for paths in WITHOUT_CLOCKS.values() for path in paths}
    assert excepted | DAY_IN_ADDRESS <= reads.keys()
    ours = {path for path in reads if not path.startswith(_NOT_OURS)}
    for path in sorted(ours - excepted):
        read = reads[path]
        taken = {one["name"] for one in read.get("parameters", []) if one.get("in") == "query"}
        wanted = CLOCKS - ({"effective_as_of"} if path in DAY_IN_ADDRESS else set())
        assert taken >= wanted | {"book"}, f"{path} takes only {sorted(taken)}"
        echoed = _echoed(read, spec["components"]["schemas"])
        assert echoed >= CLOCKS | {"book", "sealed"}, f"{path} does not say what it read"


def test_an_argument_that_an_address_does_not_know_is_refused(client: FlaskClient) -> None:
    """On every address: a misspelt clock or book is not answered with figures of another day."""
    with transaction() as session:
        token = access.add_client(
            session, "auditor", list(SCOPES), actor="test", now=datetime.now(UTC)
        )
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    asked = 0
    for rule in client.application.url_map.iter_rules():
        if not rule.rule.startswith("/api/v1/") or "GET" not in (rule.methods or ()):
            continue
        if rule.endpoint.startswith("api-docs"):
            continue
        path = re.sub("<[^>]*>", lambda part: "1" if "int:" in part[0] else "x", rule.rule)
        refused = client.get(f"{path}?effectve_as_of=2026-01-31")
        assert refused.status_code == 422, path
        assert [e["pointer"] for e in refused.json["errors"]] == ["/query/effectve_as_of"]
        asked += 1
    assert asked > 40
    twice = client.get("/api/v1/trial-balance?book=NO01&book=NO02")
    assert twice.json["errors"] == [
        {"pointer": "/query/book", "detail": "It is said more than once."}
    ]
    other = client.get("/api/v1/trial-balance?buk=NO02").json["errors"]
    assert other[0]["detail"] == (
        "Unknown argument. This address knows book, effective_as_of, known_as_of."
    )


FROZEN = (
    "trial-balance", "aging", "invoices", f"invoices/{INVOICE}", "years/2026",
    "periods/2026-03/late-postings", "balance-assertions",
)  # fmt: skip


def _seal(tmp_path: Path) -> int:
    """Seal everything; gives the last position."""
    seal_all(open_signer(tmp_path / "seal-key"))
    with transaction() as session:
        return ledger.resolve_known(session, None).last_position


def _close_billing() -> None:
    """Close March for bills, but for one person, and say what customers owe by then."""
    said = Assertion("1500", "NOK", MARCH_END, 123456, "count of bills")
    soon = datetime.now(UTC) + timedelta(hours=1)
    with transaction() as session:
        assert_balance(session, BOOK, said, actor="test")
        module = {"module": "BILLING", "reason": "billed"}
        ledger.lock_period(session, BOOK, "2026-03", **module, level="soft", actor="test")
        ledger.grant_exception(
            session, BOOK, "2026-03", **module, actor="tester", granted_by="test", expires_at=soon
        )


def _bill_late() -> None:
    """Charge a customer after the seal, into the closed March."""
    with transaction() as session:
        entry = Drafts().invoice("late-1", party=7)
        ledger.post_batch(session, BatchDraft(BOOK, "test", "late", "tester", (entry,)))


def test_what_was_known_stays_what_it_was(client: FlaskClient, tmp_path: Path) -> None:
    """The figures of a position are the same whatever is posted later; without it they move."""
    enter(client, "auditor")
    _close_billing()
    position = _seal(tmp_path)
    asked = {path: f"/api/v1/{path}?known_as_of={position}" for path in FROZEN}
    before = {path: client.get(address).json for path, address in asked.items()}
    for path in FROZEN:
        now = client.get(f"/api/v1/{path}").json
        assert (now["book"], now["known_as_of"], now["sealed"]) == (BOOK, position, True), path
        assert before[path] == now
    assert before["aging"]["effective_as_of"] == "2026-04-20"
    assert before["years/2026"]["effective_as_of"] == "2026-12-31"
    _bill_late()
    assert {path: client.get(address).json for path, address in asked.items()} == before
    for path in set(FROZEN) - {"invoices", f"invoices/{INVOICE}"}:
        now = client.get(f"/api/v1/{path}").json
        assert (now["known_as_of"], now["sealed"]) == (None, False)
        assert now != before[path], path
    late = client.get("/api/v1/periods/2026-03/late-postings").json["late"]
    assert [one["voucher"]["number"] for one in late] == [3]


def test_before_the_first_seal_nothing_was_known(client: FlaskClient) -> None:
    """No bill, no claim, no turnover; a position that no seal has reached is refused."""
    enter(client, "auditor")
    assert client.get("/api/v1/invoices?known_as_of=0").json["invoices"] == []
    absent = client.get(f"/api/v1/invoices/{INVOICE}?known_as_of=0")
    assert (absent.status_code, "by seal position 0" in absent.json["detail"]) == (404, True)
    assert client.get("/api/v1/trial-balance?known_as_of=0").json["rows"] == []
    aging = client.get("/api/v1/aging?known_as_of=0").json
    assert (aging["rows"], aging["balance"], aging["control"]) == ([], "0.00", {})
    for path in FROZEN:
        refused = client.get(f"/api/v1/{path}?known_as_of=99")
        assert (refused.status_code, refused.json["type"]) == (422, "/problems/not-yet-known")
        assert client.get(f"/api/v1/{path}?known_as_of=soon").status_code == 422
        # A time is good too: it names the last block that was signed by then.
        then = client.get(f"/api/v1/{path}?known_as_of=2026-01-01T00:00:00%2B01:00")
        assert then.status_code == (404 if INVOICE in path else 200)


@pytest.mark.parametrize(
    ("path", "sheet", "heading"),
    [("trial-balance", "Trial balance", "Balance"), ("aging", "Aging list", "Balance"),
     ("invoices", "Invoices", "Gross")],
)  # fmt: skip
def test_a_table_is_the_json_by_another_name(
    client: FlaskClient, tmp_path: Path, path: str, sheet: str, heading: str
) -> None:
    """CSV and workbook hold the rows of the JSON, and name book, day and seal they stand under."""
    enter(client, "auditor")
    position = _seal(tmp_path)
    address = f"/api/v1/{path}?known_as_of={position}&effective_as_of=2026-04-30"
    body = client.get(address).json
    listed = body.get("rows", body.get("invoices"))
    answer = client.get(address, headers={"Accept": tabled.CSV})
    assert answer.headers["Content-Disposition"].endswith("-NO01-2026-04-30.csv")
    rows = list(csv.reader(StringIO(answer.text)))
    at = rows[0].index(heading)
    assert [row[at] for row in rows[1:]] == [one[heading.lower()] for one in listed]
    content = client.get(address, headers={"Accept": xlsx.MEDIA_TYPE}).data
    book = openpyxl.load_workbook(BytesIO(content))
    assert book.sheetnames == ["Parameters", sheet]
    told = {row[0].value: row[1].value for row in book["Parameters"].iter_rows()}
    assert (told["Known as of seal position"], told["Sealed"]) == (position, "yes")
    shown = [row[at].value for row in book[sheet].iter_rows(min_row=2, max_row=len(listed) + 1)]
    assert [f"{amount:.2f}" for amount in shown] == [one[heading.lower()] for one in listed]


def test_a_table_of_invoices_is_whole(client: FlaskClient) -> None:
    """Pages are for JSON: a table goes to the end of the list."""
    enter(client, "auditor")
    page = client.get("/api/v1/invoices?limit=1")
    assert (len(page.json["invoices"]), page.json["next"]) == (1, INVOICE)
    table = client.get("/api/v1/invoices?limit=1", headers={"Accept": tabled.CSV})
    assert len(table.text.splitlines()) == 1 + 2
