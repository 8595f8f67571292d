"""Open items over REST, and their use: allocations listed, made and undone."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask.views import MethodView
from marshmallow import Schema, fields, validate

from ledger import service
from ledger.api import shapes
from ledger.api.clocks import (
    ClockArguments,
    NextSchema,
    PageArguments,
    ResolvedSchema,
    read_list,
    reading,
)
from ledger.api.entries import currency_of
from ledger.db import transaction
from ledger.intake.conditions import read_conditions
from ledger.journal import AllocationDraft, BatchDraft
from ledger.service.item_list import (
    AllocationFilter,
    ItemFilter,
    allocations_of_batch,
    list_allocations,
    list_items,
    read_allocation,
)
from ledger.web import Blueprint, current_actor, scope
from ledger.web.fields import BookSchema, Day, IdempotencyKeySchema, Money, Whole, conditions_field
from ledger.web.once import once
from ledger.web.tabled import tabled

blueprint = Blueprint(
    "ledger-items", __name__, url_prefix="/api/v1", description="Open items and their allocations"
)
ALLOCATIONS_MAX = 1000


class OpenItemArguments(ClockArguments, PageArguments):
    """Which open items are wanted; days are included."""

    state = fields.String(
        load_default="open", validate=validate.OneOf(["open", "settled", "all"]),
        metadata={"description": "As the items stand at the end of the day."},
    )  # fmt: skip
    party_id = fields.Integer(load_default=None)
    account = fields.String(load_default=None)
    currency = fields.String(load_default=None, validate=Whole("^[A-Z]{3}$"))
    kind = fields.String(load_default=None)
    document_ref = fields.String(load_default=None)
    kid = fields.String(load_default=None)
    due_from = Day(load_default=None)
    due_to = Day(load_default=None)


class OpenItemSchema(Schema):
    """A claim (positive) or a credit (negative), and what is left of it."""

    open_item_id = fields.Integer(required=True)
    party_id = fields.Integer(required=True, allow_none=True)
    account = fields.String(required=True)
    kind = fields.String(required=True)
    document_ref = fields.String(required=True)
    kid = fields.String(required=True, allow_none=True)
    document_date = Day(required=True)
    due_date = Day(required=True)
    currency = fields.String(required=True)
    original = Money(required=True, attribute="original_minor")
    outstanding = Money(required=True, attribute="outstanding_minor")
    entry_id = fields.Integer(required=True)


class OpenItemsSchema(ResolvedSchema, NextSchema):
    """A page of open items at the two clocks."""

    party_id = fields.Integer(required=True, allow_none=True)
    items = fields.List(fields.Nested(OpenItemSchema), required=True)


class AllocationSchema(Schema):
    """The use of a credit item against a debit item; negative where one was undone."""

    allocation_id = fields.Integer(required=True)
    credit_item_id = fields.Integer(required=True)
    debit_item_id = fields.Integer(required=True)
    amount = Money(required=True, attribute="amount_minor")
    effective_date = Day(required=True)
    rule = fields.String(required=True, metadata={"description": "Why it was made, or undone."})
    reverses_allocation_id = fields.Integer(required=True, allow_none=True)
    batch_id = fields.Integer(required=True)
    created_by = fields.String(required=True)
    recorded_at = fields.AwareDateTime(required=True)


class AllocationViewSchema(AllocationSchema, ResolvedSchema):
    """An allocation, and the clocks it was looked for by."""


class ItemAllocationsSchema(ResolvedSchema):
    """The allocations of an open item, on either side."""

    open_item_id = fields.Integer(required=True)
    allocations = fields.List(fields.Nested(AllocationSchema), required=True)


class AllocationArguments(ClockArguments, PageArguments):
    """Which allocations are wanted; the party or the item may be on either side."""

    first_day = Day(load_default=None)
    party_id = fields.Integer(load_default=None)
    open_item_id = fields.Integer(load_default=None)


class AllocationsSchema(ResolvedSchema, NextSchema):
    """A page of allocations, oldest first."""

    allocations = fields.List(fields.Nested(AllocationSchema), required=True)


class NewAllocationSchema(Schema):
    """A credit item that is used against a debit item of the same party, account and currency."""

    credit_item_id = fields.Integer(required=True, validate=validate.Range(1, 2**63 - 1))
    debit_item_id = fields.Integer(required=True, validate=validate.Range(1, 2**63 - 1))
    amount = Money(required=True)
    effective_date = Day(required=True)
    rule = fields.String(
        load_default="manual", validate=validate.Length(1, 200),
        metadata={"description": "Why the two belong together."},
    )  # fmt: skip


class NewAllocationsSchema(BookSchema):
    """Allocations to make, all or none."""

    allocations = fields.List(
        fields.Nested(NewAllocationSchema), required=True,
        validate=validate.Length(1, ALLOCATIONS_MAX),
    )  # fmt: skip
    conditions = conditions_field(
        {"kind": "item-outstanding", "open_item_id": 1048577, "equals": "125.00"}
    )


class AllocatedSchema(Schema):
    """The allocations that were made."""

    batch_id = fields.Integer(required=True)
    allocations = fields.List(fields.Nested(AllocationSchema), required=True)


class UndoSchema(BookSchema):
    """Why and from which day an allocation is to be undone."""

    effective_date = Day(required=True)
    reason = fields.String(required=True, validate=validate.Length(1, 400))


@blueprint.route("/open-items")
class OpenItems(MethodView):
    """Claims and credits."""

    @scope("receivables:read")
    @blueprint.arguments(OpenItemArguments, location="query")
    @blueprint.response(HTTPStatus.OK, OpenItemsSchema)
    @tabled(blueprint, "open-items", shapes.open_items)
    def get(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """List items with what is outstanding at the end of a day."""
        resolved, rows, following = read_list(
            wanted,
            lambda session, book, known, **place: list_items(
                session, book, ItemFilter(**wanted), known, **place
            ),
        )
        return {**resolved, "party_id": wanted["party_id"], "items": rows, "next": following}


@blueprint.route("/open-items/<int:open_item_id>/allocations")
class ItemAllocations(MethodView):
    """What an open item was used for."""

    @scope("receivables:read")
    @blueprint.arguments(ClockArguments, location="query")
    @blueprint.response(HTTPStatus.OK, ItemAllocationsSchema)
    def get(self, wanted: dict[str, Any], open_item_id: int) -> dict[str, Any]:
        """List the allocations of an item, oldest first."""
        with reading(wanted) as (session, resolved):
            clocks = (wanted["effective_as_of"], wanted["known_as_of"])
            service.require_item(session, wanted["book"], open_item_id)
            used = service.allocations_of(session, open_item_id, *clocks)
        return {**resolved, "open_item_id": open_item_id, "allocations": used}


@blueprint.route("/allocations")
class Allocations(MethodView):
    """The use of credits against claims."""

    @scope("receivables:read")
    @blueprint.arguments(AllocationArguments, location="query")
    @blueprint.response(HTTPStatus.OK, AllocationsSchema)
    @tabled(blueprint, "allocations", shapes.allocations)
    def get(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """List allocations, oldest first."""
        resolved, rows, following = read_list(
            wanted,
            lambda session, book, known, **place: list_allocations(
                session, book, AllocationFilter(**wanted), known, **place
            ),
        )
        return {**resolved, "allocations": rows, "next": following}

    @scope("receivables:write")
    @once
    @blueprint.arguments(NewAllocationsSchema)
    @blueprint.arguments(IdempotencyKeySchema, location="headers")
    @blueprint.response(HTTPStatus.CREATED, AllocatedSchema)
    def post(self, wanted: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
        """Use credits against claims, all or none; no money moves.

        With `conditions` only if the books meet them, else 412 says what they are like.
        """
        actor = current_actor().reference
        drafted = tuple(
            AllocationDraft(
                one["credit_item_id"], one["debit_item_id"], one["amount"],
                one["effective_date"], one["rule"],
            )
            for one in wanted["allocations"]
        )  # fmt: skip
        batch = BatchDraft(
            wanted["book"], f"REST:{actor}", f"allocations/{headers['key']}", actor, (), drafted,
            conditions=read_conditions(wanted["conditions"], currency_of(wanted["book"])),
        )  # fmt: skip
        with transaction() as session:
            posted = service.allocate(session, batch)
            made = allocations_of_batch(session, posted.batch_id)
        return {"batch_id": posted.batch_id, "allocations": made}


@blueprint.route("/allocations/<int:allocation_id>")
class Allocation(MethodView):
    """One allocation."""

    @scope("receivables:read")
    @blueprint.arguments(ClockArguments, location="query")
    @blueprint.response(HTTPStatus.OK, AllocationViewSchema)
    def get(self, wanted: dict[str, Any], allocation_id: int) -> dict[str, Any]:
        """Show an allocation."""
        with reading(wanted) as (session, resolved):
            clocks = (wanted["effective_as_of"], wanted["known_as_of"])
            found = read_allocation(session, wanted["book"], allocation_id, *clocks)
        return {**{name: getattr(found, name) for name in type(found).__slots__}, **resolved}


@blueprint.route("/allocations/<int:allocation_id>/undo")
class Undo(MethodView):
    """Undoing an allocation by its opposite."""

    @scope("receivables:write")
    @once
    @blueprint.arguments(UndoSchema)
    @blueprint.arguments(IdempotencyKeySchema, location="headers")
    @blueprint.response(HTTPStatus.CREATED, AllocatedSchema)
    def post(
        self, wanted: dict[str, Any], headers: dict[str, str], allocation_id: int
    ) -> dict[str, Any]:
        """Undo an allocation from a day on, once; before that day it stands as it did."""
        actor = current_actor().reference
        with transaction() as session:
            read_allocation(session, wanted["book"], allocation_id)
            posted = service.undo_allocation(
                session, allocation_id, effective_date=wanted["effective_date"],
                reason=wanted["reason"], actor=actor, source_ref=f"{actor}/{headers['key']}",
            )  # fmt: skip
            made = allocations_of_batch(session, posted.batch_id)
        return {"batch_id": posted.batch_id, "allocations": made}
