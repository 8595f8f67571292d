"""Versions of tariffs over REST: list, read, check, propose, compare, approve."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask import Response, request
from flask.views import MethodView
from marshmallow import Schema, fields, validate

from ledger.db import transaction
from ledger.web import Blueprint, current_actor, scope
from ledger.web.fields import Day, IdempotencyKeySchema, Whole
from rating import service
from rating.faults import Fault
from rating.service import APPROVED, PROPOSED, REJECTED, TariffVersion
from rating.tariff_diff import tariff_diff
from rating.tariff_writing import rewrite

blueprint = Blueprint(
    "rating-tariffs", __name__, url_prefix="/api/v1", description="Tariffs and their versions"
)
FILE_MAX = 5_000_000  # characters
TOML = "application/toml"


class VersionSchema(Schema):
    """A version of a tariff, and where it stands."""

    label = fields.String(required=True, metadata={"example": "NORDLYS/2"})
    name = fields.String(required=True)
    version = fields.Integer(required=True)
    state = fields.String(required=True, validate=validate.OneOf([PROPOSED, APPROVED, REJECTED]))
    valid_from = Day(required=True)
    valid_to = Day(
        required=True, allow_none=True,
        metadata={"description": "When the next approved version takes over."},
    )  # fmt: skip
    content_hash = fields.String(required=True, metadata={"description": "sha256, hexadecimal."})
    loaded_by = fields.String(required=True)
    loaded_at = fields.AwareDateTime(required=True)
    judge = fields.String(required=True, allow_none=True)
    comment = fields.String(required=True)
    judged_at = fields.AwareDateTime(required=True, allow_none=True)


class OneVersionSchema(VersionSchema):
    """A version with what it sells."""

    offerings = fields.List(
        fields.String(), required=True, attribute="book.offerings",
        metadata={"description": "The products, by id."},
    )  # fmt: skip
    currency = fields.String(required=True, attribute="book.tariff.currency")
    time_zone = fields.String(required=True, attribute="book.tariff.time_zone")


class VersionsQuery(Schema):
    """Which versions are wanted."""

    name = fields.String(load_default=None)
    state = fields.String(
        load_default=None, validate=validate.OneOf([PROPOSED, APPROVED, REJECTED])
    )


class VersionsSchema(Schema):
    """Versions by name and first day."""

    tariffs = fields.List(fields.Nested(VersionSchema), required=True)


class SourceSchema(Schema):
    """A tariff file."""

    source = fields.String(
        required=True, validate=validate.Length(1, FILE_MAX),
        metadata={"description": "The text of the file, TOML; see docs/tariff.md."},
    )  # fmt: skip


class FaultSchema(Schema):
    """What is wrong, or worth a look, and where."""

    line = fields.Integer(required=True, allow_none=True)
    key = fields.String(required=True, metadata={"example": "offering[1].rate[2].price"})
    detail = fields.String(required=True)


class CheckedSchema(Schema):
    """What a check found; without faults the file can be proposed."""

    sound = fields.Boolean(required=True)
    label = fields.String(required=True, allow_none=True)
    content_hash = fields.String(required=True, allow_none=True)
    faults = fields.List(fields.Nested(FaultSchema), required=True)
    gaps = fields.List(fields.Nested(FaultSchema), required=True)


class TariffChangeSchema(Schema):
    """One difference between two versions."""

    kind = fields.String(required=True, validate=validate.OneOf(["added", "removed", "changed"]))
    where = fields.String(required=True)
    key = fields.String(required=True)
    before = fields.String(required=True)
    after = fields.String(required=True)
    sentence = fields.Function(lambda change: change.sentence(), required=True)


class ChangesQuery(Schema):
    """From which version changes are counted."""

    since = fields.String(required=True, metadata={"example": "NORDLYS/1"})


class ChangesSchema(Schema):
    """What changes from one version to another, and from which day."""

    before = fields.String(required=True)
    after = fields.String(required=True)
    valid_from = Day(required=True)
    changes = fields.List(fields.Nested(TariffChangeSchema), required=True)


class TariffVerdictSchema(Schema):
    """A verdict on the content with this hash, and on no other."""

    verdict = fields.String(required=True, validate=validate.OneOf([APPROVED, REJECTED]))
    content_hash = fields.String(required=True, validate=Whole("^[0-9a-f]{64}$"))
    comment = fields.String(load_default="", validate=validate.Length(0, 2_000))


@blueprint.route("/tariffs")
class Tariffs(MethodView):
    """The versions of all tariffs."""

    @scope("tariffs:read")
    @blueprint.arguments(VersionsQuery, location="query")
    @blueprint.response(HTTPStatus.OK, VersionsSchema)
    def get(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """List versions by name and first day."""
        with transaction() as session:
            found = service.tariff_books(session, wanted["name"])
        return {"tariffs": [one for one in found if wanted["state"] in (None, one.state)]}

    @scope("tariffs:write")
    @blueprint.arguments(SourceSchema)
    @blueprint.arguments(IdempotencyKeySchema, location="headers")
    @blueprint.response(HTTPStatus.CREATED, VersionSchema)
    @blueprint.alt_response(
        HTTPStatus.OK, schema=VersionSchema, success=True,
        description="This very content was loaded before; Idempotency-Hit is true",
    )  # fmt: skip
    def post(self, sent: dict[str, str], headers: dict[str, str]) -> Any:
        """Propose a version; it rates when another person has approved it."""
        del headers  # The content is its own key: the same file is the same version.
        with transaction() as session:
            loaded = service.propose_tariff(
                session, sent["source"].encode(), actor=current_actor().reference
            )
            version = service.find_tariff(session, loaded.book.label)
        if loaded.new:
            return version, HTTPStatus.CREATED, _tag(version)
        return version, HTTPStatus.OK, {**_tag(version), "Idempotency-Hit": "true"}


@blueprint.route("/tariffs/check")
class Check(MethodView):
    """Trying a file."""

    @scope("tariffs:read")
    @blueprint.arguments(SourceSchema)
    @blueprint.response(HTTPStatus.OK, CheckedSchema)
    def post(self, sent: dict[str, str]) -> dict[str, Any]:
        """Check a file against format, books and versions; nothing is kept."""
        with transaction() as session:
            checked = service.check_tariff(session, sent["source"].encode())
        return {
            "sound": not checked.faults,
            "label": checked.book and checked.book.label,
            "content_hash": checked.book and checked.book.content_hash,
            "faults": _facts(checked.faults),
            "gaps": _facts(checked.gaps),
        }


@blueprint.route("/tariffs/<name>/<int:version>")
class OneVersion(MethodView):
    """One version."""

    @scope("tariffs:read")
    @blueprint.response(HTTPStatus.OK, OneVersionSchema)
    @blueprint.alt_response(HTTPStatus.NOT_MODIFIED, description="As If-None-Match has it")
    def get(self, name: str, version: int) -> Any:
        """Show a version: where it stands and what it sells."""
        found = _find(name, version)
        if request.if_none_match.contains(_state(found)):
            return Response(status=HTTPStatus.NOT_MODIFIED, headers=_tag(found))
        return found, HTTPStatus.OK, _tag(found)


class FileQuery(Schema):
    """How the file is wanted."""

    rewrite = fields.Boolean(
        load_default=False,
        metadata={"description": "Every key in the order of the format, without comments."},
    )


@blueprint.route("/tariffs/<name>/<int:version>/file")
class File(MethodView):
    """The file of a version."""

    @scope("tariffs:read")
    @blueprint.arguments(FileQuery, location="query")
    @blueprint.response(HTTPStatus.OK, content_type=TOML)
    def get(self, wanted: dict[str, bool], name: str, version: int) -> Response:
        """Give the file as it was loaded; loading it again changes nothing."""
        found = _find(name, version)
        text = rewrite(found.source) if wanted["rewrite"] else found.source
        answer = Response(text, content_type=f"{TOML}; charset=utf-8")
        answer.set_etag(f"{found.content_hash}{'-rewritten' if wanted['rewrite'] else ''}")
        answer.make_conditional(request)
        return answer


@blueprint.route("/tariffs/<name>/<int:version>/changes")
class Changes(MethodView):
    """What a version changes."""

    @scope("tariffs:read")
    @blueprint.arguments(ChangesQuery, location="query")
    @blueprint.response(HTTPStatus.OK, ChangesSchema)
    def get(self, wanted: dict[str, str], name: str, version: int) -> Any:
        """Tell what changes since another version: which price, from what, to what."""
        with transaction() as session:
            before = service.find_tariff(session, wanted["since"])
            after = service.find_tariff(session, f"{name}/{version}")
        return tariff_diff(before.book.tariff, after.book.tariff)


@blueprint.route("/tariffs/<name>/<int:version>/approval")
class Approval(MethodView):
    """The verdict of another person."""

    @scope("tariffs:approve")
    @blueprint.arguments(TariffVerdictSchema)
    @blueprint.arguments(IdempotencyKeySchema, location="headers")
    @blueprint.response(HTTPStatus.OK, VersionSchema)
    def post(self, said: dict[str, str], headers: dict[str, str], name: str, version: int) -> Any:
        """Approve the content that has the hash, or reject it for good with a comment."""
        del headers  # One verdict per version: a retry of the same finds the first.
        judging = service.approve_tariff if said["verdict"] == APPROVED else service.reject_tariff
        with transaction() as session:
            done = judging(
                session, f"{name}/{version}", said["content_hash"],
                judge=current_actor().reference, comment=said["comment"],
            )  # fmt: skip
        return done, HTTPStatus.OK, _tag(done)


def _find(name: str, version: int) -> TariffVersion:
    with transaction() as session:
        return service.find_tariff(session, f"{name}/{version}")


def _state(version: TariffVersion) -> str:
    """Name the state of a version: its content never changes, where it stands may."""
    return f"{version.content_hash[:16]}-{version.state}-{version.valid_to or 'open'}"


def _tag(version: TariffVersion) -> dict[str, str]:
    return {"ETag": f'"{_state(version)}"'}


def _facts(faults: tuple[Fault, ...]) -> list[dict[str, object]]:
    return [fault.facts() for fault in faults]
