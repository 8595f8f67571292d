"""Feeds over REST: files with their control accounts, and suspense."""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus
from typing import Any

from flask import g
from flask.views import MethodView
from marshmallow import Schema, fields, validate

from ledger.db import transaction
from ledger.errors import Invalid, NotFound
from ledger.vault import vault
from ledger.web import Api, Blueprint, scope
from ledger.web.fields import IdempotencyKeySchema
from ledger.web.once import once
from mediation import service

blueprint = Blueprint(
    "mediation", __name__, url_prefix="/api/v1", description="Files, control totals, suspense"
)


def register(api: Api) -> None:
    """Add mediation's resources to the API."""
    api.register_blueprint(blueprint)


class ControlTotalSchema(Schema):
    """The control account of a file in one measure: received equals the sum of the rest."""

    measure = fields.String(required=True)
    received = fields.Integer(required=True)
    accepted = fields.Integer(required=True)
    filtered = fields.Integer(required=True)
    duplicate = fields.Integer(required=True)
    suspended = fields.Integer(required=True)
    held = fields.Integer(required=True)
    merged = fields.Integer(required=True)
    ties = fields.Boolean(required=True)


class FileSchema(Schema):
    """A file as it was registered."""

    file_id = fields.Integer(required=True)
    name = fields.String(required=True)
    source_system = fields.String(required=True)
    format = fields.String(required=True)
    sha256 = fields.String(required=True)
    size = fields.Integer(required=True)
    state = fields.String(required=True)
    reason = fields.String(required=True, allow_none=True)
    detail = fields.String(required=True, allow_none=True)
    sequence = fields.Integer(required=True, allow_none=True)
    record_count = fields.Integer(required=True)
    registered_at = fields.AwareDateTime(required=True)
    alarms = fields.List(fields.List(fields.String()), required=True)


class FileWithTotalsSchema(FileSchema):
    """A file with its control accounts."""

    control_totals = fields.List(fields.Nested(ControlTotalSchema), required=True)


class FileArguments(Schema):
    """How many files are wanted."""

    limit = fields.Integer(load_default=100, validate=validate.Range(1, 1000))


class RefusalSchema(Schema):
    """A file that was refused for what lies with us: to be taken in again once that is right."""

    refused_file_id = fields.Integer(required=True)
    name = fields.String(required=True)
    source_system = fields.String(required=True)
    book = fields.String(required=True)
    sha256 = fields.String(required=True)
    size = fields.Integer(required=True)
    reason = fields.String(required=True)
    detail = fields.String(required=True)
    refused_at = fields.AwareDateTime(required=True)


class RefusalEndSchema(Schema):
    """Why a refused file is not needed."""

    reason = fields.String(required=True, validate=validate.Length(1, 500))


class FilesSchema(FileArguments):
    """The newest files, newest last, and every refused one that waits to be taken in again."""

    files = fields.List(fields.Nested(FileWithTotalsSchema), required=True)
    refused = fields.List(fields.Nested(RefusalSchema), required=True)


class SuspenseArguments(Schema):
    """Which suspended records are wanted."""

    file_id = fields.Integer(load_default=None, allow_none=True)
    after = fields.Integer(
        load_default=0, metadata={"description": "Go on after this id: `next` of a page."}
    )
    limit = fields.Integer(load_default=100, validate=validate.Range(1, 1000))


class SuspendedSchema(Schema):
    """A record that could not go on, and where it lies."""

    suspense_id = fields.Integer(required=True)
    file_id = fields.Integer(required=True)
    file_name = fields.String(required=True)
    record_no = fields.Integer(required=True)
    part_no = fields.Integer(required=True)
    reason = fields.String(required=True)
    work_group = fields.String(required=True)
    byte_offset = fields.Integer(required=True, allow_none=True)
    line_no = fields.Integer(required=True, allow_none=True)
    seconds = fields.Integer(required=True)
    octets = fields.Integer(required=True)
    detail = fields.String(required=True)
    recorded_at = fields.AwareDateTime(required=True)


class ReasonSchema(Schema):
    """How much is suspended for one reason."""

    reason = fields.String(required=True)
    records = fields.Integer(required=True)
    seconds = fields.Integer(required=True)
    octets = fields.Integer(required=True)


class SuspensePageSchema(SuspenseArguments):
    """Suspended records, oldest first, and the sums by reason over all of them."""

    reasons = fields.List(fields.Nested(ReasonSchema), required=True)
    records = fields.List(fields.Nested(SuspendedSchema), required=True)
    next = fields.Integer(required=True, allow_none=True)


class ReverseSchema(Schema):
    """Why a file is taken back."""

    reason = fields.String(
        required=True, validate=validate.Length(1, 500),
        metadata={"example": "The switch counted every call twice."},
    )  # fmt: skip
    dry_run = fields.Boolean(
        load_default=False, metadata={"description": "Say what would change; record nothing."}
    )


class RerunSchema(Schema):
    """Which suspended rows of orders and lists are run again, and why."""

    reason = fields.String(
        required=True, validate=validate.Length(1, 500),
        metadata={"example": "The order that adds the subscription has come."},
    )  # fmt: skip
    file_id = fields.Integer(
        load_default=None, allow_none=True, strict=True,
        metadata={"description": "Only the rows of this file; left out, of all."},
    )  # fmt: skip
    dry_run = fields.Boolean(
        load_default=False, metadata={"description": "Say what would happen; record nothing."}
    )


class CorrectionSchema(Schema):
    """What a suspended row should say, by column, and why; or that it will never be applied."""

    reason = fields.String(required=True, validate=validate.Length(1, 500))
    values = fields.Dict(
        keys=fields.String(), values=fields.String(), load_default=dict,
        metadata={"example": {"offering": "MOBIL-5GB"}},
    )  # fmt: skip
    give_up = fields.Boolean(
        load_default=False, metadata={"description": "End its waiting; it takes no values."}
    )
    dry_run = fields.Boolean(load_default=False)


class RowOutcomeSchema(Schema):
    """What became of a row, or would."""

    file_id = fields.Integer(required=True)
    file_name = fields.String(required=True)
    line_no = fields.Integer(required=True)
    state = fields.String(
        required=True, metadata={"description": "applied, already, suspended, or given up."}
    )
    reason = fields.String(required=True, metadata={"description": "Why it still waits."})
    detail = fields.String(required=True)


class RerunOutcomeSchema(Schema):
    """What became of the rows that waited, by file and line."""

    recorded = fields.Boolean(required=True)
    rows = fields.List(fields.Nested(RowOutcomeSchema), required=True)


class CorrectedSchema(RowOutcomeSchema):
    """What became of the row that was corrected or given up."""

    recorded = fields.Boolean(required=True)


class WithdrawnSchema(Schema):
    """What taking back a file withdraws, or would."""

    file_id = fields.Integer(required=True)
    name = fields.String(required=True)
    periods = fields.List(
        fields.String(), required=True, metadata={"description": "Months to be rated once more."}
    )
    events = fields.Integer(required=True)
    seconds = fields.Integer(required=True)
    octets = fields.Integer(required=True)
    suspended = fields.Integer(
        required=True, metadata={"description": "Records that wait no longer."}
    )
    waited = fields.Boolean(
        required=True,
        metadata={"description": "The file waited as a whole, and is given up: nothing was used."},
    )
    recorded = fields.Boolean(required=True)


@blueprint.route("/files")
class Files(MethodView):
    """Files received."""

    @scope("mediation:read")
    @blueprint.arguments(FileArguments, location="query")
    @blueprint.response(HTTPStatus.OK, FilesSchema)
    def get(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """List the newest files with their control accounts."""
        with transaction() as session:
            found = service.files(session, limit=wanted["limit"])
            totals = service.control_totals(session)
            refused = service.refused_files(session)
        files = [_with_totals(one, totals) for one in found]
        return {**wanted, "files": files, "refused": refused}


@blueprint.route("/files/<int:file_id>")
class File(MethodView):
    """One file received."""

    @scope("mediation:read")
    @blueprint.response(HTTPStatus.OK, FileWithTotalsSchema)
    def get(self, file_id: int) -> dict[str, Any]:
        """Show a file with its control accounts."""
        with transaction() as session:
            found = [one for one in service.files(session) if one.file_id == file_id]
            totals = service.control_totals(session, file_id)
        if not found:
            raise NotFound(f"There is no file {file_id}; GET /files lists them.", file_id=file_id)
        return _with_totals(found[0], totals)


@blueprint.route("/files/<int:file_id>/reversal")
class FileReversal(MethodView):
    """A usage file taken back, or any file that waits as a whole given up."""

    @scope("mediation:run")
    @once
    @blueprint.arguments(ReverseSchema)
    @blueprint.arguments(IdempotencyKeySchema, location="headers")
    @blueprint.response(HTTPStatus.OK, WithdrawnSchema)
    @blueprint.alt_response(
        HTTPStatus.CONFLICT,
        description="It is taken back already, holds no usage in use, or other files stand on it",
    )
    def post(
        self, wanted: dict[str, Any], _headers: dict[str, str], file_id: int
    ) -> dict[str, Any]:
        """Take back a usage file as a whole; the next run of its months un-charges its usage.

        Nothing is deleted: the file and the reason stay, and a corrected one may take its place.
        A file of any kind that waits as a whole is given up: it holds up no close any more.
        """
        with transaction() as session:
            done = service.reverse_file(
                session, vault(), str(file_id), g.actor.reference, wanted["reason"],
                dry_run=wanted["dry_run"],
            )  # fmt: skip
        return {**asdict(done), "recorded": not wanted["dry_run"]}


@blueprint.route("/refused-files/<int:refused_file_id>/end")
class RefusedFileEnd(MethodView):
    """A refused file that is not needed, or came by another way."""

    @scope("mediation:run")
    @once
    @blueprint.arguments(RefusalEndSchema)
    @blueprint.arguments(IdempotencyKeySchema, location="headers")
    @blueprint.response(HTTPStatus.OK, RefusalSchema)
    def post(
        self, wanted: dict[str, Any], _headers: dict[str, str], refused_file_id: int
    ) -> service.Refusal:
        """Give it up: it holds up no close, unless it is sent and refused once more."""
        with transaction() as session:
            return service.give_up_refused(
                session, str(refused_file_id), g.actor.reference, wanted["reason"]
            )


@blueprint.route("/suspense")
class Suspense(MethodView):
    """Records that need somebody."""

    @scope("mediation:read")
    @blueprint.arguments(SuspenseArguments, location="query")
    @blueprint.response(HTTPStatus.OK, SuspensePageSchema)
    def get(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """List suspended records in the order in which they were suspended."""
        with transaction() as session:
            records = service.suspense(
                session, wanted["file_id"], limit=wanted["limit"], after=wanted["after"]
            )
            sums = service.suspense_by_reason(session)
        full = len(records) == wanted["limit"]
        names = ("reason", "records", "seconds", "octets")
        return {
            **wanted,
            "reasons": [dict(zip(names, row, strict=True)) for row in sums],
            "records": records,
            "next": records[-1].suspense_id if full else None,
        }


@blueprint.route("/suspense/reruns")
class SuspenseReruns(MethodView):
    """Suspended rows of orders and lists, run once more."""

    @scope("mediation:run")
    @once
    @blueprint.arguments(RerunSchema)
    @blueprint.arguments(IdempotencyKeySchema, location="headers")
    @blueprint.response(HTTPStatus.OK, RerunOutcomeSchema)
    def post(self, wanted: dict[str, Any], _headers: dict[str, str]) -> dict[str, Any]:
        """Run suspended rows again, in the order in which they came; each is applied once."""
        file = None if wanted["file_id"] is None else str(wanted["file_id"])
        with transaction() as session:
            rows = service.rerun_rows(
                session, vault(), g.actor.reference, wanted["reason"], file=file,
                dry_run=wanted["dry_run"],
            )  # fmt: skip
        return {"rows": rows, "recorded": not wanted["dry_run"]}


@blueprint.route("/files/<int:file_id>/rows/<int:line_no>/corrections")
class RowCorrections(MethodView):
    """A suspended row of a file, corrected or given up."""

    @scope("mediation:run")
    @once
    @blueprint.arguments(CorrectionSchema)
    @blueprint.arguments(IdempotencyKeySchema, location="headers")
    @blueprint.response(HTTPStatus.OK, CorrectedSchema)
    def post(
        self, wanted: dict[str, Any], _headers: dict[str, str], file_id: int, line_no: int
    ) -> dict[str, Any]:
        """Correct cells of a suspended row and run it again, or end its waiting."""
        if wanted["give_up"] == bool(wanted["values"]):
            raise Invalid("Say either which values to correct, or give_up.")
        signed = (g.actor.reference, wanted["reason"])
        place, trial = (str(file_id), line_no), wanted["dry_run"]
        with transaction() as session:
            if wanted["give_up"]:
                done = service.give_up_row(session, *place, *signed, dry_run=trial)
            else:
                done = service.correct_row(
                    session, vault(), *place, wanted["values"], *signed, dry_run=trial
                )
        return {**asdict(done), "recorded": not trial}


def _with_totals(found: Any, totals: list[Any]) -> dict[str, Any]:
    shown = {name: getattr(found, name) for name in found.__slots__}
    own = [total for total in totals if total.file_id == found.file_id]
    return {**shown, "control_totals": own}
