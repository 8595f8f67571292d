"""Fiscal years over REST: what accounts open and close with, and the close."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask.views import MethodView
from marshmallow import Schema, fields

from ledger.api.clocks import KnownArguments, ResolvedSchema, reading
from ledger.api.entries import VoucherSchema
from ledger.db import transaction
from ledger.service import year_end
from ledger.service.year_end import ClosedYear
from ledger.web import Blueprint, current_actor, scope
from ledger.web.fields import BookSchema, Day, IdempotencyKeySchema, Money
from ledger.web.once import once

blueprint = Blueprint(
    "ledger-years", __name__, url_prefix="/api/v1", description="Fiscal years"
)  # fmt: skip


class YearBalanceSchema(Schema):
    """An account in a year, in the book's own currency; debit positive."""

    account = fields.String(required=True)
    name = fields.String(required=True)
    account_class = fields.String(required=True, data_key="class")
    opening = Money(required=True, attribute="opening_minor")
    movement = Money(required=True, attribute="movement_minor")
    closing = Money(required=True, attribute="closing_minor")


class YearSchema(ResolvedSchema):
    """A fiscal year: income, expenses and disposals open at nothing, the rest with what it was.

    Its day is the last of the year, so only the other clock is asked for.
    """

    year = fields.Integer(required=True)
    first_day = Day(required=True)
    last_day = Day(required=True)
    closed_by = fields.Nested(VoucherSchema, required=True, allow_none=True)
    result = Money(required=True, attribute="result_minor")
    left_before = fields.Function(
        lambda year: Money().serialize("left", {"left": -year["left_before_minor"]}), required=True,
        metadata={"type": "string",
                  "description": "Results of earlier years that are not moved to equity."},
    )  # fmt: skip
    balances = fields.List(fields.Nested(YearBalanceSchema), required=True)


class ClosedYearSchema(Schema):
    """How a year is closed; `already`: nothing was left to do, nothing was written."""

    year = fields.Integer(required=True)
    result = Money(required=True, attribute="result_minor")
    voucher = fields.Nested(VoucherSchema, required=True, allow_none=True)
    already = fields.Boolean(required=True)


class OpenedYearSchema(BookSchema):
    """A year whose months are open; `opened` tells how many of them are new."""

    year = fields.Integer(required=True)
    opened = fields.Integer(required=True)


@blueprint.route("/years/<int:year>")
class OneYear(MethodView):
    """One fiscal year."""

    @scope("ledger:read")
    @blueprint.arguments(KnownArguments, location="query")
    @blueprint.response(HTTPStatus.OK, YearSchema)
    def get(self, wanted: dict[str, Any], year: int) -> dict[str, Any]:
        """Show what every account opened with, what moved, and what it closes with."""
        wanted["effective_as_of"] = None
        with reading(wanted) as (session, resolved):
            read = year_end.read_year(session, wanted["book"], year, wanted["known_as_of"])
        shown = {name: getattr(read, name) for name in read.__slots__}
        return {**resolved, **shown, "effective_as_of": read.last_day}


@blueprint.route("/years/<int:year>/open")
class OpenYear(MethodView):
    """Opening a year."""

    @scope("periods:close")
    @once
    @blueprint.arguments(BookSchema)
    @blueprint.arguments(IdempotencyKeySchema, location="headers")
    @blueprint.response(HTTPStatus.CREATED, OpenedYearSchema)
    @blueprint.alt_response(
        HTTPStatus.OK, schema=OpenedYearSchema, success=True,
        description="The twelve months are open already; nothing was written",
    )  # fmt: skip
    def post(self, wanted: dict[str, str], headers: dict[str, str], year: int) -> Any:
        """Open the twelve months of a year, so that it can be posted into."""
        del headers
        with transaction() as session:
            opened = year_end.open_year(
                session, wanted["book"], year, actor=current_actor().reference
            )
        told = {**wanted, "year": year, "opened": opened}
        return told, HTTPStatus.CREATED if opened else HTTPStatus.OK


@blueprint.route("/years/<int:year>/close")
class CloseYear(MethodView):
    """Closing a year."""

    @scope("periods:close")
    @once
    @blueprint.arguments(BookSchema)
    @blueprint.arguments(IdempotencyKeySchema, location="headers")
    @blueprint.response(HTTPStatus.OK, ClosedYearSchema)
    def post(self, wanted: dict[str, str], headers: dict[str, str], year: int) -> ClosedYear:
        """Move the result to equity, once; a second call finds the first and writes nothing."""
        del headers
        with transaction() as session:
            return year_end.close_year(
                session, wanted["book"], year, actor=current_actor().reference
            )
