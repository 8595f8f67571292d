"""API clients over REST: which there are, and a new token for one of them."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import Any

from flask.views import MethodView
from marshmallow import Schema, fields

from ledger.db import transaction
from ledger.service import clients
from ledger.web import Blueprint, current_actor, scope
from ledger.web.fields import IdempotencyKeySchema
from ledger.web.gate import now
from ledger.web.once import once

blueprint = Blueprint(
    "ledger-clients", __name__, url_prefix="/api/v1", description="API clients and their tokens"
)  # fmt: skip


class TokenSchema(Schema):
    """A token by its public half, the part before the dot; null is no end."""

    prefix = fields.String(required=True, metadata={"example": "hvb_1f2e3d4c5b6a"})
    created_at = fields.AwareDateTime(required=True)
    ends_at = fields.AwareDateTime(required=True, allow_none=True)


class ClientSchema(Schema):
    """An API client; no secret of it can be read."""

    name = fields.String(required=True)
    scopes = fields.List(fields.String(), required=True)
    created_at = fields.AwareDateTime(required=True)
    disabled_at = fields.AwareDateTime(required=True, allow_none=True)
    tokens = fields.List(fields.Nested(TokenSchema), required=True)


class ClientsSchema(Schema):
    """The API clients by name."""

    clients = fields.List(fields.Nested(ClientSchema), required=True)


class RotateSchema(Schema):
    """When the tokens that there are end, and when the new one does."""

    old_until = fields.AwareDateTime(
        load_default=None, allow_none=True,
        metadata={"description": "At most 31 days ahead; null or left out: they end at once."},
    )  # fmt: skip
    expires_at = fields.AwareDateTime(
        load_default=None, allow_none=True,
        metadata={"description": "When the new token ends by itself; null or left out: never."},
    )  # fmt: skip


class RotationSchema(Schema):
    """The new token, readable in this answer and never again, and the ends of the older ones."""

    client = fields.String(required=True)
    token = fields.String(
        required=True, allow_none=True,
        metadata={"description": "Null where the Idempotency-Key is sent again: only a hash is "
                  "kept. Rotate once more, under another key, if the first answer was lost."},
    )  # fmt: skip
    prefix = fields.String(required=True)
    expires_at = fields.AwareDateTime(required=True, allow_none=True)
    ending = fields.List(fields.Nested(TokenSchema), required=True)


@blueprint.route("/clients")
class Clients(MethodView):
    """The programs that use this API."""

    @scope("access:read")
    @blueprint.response(HTTPStatus.OK, ClientsSchema)
    def get(self) -> dict[str, Any]:
        """List the API clients with their scopes, and their tokens by prefix."""
        with transaction() as session:
            return {"clients": clients.list_clients(session)}


@blueprint.route("/clients/<client>/tokens")
class Tokens(MethodView):
    """The tokens of a client."""

    @scope("access:write")
    @partial(once, shown_once=frozenset({"token"}))
    @blueprint.arguments(RotateSchema)
    @blueprint.arguments(IdempotencyKeySchema, location="headers")
    @blueprint.response(HTTPStatus.CREATED, RotationSchema)
    def post(self, wanted: dict[str, Any], _headers: dict[str, str], client: str) -> Any:
        """Give a client its next token; name, scopes and books stay, older tokens end."""
        actor = current_actor()
        with transaction() as session:
            made = clients.rotate_token(
                session, client, actor=actor.reference, by=actor, now=now(), **wanted
            )
        return made, HTTPStatus.CREATED, {"Cache-Control": "no-store"}
