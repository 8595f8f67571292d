"""Seals over REST: blocks, the public key, and the proof of a voucher."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask import Response
from flask.views import MethodView
from marshmallow import Schema, fields, validate

from ledger.anchoring import Anchor, render_anchor
from ledger.api.clocks import PAGE_MAX, NextSchema, next_link
from ledger.db import transaction
from ledger.journal import Voucher
from ledger.proof import render_proof
from ledger.service.blocks import find_block, stored_blocks
from ledger.service.proofs import voucher_proof
from ledger.service.sealing import sealing_lag
from ledger.service.signing import public_pem, signing_keys
from ledger.web import Blueprint, scope
from ledger.web.fields import BookSchema

blueprint = Blueprint(
    "ledger-seals", __name__, url_prefix="/api/v1", description="Seals and proofs"
)

# A document that is given as it is kept, byte for byte: it is proved, not made for the caller.
_document = blueprint.alt_response(
    HTTPStatus.OK, schema={"type": "object"}, content_type="application/json", success=True
)


class BlocksArguments(Schema):
    """Which blocks are wanted, oldest first."""

    after = fields.Integer(load_default=0, validate=validate.Range(0, 2**62))
    limit = fields.Integer(load_default=100, validate=validate.Range(1, PAGE_MAX))


class BlockSchema(Schema):
    """A signed block in the list."""

    block_no = fields.Integer(required=True)
    block_hash = fields.String(required=True)
    first_position = fields.Integer(required=True)
    last_position = fields.Integer(required=True)
    batch_count = fields.Integer(required=True)
    entry_count = fields.Integer(required=True)
    line_count = fields.Integer(required=True)
    master_count = fields.Integer(required=True)
    signed_at = fields.AwareDateTime(required=True)
    key_id = fields.String(required=True)


class BlocksSchema(NextSchema):
    """A page of blocks, and what waits to be sealed."""

    blocks = fields.List(fields.Nested(BlockSchema), required=True)
    unsealed_batches = fields.Integer(required=True)
    lag_seconds = fields.Integer(required=True)


class KeySchema(Schema):
    """A public key that blocks were signed with."""

    key_id = fields.String(required=True)
    valid_from = fields.AwareDateTime(required=True)
    pem = fields.String(required=True)


class KeysSchema(Schema):
    """The public keys, oldest first."""

    keys = fields.List(fields.Nested(KeySchema), required=True)


@blueprint.route("/seals")
class Seals(MethodView):
    """The chain of signed blocks."""

    @scope("ledger:read")
    @blueprint.arguments(BlocksArguments, location="query")
    @blueprint.response(HTTPStatus.OK, BlocksSchema)
    def get(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """List blocks, oldest first."""
        with transaction() as session:
            found = list(stored_blocks(session, wanted["after"], wanted["limit"]))
            lag = sealing_lag(session)
        more = str(found[-1].block.block_no) if len(found) == wanted["limit"] else None
        return {
            "blocks": [
                {**_shown(stored.block), "block_hash": stored.hash.hex()} for stored in found
            ],
            "next": next_link(more),
            "unsealed_batches": lag.unsealed_batches,
            "lag_seconds": lag.seconds,
        }


@blueprint.route("/seals/<int:block_no>")
class Seal(MethodView):
    """One signed block."""

    @scope("ledger:read")
    @_document
    def get(self, block_no: int) -> Response:
        """Give a block with its signature, as the document that an anchor keeps."""
        with transaction() as session:
            stored = find_block(session, block_no)
        anchor = Anchor(stored.block, stored.signature, stored.public_key or b"")
        return Response(render_anchor(anchor), mimetype="application/json")


@blueprint.route("/seals/key")
class Keys(MethodView):
    """The public keys."""

    @scope("ledger:read")
    @blueprint.response(HTTPStatus.OK, KeysSchema)
    def get(self) -> dict[str, Any]:
        """List the public keys that blocks were signed with. Compare them with your own copy."""
        with transaction() as session:
            keys = signing_keys(session)
        return {
            "keys": [
                {"key_id": key_id, "valid_from": since, "pem": public_pem(public)}
                for key_id, public, since in keys
            ]
        }


@blueprint.route("/entries/<series>/<int:year>/<int:number>/proof")
class VoucherProof(MethodView):
    """The proof that a voucher stands under a seal."""

    @scope("ledger:read")
    @blueprint.arguments(BookSchema, location="query")
    @_document
    def get(self, wanted: dict[str, Any], series: str, year: int, number: int) -> Response:
        """Prove a voucher; check it offline with hovedbok ledger check-proof."""
        with transaction() as session:
            proof = voucher_proof(session, wanted["book"], Voucher(series, year, number))
        return Response(render_proof(proof), mimetype="application/json")


def _shown(block: Any) -> dict[str, Any]:
    return {name: getattr(block, name) for name in BlockSchema().fields if name != "block_hash"}
