"""Events over REST: the feed, and webhooks that are told of it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask.views import MethodView
from marshmallow import Schema, fields, validate

from ledger.db import transaction
from ledger.service import events, webhooks
from ledger.web import Blueprint, current_actor, scope
from ledger.web.fields import BookSchema, IdempotencyKeySchema
from ledger.web.once import once

blueprint = Blueprint(
    "events", __name__, url_prefix="/api/v1", description="The feed of events, and webhooks"
)


class FeedQuery(BookSchema):
    """Where to go on reading."""

    after = fields.Integer(
        load_default=0, validate=validate.Range(0, 2**62),
        metadata={"description": "The last position that was read; 0 from the beginning."},
    )  # fmt: skip
    limit = fields.Integer(load_default=100, validate=validate.Range(1, events.LIMIT_MAX))


class EventSchema(Schema):
    """Something that happened, at a seal position."""

    position = fields.Integer(required=True)
    block_no = fields.Integer(required=True)
    event_id = fields.Integer(required=True)
    event_type = fields.String(required=True)
    batch_id = fields.Integer(required=True)
    first_entry_id = fields.Integer(required=True)
    recorded_at = fields.AwareDateTime(required=True)
    content = fields.Dict(required=True)


class FeedSchema(FeedQuery):
    """Events in the order of their seal positions; read on behind `next_after`."""

    events = fields.List(fields.Nested(EventSchema), required=True)
    next_after = fields.Integer(required=True)


class NewWebhookSchema(BookSchema):
    """A receiver of events."""

    url = fields.String(required=True, metadata={"example": "https://billing.example/events"})


class WebhookSchema(Schema):
    """A receiver, and where it stands."""

    webhook_id = fields.Integer(required=True)
    book = fields.String(required=True)
    url = fields.String(required=True)
    created_at = fields.AwareDateTime(required=True)
    ended_at = fields.AwareDateTime(required=True, allow_none=True)
    delivered_to = fields.Integer(required=True)
    failed_attempts = fields.Integer(required=True)
    last_outcome = fields.String(required=True, allow_none=True)
    last_attempt_at = fields.AwareDateTime(required=True, allow_none=True)
    is_dead = fields.Boolean(required=True)


class WebhookMadeSchema(Schema):
    """A new receiver. The secret is shown only here; the same registration shows it again."""

    webhook_id = fields.Integer(required=True)
    secret = fields.String(required=True)


class WebhooksSchema(Schema):
    """The receivers of the caller."""

    webhooks = fields.List(fields.Nested(WebhookSchema), required=True)


class ReplaySchema(Schema):
    """From where a receiver is to be told again."""

    after = fields.Integer(required=True, validate=validate.Range(0, 2**62))


@blueprint.route("/events")
class Feed(MethodView):
    """What was posted."""

    @scope("ledger:read")
    @blueprint.arguments(FeedQuery, location="query")
    @blueprint.response(HTTPStatus.OK, FeedSchema)
    def get(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Read the events behind a position; nothing is ever skipped or shown out of order."""
        with transaction() as session:
            events.require_position(session, wanted["after"])
            found = events.events_after(session, wanted["book"], wanted["after"], wanted["limit"])
        following = found[-1].position if found else wanted["after"]
        return {**wanted, "events": found, "next_after": following}


@blueprint.route("/webhooks")
class Webhooks(MethodView):
    """Receivers of events."""

    @scope("webhooks:write")
    @blueprint.response(HTTPStatus.OK, WebhooksSchema)
    def get(self) -> dict[str, Any]:
        """List your receivers."""
        with transaction() as session:
            found = webhooks.webhooks(session, current_actor().reference)
        return {"webhooks": [one for one in found if current_actor().may_see(one.book)]}

    @scope("webhooks:write")
    @blueprint.arguments(NewWebhookSchema)
    @blueprint.arguments(IdempotencyKeySchema, location="headers")
    @blueprint.response(HTTPStatus.CREATED, WebhookMadeSchema)
    def post(self, wanted: dict[str, Any], _headers: dict[str, str]) -> dict[str, Any]:
        """Register a receiver of the events from now on; a repetition finds the one there is."""
        actor = current_actor().reference
        with transaction() as session:
            number, secret = webhooks.register(session, wanted["book"], wanted["url"], actor=actor)
        return {"webhook_id": number, "secret": secret}


@blueprint.route("/webhooks/<int:webhook_id>")
class Webhook(MethodView):
    """One receiver."""

    @scope("webhooks:write")
    @blueprint.response(HTTPStatus.OK, WebhookSchema)
    def get(self, webhook_id: int) -> Any:
        """Show where a receiver stands."""
        with transaction() as session:
            return webhooks.webhook(session, webhook_id, current_actor().reference)

    @scope("webhooks:write")
    @blueprint.response(HTTPStatus.NO_CONTENT)
    def delete(self, webhook_id: int) -> None:
        """End a receiver; what it was told stays on record."""
        actor = current_actor().reference
        with transaction() as session:
            webhooks.end(session, webhook_id, actor=actor, reason="ended over REST")


@blueprint.route("/webhooks/<int:webhook_id>/replays")
class Replays(MethodView):
    """Telling a receiver again."""

    @scope("webhooks:write")
    @once
    @blueprint.arguments(ReplaySchema)
    @blueprint.arguments(IdempotencyKeySchema, location="headers")
    @blueprint.response(HTTPStatus.ACCEPTED, WebhookSchema)
    def post(self, wanted: dict[str, Any], _headers: dict[str, str], webhook_id: int) -> Any:
        """Tell a receiver again what lies behind a position."""
        actor = current_actor().reference
        with transaction() as session:
            webhooks.replay(session, webhook_id, wanted["after"], actor=actor)
            return webhooks.webhook(session, webhook_id, actor)
