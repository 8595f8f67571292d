"""Posting many entries in one request: as JSON, NDJSON or columns, whole or entry by entry.

Marshmallow reads the query only; the lines are read by msgspec, which does not cost more than the
database does. docs/posting.md tells the forms.
"""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import Any

from flask import jsonify, request
from flask.views import MethodView
from marshmallow import Schema, fields, validate
from werkzeug.exceptions import UnsupportedMediaType

from ledger import service
from ledger.access import check_program
from ledger.conditions import Condition
from ledger.db import transaction
from ledger.errors import Invalid, Problem
from ledger.intake import Defaults, Drafted, Fault
from ledger.intake.bodies import (
    MAX_LINES_UNDECLARED,
    MODES,
    Envelope,
    PostingRequestMalformed,
    TotalsUndeclared,
    entries_of,
    envelope_of_query,
    pointer_of,
    read_envelope,
)
from ledger.intake.conditions import conditions_of
from ledger.intake.records import NothingToPost, fault_of, totals_drafted
from ledger.journal import Declared, check_declared
from ledger.money import format_amount, parse_amount
from ledger.refusals import EntryRefReused
from ledger.service.intake import Booked, Sender, check_now, post_drafted
from ledger.service.requests import accept_request, outcome_row, request_outcomes, request_state
from ledger.web import Blueprint, current_actor, scope
from ledger.web.fields import DEFAULT_BOOK, IdempotencyKeySchema
from ledger.web.gate import require_book_access
from ledger.web.once import once

blueprint = Blueprint(
    "posting-batches", __name__, url_prefix="/api/v1", description="Many entries in one request"
)

WAITED_FOR_LINES = 20_000  # More is worked off by a job: the caller gets 202 and asks again.
NDJSON = "application/x-ndjson"


class EntriesRefused(Invalid):
    """An atomic request holds entries that cannot be posted; nothing was.

    Raise as: f"{refused} of {read} entries cannot be posted, so none was; see errors.".
    """

    title = "Entries cannot be posted"


class BatchQuery(Schema):
    """Options of an NDJSON request; a JSON request carries them in its body."""

    book = fields.String(load_default=DEFAULT_BOOK, validate=validate.Length(1, 16))
    mode = fields.String(load_default="atomic", validate=validate.OneOf(MODES))
    dry_run = fields.Boolean(load_default=False)
    declared = fields.String(
        load_default=None,
        metadata={"description": '{"entries": 2, "lines": 4, "debits": {"NOK": "1000.00"}}'},
    )
    conditions = fields.String(
        load_default=None,
        metadata={"description": "JSON: what the books must be like before; docs/posting.md."},
    )


class BatchPostedSchema(Schema):
    """What became of a request; `results` are in the order of the entries."""

    read = fields.Integer(required=True)
    posted = fields.Integer(required=True)
    replayed = fields.Integer(required=True)
    refused = fields.Integer(required=True)
    lines = fields.Integer(required=True)
    debits = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    dry_run = fields.Boolean(required=True)
    results = fields.List(fields.Dict(), required=True)


class RequestStateSchema(Schema):
    """How far a request has come that a job works off."""

    request_id = fields.Integer(required=True)
    book = fields.String(required=True)
    ref = fields.String(required=True)
    done = fields.Boolean(required=True)
    posted = fields.Integer(required=True)
    replayed = fields.Integer(required=True)
    refused = fields.Integer(required=True)
    steps = fields.Integer(required=True)


class StepQuery(Schema):
    """Which part of the results."""

    step = fields.Integer(load_default=1, validate=validate.Range(min=1))


class StepSchema(Schema):
    """Results of one step, in the order of the entries."""

    request_id = fields.Integer(required=True)
    step = fields.Integer(required=True)
    next_step = fields.Integer(required=True, allow_none=True)
    results = fields.List(fields.Dict(), required=True)


@blueprint.route("/posting-batches")
class PostingBatches(MethodView):
    """Requests that post many entries."""

    @scope("ledger:post")
    @once
    @blueprint.arguments(BatchQuery, location="query")
    @blueprint.arguments(IdempotencyKeySchema, location="headers")
    @blueprint.response(HTTPStatus.CREATED, BatchPostedSchema)
    @blueprint.alt_response(
        HTTPStatus.OK, schema=BatchPostedSchema, success=True,
        description="Nothing new is in the books: a dry run, or everything was refused or known",
    )  # fmt: skip
    @blueprint.alt_response(
        HTTPStatus.ACCEPTED, schema=RequestStateSchema, success=True,
        description="A job works it off; Location says where to ask",
    )  # fmt: skip
    def post(self, query: dict[str, Any], headers: dict[str, str]) -> Any:
        """Post entries, all or (mode per-entry) those that can be; each key posts once.

        For programs: a person writes a draft.
        """
        check_program(current_actor())
        body = request.get_data(cache=True)
        envelope, body_format = _envelope(query, body)
        require_book_access(envelope.book)
        actor = current_actor().reference
        sender = Sender(envelope.book, f"REST:{actor}", actor)
        with transaction() as session:
            currency = service.functional_currency(session, envelope.book)
        read = list(entries_of(envelope, body, Defaults(headers["key"], currency)))
        _check_declared(envelope, read)
        if not read and envelope.declared is None:
            raise NothingToPost(
                "The request holds no entries; nothing was posted. Send them, or, where there are "
                "none to send, declare 0 entries."
            )
        lines = sum(one.line_count for one in read if isinstance(one, Drafted))
        conditions = conditions_of(envelope.conditions, currency)
        if lines > WAITED_FOR_LINES and envelope.mode == "per-entry" and not envelope.dry_run:
            if conditions:
                raise PostingRequestMalformed(
                    f"conditions: a request of more than {WAITED_FOR_LINES} lines is worked off in "
                    "steps, long after. Give them to its entries, or send it in parts."
                )
            return _accept(sender, headers["key"], body_format, body)
        outcomes = _post(sender, headers["key"], envelope, read, conditions)
        told = _told(envelope, read, outcomes)
        if envelope.dry_run or not told["posted"]:
            return told, HTTPStatus.OK
        return told


@blueprint.route("/posting-batches/<int:request_id>")
class PostingRequest(MethodView):
    """A request that a job works off."""

    @scope("ledger:post")
    @blueprint.response(HTTPStatus.OK, RequestStateSchema)
    def get(self, request_id: int) -> Any:
        """Say how far a request of yours has come."""
        with transaction() as session:
            return request_state(session, request_id, current_actor().reference)


@blueprint.route("/posting-batches/<int:request_id>/results")
class PostingResults(MethodView):
    """What became of each entry of a request."""

    @scope("ledger:post")
    @blueprint.arguments(StepQuery, location="query")
    @blueprint.response(HTTPStatus.OK, StepSchema)
    def get(self, query: dict[str, Any], request_id: int) -> dict[str, Any]:
        """Page through the results, step by step."""
        with transaction() as session:
            state = request_state(session, request_id, current_actor().reference)
            results = request_outcomes(session, request_id, query["step"])
        more = query["step"] < state.steps
        return {"request_id": request_id, "step": query["step"], "results": results,
                "next_step": query["step"] + 1 if more else None}  # fmt: skip


def _envelope(query: dict[str, Any], body: bytes) -> tuple[Envelope, str]:
    if request.mimetype == NDJSON:
        return envelope_of_query(
            query["book"], query["mode"], query["declared"], query["conditions"],
            dry_run=query["dry_run"],
        ), "ndjson"  # fmt: skip
    if request.mimetype != "application/json":
        raise UnsupportedMediaType(f"Send application/json or {NDJSON}.")
    if request.args:
        raise PostingRequestMalformed(
            f"{', '.join(request.args)}: options of a JSON request stand in its body, those of an "
            "NDJSON request in the query. See docs/posting.md."
        )
    envelope = read_envelope(body)
    return envelope, "entries" if envelope.entries is not None else "columns"


def _accept(sender: Sender, key: str, body_format: str, body: bytes) -> Any:
    with transaction() as session:
        number = accept_request(session, sender, key, body_format, body)
        state = request_state(session, number, sender.actor)
    answer = jsonify(RequestStateSchema().dump(state))
    answer.status_code = HTTPStatus.ACCEPTED
    answer.headers["Location"] = f"/api/v1/posting-batches/{number}"
    return answer


def _post(
    sender: Sender, key: str, envelope: Envelope, read: list[Drafted | Fault],
    conditions: tuple[Condition, ...],
) -> list[Booked | Fault]:  # fmt: skip
    faults = [one for one in read if isinstance(one, Fault)]
    drafted = [one for one in read if isinstance(one, Drafted)]
    each = envelope.mode == "per-entry"
    if faults and not each:
        raise EntriesRefused(
            f"{len(faults)} of {len(read)} entries cannot be posted, so none was; see errors.",
            errors=[_error(fault, envelope) for fault in faults],
        )  # fmt: skip

    def post() -> list[Booked | Fault]:
        with transaction() as session:
            booked = post_drafted(session, sender, key, drafted, each=each, conditions=conditions)
            if envelope.dry_run:
                check_now(session)
                session.rollback()
            return booked

    try:
        try:
            booked = post()
        except EntryRefReused:
            # Others may have posted these very entries meanwhile: then they are found this time.
            booked = post()
    except Problem as refusal:
        raise _placed(refusal, envelope) from refusal
    return sorted([*faults, *booked], key=lambda outcome: outcome.record)


def _placed(refusal: Problem, envelope: Envelope) -> Problem:
    """Add where in the body the entry stands that the books refuse."""
    record = refusal.facts.get("record")
    if isinstance(record, int):
        refusal.facts["errors"] = [_error(fault_of(record, "", refusal), envelope)]
    return refusal


def _error(fault: Fault, envelope: Envelope) -> dict[str, str]:
    in_columns = envelope.columns is not None
    return {"pointer": pointer_of(fault, in_columns=in_columns), "code": fault.code,
            "detail": fault.sentence}  # fmt: skip


def _check_declared(envelope: Envelope, read: list[Drafted | Fault]) -> None:
    """Hold a request to its control totals; a faulty entry counts, its lines cannot."""
    held = totals_drafted(one for one in read if isinstance(one, Drafted))
    told = envelope.declared
    if told is None:
        if held.lines > MAX_LINES_UNDECLARED:
            raise TotalsUndeclared(
                f"{held.lines} lines without control totals. Declare entries, lines and debits.",
                limit=MAX_LINES_UNDECLARED,
            )
        return
    debits = {currency: parse_amount(amount) for currency, amount in told.debits.items()}
    declared, held = Declared(told.entries, told.lines, debits), replace(held, entries=len(read))
    if any(isinstance(one, Fault) for one in read):
        declared = replace(declared, lines=held.lines, debits=held.debits)
    check_declared(declared, held)


def _told(
    envelope: Envelope, read: list[Drafted | Fault], outcomes: list[Booked | Fault]
) -> dict[str, Any]:
    drafts = {one.record: one for one in read if isinstance(one, Drafted)}
    booked = [one for one in outcomes if isinstance(one, Booked)]
    totals = totals_drafted(drafts[one.record] for one in booked)
    replayed = sum(one.replayed for one in booked)
    refs = {record: drafted.source_ref for record, drafted in drafts.items()}
    return {
        "read": len(read), "posted": len(booked) - replayed, "replayed": replayed,
        "refused": len(outcomes) - len(booked), "lines": totals.lines,
        "debits": {currency: format_amount(debit)
                   for currency, debit in sorted(totals.debits.items())},
        "dry_run": envelope.dry_run,
        "results": [
            outcome_row(one, refs.get(one.record), in_columns=envelope.columns is not None)
            for one in outcomes
        ],
    }  # fmt: skip
