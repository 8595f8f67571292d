"""The journal over REST: entries as a list and one by one, open items and their allocations."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask.views import MethodView
from marshmallow import Schema, fields

from ledger import service
from ledger.api.clocks import (
    ClockArguments,
    NextSchema,
    PageArguments,
    ResolvedSchema,
    next_link,
    reading,
)
from ledger.api.entries import EntryViewSchema, VoucherSchema
from ledger.service.journal_list import JournalFilter, list_entries
from ledger.web import Blueprint, scope
from ledger.web.fields import Money

blueprint = Blueprint(
    "ledger-journal", __name__, url_prefix="/api/v1", description="Entries and open items"
)


class JournalArguments(ClockArguments, PageArguments):
    """Which entries are wanted; account, party and amounts are of one and the same line."""

    first_day = fields.Date(load_default=None)
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
    effective_date = fields.Date(required=True)
    document_date = fields.Date(required=True)
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


class OpenItemArguments(ClockArguments):
    """Which open items are wanted."""

    party_id = fields.Integer(load_default=None)
    account = fields.String(load_default=None)
    settled = fields.Boolean(
        load_default=False, metadata={"description": "Also items of which nothing is left."}
    )


class OpenItemSchema(Schema):
    """A claim (positive) or a credit (negative), and what is left of it."""

    open_item_id = fields.Integer(required=True)
    party_id = fields.Integer(required=True, allow_none=True)
    account = fields.String(required=True)
    kind = fields.String(required=True)
    document_ref = fields.String(required=True)
    kid = fields.String(required=True, allow_none=True)
    document_date = fields.Date(required=True)
    due_date = fields.Date(required=True)
    currency = fields.String(required=True)
    original = Money(required=True, attribute="original_minor")
    outstanding = Money(required=True, attribute="outstanding_minor")
    entry_id = fields.Integer(required=True)


class OpenItemsSchema(ResolvedSchema):
    """Open items at the two clocks."""

    party_id = fields.Integer(required=True, allow_none=True)
    items = fields.List(fields.Nested(OpenItemSchema), required=True)


class AllocationSchema(Schema):
    """The use of a credit item against a debit item; negative where it was undone."""

    allocation_id = fields.Integer(required=True)
    credit_item_id = fields.Integer(required=True)
    debit_item_id = fields.Integer(required=True)
    amount = Money(required=True, attribute="amount_minor")
    effective_date = fields.Date(required=True)
    rule = fields.String(required=True)


class AllocationsSchema(ResolvedSchema):
    """The allocations of an open item, on either side."""

    open_item_id = fields.Integer(required=True)
    allocations = fields.List(fields.Nested(AllocationSchema), required=True)


@blueprint.route("/entries")
class Journal(MethodView):
    """The journal as a list."""

    @scope("ledger:read")
    @blueprint.arguments(JournalArguments, location="query")
    @blueprint.response(HTTPStatus.OK, JournalSchema)
    def get(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """List entries in the order they were recorded, newest or oldest first."""
        page_of = {name: wanted.pop(name) for name in ("after", "limit", "newest")}
        with reading(wanted) as (session, resolved):
            book, known = wanted.pop("book"), wanted.pop("known_as_of")
            wanted["least_minor"], wanted["most_minor"] = wanted.pop("least"), wanted.pop("most")
            page = list_entries(session, book, JournalFilter(**wanted), known, **page_of)
        return {**resolved, "entries": page.rows, "next": next_link(page.next_cursor)}


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
        told = {name: getattr(entry, name) for name in type(entry).__slots__}
        return {**told, **resolved}


@blueprint.route("/open-items")
class OpenItems(MethodView):
    """Claims and credits of which something is left."""

    @scope("receivables:read")
    @blueprint.arguments(OpenItemArguments, location="query")
    @blueprint.response(HTTPStatus.OK, OpenItemsSchema)
    def get(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """List what is outstanding at the end of a day."""
        account = wanted["account"]
        with reading(wanted) as (session, resolved):
            if account is not None:
                service.find_account(session, wanted["book"], account)
            items = service.open_items(
                session, wanted["book"], wanted["effective_as_of"], wanted["party_id"],
                known_as_of=wanted["known_as_of"], settled=wanted["settled"],
                accounts=None if account is None else [account],
            )  # fmt: skip
        return {**wanted, **resolved, "items": items}


@blueprint.route("/open-items/<int:open_item_id>/allocations")
class Allocations(MethodView):
    """What an open item was used for."""

    @scope("receivables:read")
    @blueprint.arguments(ClockArguments, location="query")
    @blueprint.response(HTTPStatus.OK, AllocationsSchema)
    def get(self, wanted: dict[str, Any], open_item_id: int) -> dict[str, Any]:
        """List the allocations of an item, oldest first."""
        clocks = (wanted["effective_as_of"], wanted["known_as_of"])
        with reading(wanted) as (session, resolved):
            service.require_item(session, wanted["book"], open_item_id)
            used = service.allocations_of(session, open_item_id, *clocks)
        return {**resolved, "open_item_id": open_item_id, "allocations": used}
