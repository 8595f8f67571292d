"""Posting through REST, 1,000 entries a request, beside the same entries posted in process.

    python -m benchmarks.bench_rest_bulk

A request is JSON to POST /api/v1/posting-batches with the token of a program, control totals and an
Idempotency-Key: parsed and checked field by field, posted atomically, stored for replay, and
answered with a result for each entry. It is called through WSGI in this process, so that the
network and a web server are in neither side; garbage is collected as in a process of the server. In
process the drafts are made before the clock starts. Entries are invoices of three lines with party,
VAT and open item.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

import structlog
from flask import Flask
from flask.testing import FlaskClient

from benchmarks.books import fresh_books, invoices, line_count, post, posting_backend
from benchmarks.measure import ROUNDS, spent, tell, tell_ratio
from ledger import api, db, web
from ledger.journal import BatchDraft, EntryDraft, totals_of
from ledger.money import format_amount
from ledger.service import access
from ledger.web.worker import spare_the_program

ENTRIES = 1_000
REQUESTS = 5  # A round, on either side.


def main() -> None:
    """Post the same number of entries either way, alternating, and print the ratio."""
    with fresh_books():
        client = _client()
        found: dict[str, list[float]] = {
            "rest": [],
            "process": [],
            "rest cpu": [],
            "process cpu": [],
        }
        lines = 0
        for number in range(ROUNDS + 1):
            drafts = [invoices(f"p{number}-{n}", 3 * ENTRIES) for n in range(REQUESTS)]
            bodies = {f"r{number}-{n}": _body(invoices(f"r{number}-{n}", 3 * ENTRIES))
                      for n in range(REQUESTS)}  # fmt: skip
            lines = sum(map(line_count, drafts))
            backend = posting_backend()
            for name, work in (
                ("rest", partial(_send, client, bodies)), ("process", partial(_post, drafts)),
            ):  # fmt: skip
                clock, cpu = spent(work, backend)
                if number:
                    found[name].append(lines / clock)
                    found[f"{name} cpu"].append(lines / cpu)
    print(f"rest_bulk: {ENTRIES:,} entries of 3 lines a request, {REQUESTS} requests a round; one "
          "caller")  # fmt: skip
    tell("through REST, WSGI in this process", found["rest"], "lines/s")
    tell("post_batch and commit", found["process"], "lines/s")
    tell_ratio("ratio", found["rest"], found["process"], digits=2)
    tell_ratio("ratio of CPU", found["rest cpu"], found["process cpu"], digits=2)


def _client() -> FlaskClient:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    app = Flask("bench", static_folder=None)
    app.config["SECRET_KEY"] = "only for this benchmark"
    api.register(web.install(app))
    spare_the_program()
    with db.transaction() as session:
        token = access.add_client(
            session, "billing", ["ledger:post"], actor="bench", now=datetime.now(UTC)
        )
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


def _post(drafts: list[BatchDraft]) -> None:
    for draft in drafts:
        post(draft)


def _send(client: FlaskClient, bodies: dict[str, bytes]) -> None:
    for key, body in bodies.items():
        headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
        answer = client.post("/api/v1/posting-batches", data=body, headers=headers)
        if answer.status_code != 201 or b'"posted":%d,' % ENTRIES not in answer.data:
            raise SystemExit(f"Not posted: {answer.text[:500]}")


def _body(draft: BatchDraft) -> bytes:
    """Write a batch as the JSON that a sender would."""
    held = totals_of(draft.entries)
    debits = {currency: format_amount(debit) for currency, debit in held.debits.items()}
    return json.dumps({
        "declared": {"entries": held.entries, "lines": held.lines, "debits": debits},
        "entries": [_entry(entry) for entry in draft.entries],
    }).encode()  # fmt: skip


def _entry(entry: EntryDraft) -> dict[str, Any]:
    lines = []
    for line in entry.lines:
        told: dict[str, Any] = {"account": line.account, "amount": format_amount(line.amount_minor),
                                "party_id": line.party_id, "vat_code": line.vat_code}  # fmt: skip
        if line.tax_base_minor is not None:
            told["tax_base"] = format_amount(line.tax_base_minor)
        if line.item is not None:
            told["item"] = {
                "kind": line.item.kind, "document_ref": line.item.document_ref,
                "document_date": _day(line.item.document_date),
                "due_date": _day(line.item.due_date), "kid": line.item.kid,
            }  # fmt: skip
        lines.append(told)
    return {
        "effective_date": _day(entry.effective_date), "text": entry.text, "lines": lines,
        "series": entry.series, "entry_type": entry.entry_type, "source_ref": entry.source_ref,
        "document_ref": entry.document_ref,
    }  # fmt: skip


def _day(day: date) -> str:
    return day.isoformat()


if __name__ == "__main__":
    main()
