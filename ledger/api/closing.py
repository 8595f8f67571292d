"""The close of a month over REST: its checklists with their evidence, waivers, and the close."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask.views import MethodView
from marshmallow import Schema, fields, validate

from ledger.api.periods import etag_header, require_period, states_of
from ledger.closing import STATES
from ledger.db import transaction
from ledger.service import checklists, closing
from ledger.service.checklists import Checklist
from ledger.web import Blueprint, current_actor, scope
from ledger.web.fields import BookSchema, IdempotencyKeySchema
from ledger.web.once import once

blueprint = Blueprint(
    "ledger-closing", __name__, url_prefix="/api/v1",
    description="The checks of a month, their evidence, and its close",
)  # fmt: skip


class CheckSchema(Schema):
    """What a check found. An open one can be waived, a blocked one has to be put right."""

    code = fields.String(required=True)
    title = fields.String(required=True)
    state = fields.String(required=True, validate=validate.OneOf(STATES))
    detail = fields.String(required=True)
    figures = fields.Dict(
        required=True, attribute="finding.figures",
        metadata={"description": "Counts are integers, amounts decimal strings; `rows` names at "
                                 "most 100 cases."},
    )  # fmt: skip
    result_hash = fields.Function(lambda one: one.result_hash.hex(), required=True)
    waived_by = fields.String(
        required=True, allow_none=True, attribute="waiver.actor", dump_default=None
    )
    waived_because = fields.String(
        required=True, allow_none=True, attribute="waiver.reason", dump_default=None
    )


class ChecklistSchema(Schema):
    """Evidence of a look at a month: kept as it was, sealed like other facts."""

    checklist_id = fields.Integer(required=True)
    book = fields.String(required=True)
    period = fields.String(required=True)
    closes_as = fields.String(required=True, allow_none=True)
    actor = fields.String(required=True)
    known_as_of = fields.Integer(required=True)
    recorded_at = fields.AwareDateTime(required=True)
    content_hash = fields.Function(lambda one: one.content_hash.hex(), required=True)
    checks = fields.List(fields.Nested(CheckSchema), required=True, attribute="results")


class ChecklistsArguments(BookSchema):
    """Which checklists of a month are wanted, newest first."""

    closing = fields.Boolean(
        load_default=False, metadata={"description": "Only those that the month was closed on."}
    )
    limit = fields.Integer(load_default=100, validate=validate.Range(1, 1000))


class ChecklistsSchema(Schema):
    """The evidence of a month, newest first."""

    checklists = fields.List(fields.Nested(ChecklistSchema), required=True)


class WaiverRequestSchema(Schema):
    """Which check of the list may pass as it was found, and why."""

    check = fields.String(required=True)
    reason = fields.String(required=True, validate=validate.Length(1, 2_000))


class WaiverSchema(Schema):
    """A waiver: it holds while the check finds the very same."""

    waiver_id = fields.Integer(required=True)
    actor = fields.String(required=True)
    reason = fields.String(required=True)


class CloseSchema(BookSchema):
    """How the period is to be closed."""

    level = fields.String(
        load_default="soft", validate=validate.OneOf(closing.CLOSED_AS),
        metadata={"description": "A hard lock has no inverse."},
    )  # fmt: skip


class ClosedSchema(Schema):
    """What became of a close; `already`: nothing was left to do, nothing was written."""

    period = fields.String(required=True)
    level = fields.String(required=True)
    already = fields.Boolean(required=True)
    checklist = fields.Nested(ChecklistSchema, required=True, allow_none=True)


@blueprint.route("/periods/<period>/checklist")
class PeriodChecklist(MethodView):
    """What the checks of a month find."""

    @scope("ledger:read")
    @blueprint.arguments(BookSchema, location="query")
    @blueprint.response(HTTPStatus.OK, ChecklistSchema)
    def get(self, wanted: dict[str, str], period: str) -> Checklist:
        """Show the newest checklist that was kept; nothing is looked at anew."""
        with transaction() as session:
            states_of(session, wanted["book"], period)
            return checklists.latest_checklist(session, wanted["book"], period)

    @scope("periods:close")
    @once
    @blueprint.arguments(BookSchema)
    @blueprint.arguments(IdempotencyKeySchema, location="headers")
    @blueprint.response(HTTPStatus.CREATED, ChecklistSchema)
    def post(self, wanted: dict[str, str], headers: dict[str, str], period: str) -> Checklist:
        """Run every check of the month and keep what was found; nothing is locked."""
        del headers  # `once` has looked at the key.
        with transaction() as session:
            return closing.run_checklist(
                session, wanted["book"], period, actor=current_actor().reference
            )


@blueprint.route("/periods/<period>/checklists")
class PeriodChecklists(MethodView):
    """All evidence of a month."""

    @scope("ledger:read")
    @blueprint.arguments(ChecklistsArguments, location="query")
    @blueprint.response(HTTPStatus.OK, ChecklistsSchema)
    def get(self, wanted: dict[str, Any], period: str) -> dict[str, Any]:
        """List the checklists of a month that were kept, or those that it was closed on."""
        with transaction() as session:
            states_of(session, wanted["book"], period)
            found = checklists.list_checklists(
                session, wanted["book"], period, only_closing=wanted["closing"],
                limit=wanted["limit"],
            )  # fmt: skip
        return {"checklists": found}


@blueprint.route("/checklists/<int:checklist_id>")
class OneChecklist(MethodView):
    """One piece of evidence."""

    @scope("ledger:read")
    @blueprint.response(HTTPStatus.OK, ChecklistSchema)
    def get(self, checklist_id: int) -> Checklist:
        """Show a checklist as it was kept."""
        with transaction() as session:
            return checklists.read_checklist(session, checklist_id)


@blueprint.route("/checklists/<int:checklist_id>/waivers")
class Waivers(MethodView):
    """Letting an open check pass."""

    @scope("periods:waive")
    @once
    @blueprint.arguments(WaiverRequestSchema)
    @blueprint.arguments(IdempotencyKeySchema, location="headers")
    @blueprint.response(HTTPStatus.CREATED, WaiverSchema)
    def post(self, said: dict[str, str], headers: dict[str, str], checklist_id: int) -> Any:
        """Waive an open check of the list, for as long as it finds the very same."""
        del headers
        with transaction() as session:
            return closing.waive_check(
                session, checklist_id, said["check"], actor=current_actor().reference,
                reason=said["reason"],
            )  # fmt: skip


@blueprint.route("/periods/<period>/close")
class ClosePeriod(MethodView):
    """Closing a month."""

    @scope("periods:close")
    @once
    @blueprint.arguments(CloseSchema)
    @blueprint.arguments(IdempotencyKeySchema, location="headers")
    @blueprint.response(HTTPStatus.OK, ClosedSchema)
    def post(self, said: dict[str, str], headers: dict[str, str], period: str) -> Any:
        """Run the checks and lock every module, if nothing is in the way; needs If-Match."""
        del headers
        with transaction() as session:
            require_period(session, said["book"], period)
            done = closing.close_period(
                session, said["book"], period, level=said["level"], actor=current_actor().reference
            )
            return done, HTTPStatus.OK, etag_header(session, said["book"], period)
