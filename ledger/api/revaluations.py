"""Differences of exchange over REST: what a day's rates make of items and holdings, posted."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask.views import MethodView
from marshmallow import Schema, fields

from ledger.db import transaction
from ledger.service import revaluation
from ledger.web import Blueprint, current_actor, scope
from ledger.web.fields import BookSchema, Day, IdempotencyKeySchema, Money
from ledger.web.once import once

blueprint = Blueprint(
    "ledger-revaluations", __name__, url_prefix="/api/v1", description="Differences of exchange"
)


class RevaluationSchema(BookSchema):
    """The day whose closing rates count."""

    effective_date = Day(required=True)
    dry_run = fields.Boolean(load_default=False)


class DifferenceSchema(Schema):
    """What a holding is worth more than it is booked, in the book's own currency."""

    account = fields.String(required=True)
    party_id = fields.Integer(required=True, allow_none=True)
    currency = fields.String(required=True)
    difference = Money(required=True, attribute="difference_minor")


class RevaluedSchema(RevaluationSchema):
    """The differences that were posted, or would be."""

    realised = fields.List(fields.Nested(DifferenceSchema), required=True)
    unrealised = fields.List(fields.Nested(DifferenceSchema), required=True)


@blueprint.route("/revaluations")
class Revaluations(MethodView):
    """Realised and unrealised differences."""

    @scope("periods:close")
    @once
    @blueprint.arguments(RevaluationSchema)
    @blueprint.arguments(IdempotencyKeySchema, location="headers")
    @blueprint.response(HTTPStatus.OK, RevaluedSchema)
    def post(self, wanted: dict[str, Any], _headers: dict[str, str]) -> dict[str, Any]:
        """Post what is not posted yet of a day; posting it again finds nothing left."""
        with transaction() as session:
            found = revaluation.revalue(
                session, wanted["book"], wanted["effective_date"],
                actor=current_actor().reference, dry_run=wanted["dry_run"],
            )  # fmt: skip
        return {**wanted, "realised": found.realised, "unrealised": found.unrealised}
