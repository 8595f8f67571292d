"""The journal over REST: entries as a list and one by one, and their reversals."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from flask.views import MethodView
from marshmallow import Schema, fields, validate

from ledger import service
from ledger.access import check_program
from ledger.api import shapes
from ledger.api.clocks import (
    ClockArguments,
    NextSchema,
    PageArguments,
    ResolvedSchema,
    read_list,
    reading,
)
from ledger.api.entries import EntryPostedSchema, EntryViewSchema, VoucherSchema
from ledger.db import transaction
from ledger.refusals import AlreadyReversed
from ledger.service.journal_list import JournalFilter, list_entries
from ledger.web import Blueprint, current_actor, scope
from ledger.web.fields import DEFAULT_BOOK, BookSchema, Day, IdempotencyKeySchema, Money
from ledger.web.once import once
from ledger.web.tabled import tabled

blueprint = Blueprint(
    "ledger-journal", __name__, url_prefix="/api/v1", description="Entries and their reversals"
)


class JournalArguments(ClockArguments, PageArguments):
    """Which entries are wanted; account, party and amounts are of one and the same line."""

    first_day = Day(load_default=None)
    series = fields.String(load_default=None)
    account = fields.String(load_default=None)
    party_id = fields.Integer(load_default=None)
    entry_type = fields.String(load_default=None)
    source_system = fields.String(load_default=None)
    reference = fields.String(
        load_default=None, metadata={"description": "A whole source or document reference."}
    )
    text = fields.String(load_default=None, metadata={"description": "A part of the text."})
    least = Money(load_default=None)
    most = Money(load_default=None)
    newest = fields.Boolean(load_default=True)


class JournalRowSchema(Schema):
    """An entry in the list, with its debits per currency."""

    entry_id = fields.Integer(required=True)
    voucher = fields.Nested(VoucherSchema, required=True)
    effective_date = Day(required=True)
    document_date = Day(required=True)
    entry_type = fields.String(required=True)
    text = fields.String(required=True)
    source_system = fields.String(required=True)
    source_ref = fields.String(required=True)
    document_ref = fields.String(required=True, allow_none=True)
    line_count = fields.Integer(required=True)
    debit = fields.Dict(
        keys=fields.String(), values=Money(), required=True, attribute="debit_minor"
    )


class JournalSchema(ResolvedSchema, NextSchema):
    """A page of the journal."""

    entries = fields.List(fields.Nested(JournalRowSchema), required=True)


class EntrySchema(EntryViewSchema, ResolvedSchema):
    """An entry with its lines, and the clocks it was looked for by."""


class ReversalSchema(BookSchema):
    """Why an entry is to be undone, and on which day."""

    effective_date = Day(
        load_default=None, allow_none=True,
        metadata={"description": "Left out: the entry's own day, or the first open one after it."},
    )  # fmt: skip
    reason = fields.String(required=True, validate=validate.Length(1, 400))


class ReversalViewSchema(Schema):
    """The entry that undid another."""

    entry_id = fields.Integer(required=True)
    voucher = fields.Nested(VoucherSchema, required=True)
    effective_date = Day(required=True)
    text = fields.String(required=True)
    created_by = fields.String(required=True)
    recorded_at = fields.AwareDateTime(required=True)


class ReversalsSchema(ResolvedSchema):
    """The reversals of an entry: none, or the one there can be."""

    entry_id = fields.Integer(required=True)
    reversals = fields.List(fields.Nested(ReversalViewSchema), required=True)


@blueprint.route("/entries")
class Journal(MethodView):
    """The journal as a list."""

    @scope("ledger:read")
    @blueprint.arguments(JournalArguments, location="query")
    @blueprint.response(HTTPStatus.OK, JournalSchema)
    @tabled(blueprint, "journal", shapes.journal)
    def get(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """List entries in the order they were recorded, newest or oldest first."""
        newest = wanted.pop("newest")
        wanted["least_minor"], wanted["most_minor"] = wanted.pop("least"), wanted.pop("most")
        resolved, rows, following = read_list(
            wanted,
            lambda session, book, known, **place: list_entries(
                session, book, JournalFilter(**wanted), known, newest=newest, **place
            ),
        )
        return {**resolved, "entries": rows, "next": following}


@blueprint.route("/entries/<series>/<int:year>/<int:number>")
class Entry(MethodView):
    """One posted entry by its voucher number."""

    @scope("ledger:read")
    @blueprint.arguments(ClockArguments, location="query")
    @blueprint.response(HTTPStatus.OK, EntrySchema)
    def get(self, wanted: dict[str, Any], series: str, year: int, number: int) -> dict[str, Any]:
        """Show an entry with its lines."""
        with reading(wanted) as (session, resolved):
            entry = service.find_voucher(
                session, wanted["book"], series, year, number, wanted["effective_as_of"],
                wanted["known_as_of"],
            )  # fmt: skip
        return {**_members(entry), **resolved}


@blueprint.route("/entries/<int:entry_id>")
class EntryById(MethodView):
    """One posted entry by its id."""

    @scope("ledger:read")
    @blueprint.arguments(ClockArguments, location="query")
    @blueprint.response(HTTPStatus.OK, EntrySchema)
    def get(self, wanted: dict[str, Any], entry_id: int) -> dict[str, Any]:
        """Show an entry with its lines."""
        with reading(wanted) as (session, resolved):
            entry = service.read_entry(
                session, entry_id, wanted["effective_as_of"], wanted["known_as_of"],
                book=wanted["book"],
            )  # fmt: skip
        return {**_members(entry), **resolved}


@blueprint.route("/entries/<int:entry_id>/reversals")
class Reversals(MethodView):
    """Undoing an entry by its mirror."""

    @scope("ledger:read")
    @blueprint.arguments(ClockArguments, location="query")
    @blueprint.response(HTTPStatus.OK, ReversalsSchema)
    def get(self, wanted: dict[str, Any], entry_id: int) -> dict[str, Any]:
        """Show the reversal of an entry, if there is one."""
        with reading(wanted) as (session, resolved):
            clocks = (wanted["effective_as_of"], wanted["known_as_of"])
            entry = service.read_entry(session, entry_id, *clocks, book=wanted["book"])
            by = entry.reversed_by
            found = [] if by is None else [
                service.find_voucher(session, wanted["book"], by.series, by.year, by.number)
            ]  # fmt: skip
        return {**resolved, "entry_id": entry_id, "reversals": found}

    @scope("ledger:post")
    @once
    @blueprint.arguments(ReversalSchema)
    @blueprint.arguments(IdempotencyKeySchema, location="headers")
    @blueprint.response(HTTPStatus.CREATED, EntryPostedSchema)
    def post(self, wanted: dict[str, Any], headers: dict[str, str], entry_id: int) -> Any:
        """Reverse an entry, whole and once. A second reversal is refused and links to the first.

        For programs: a person writes a draft.
        """
        check_program(current_actor())
        actor = current_actor().reference
        try:
            with transaction() as session:
                service.read_entry(session, entry_id, book=wanted["book"])
                posted = service.reverse_entry(
                    session, entry_id, effective_date=wanted["effective_date"],
                    reason=wanted["reason"], actor=actor, source_ref=f"{actor}/{headers['key']}",
                )  # fmt: skip
        except AlreadyReversed as refusal:
            if by := refusal.facts.get("reversed_by"):
                refusal.facts["reversal"] = _address(wanted["book"], by)
            raise
        made = {
            "entry_id": posted.entry_ids[0],
            "batch_id": posted.batch_id,
            "voucher": posted.vouchers[0],
        }
        return made, HTTPStatus.CREATED, {"Location": _address(wanted["book"], posted.vouchers[0])}


def _address(book: str, voucher: object) -> str:
    """Say where an entry is read; every book has a voucher of that number, so it names its own."""
    of_book = "" if book == DEFAULT_BOOK else f"?{urlencode({'book': book})}"
    return f"/api/v1/entries/{voucher}{of_book}"


def _members(entry: service.EntryView) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in type(entry).__slots__}
