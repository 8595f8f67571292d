"""Periods over REST: how they stand, locks, exceptions, reopening, and what came late."""

from __future__ import annotations

from hashlib import sha256
from http import HTTPStatus
from typing import Any

from flask.views import MethodView
from marshmallow import Schema, fields, validate
from sqlalchemy.orm import Session

from ledger import service
from ledger.api.clocks import ClockArguments, ResolvedSchema, reading
from ledger.api.entries import VoucherSchema
from ledger.closing import Scope
from ledger.db import transaction
from ledger.periods import MODULES
from ledger.service import closing
from ledger.service.periods import PeriodState
from ledger.web import Blueprint, current_actor, scope
from ledger.web.etags import require_match
from ledger.web.fields import BookSchema, Day, IdempotencyKeySchema
from ledger.web.once import once

blueprint = Blueprint(
    "ledger-periods", __name__, url_prefix="/api/v1",
    description="Accounting periods: locks, exceptions, late postings",
)  # fmt: skip
_LEVEL = validate.OneOf(["open", "soft", "hard"])
_MODULE = validate.OneOf(MODULES)
_REASON = validate.Length(1, 2_000)


class ExceptionSchema(Schema):
    """Leave for one actor to post into a soft-closed module until an instant."""

    actor = fields.String(required=True)
    reason = fields.String(required=True)
    granted_by = fields.String(required=True)
    expires_at = fields.AwareDateTime(required=True)


class ModuleSchema(Schema):
    """How a module of a period stands; never touched: all null."""

    module = fields.String(required=True, validate=_MODULE)
    level = fields.String(required=True, validate=_LEVEL)
    since = fields.AwareDateTime(required=True, allow_none=True)
    actor = fields.String(required=True, allow_none=True)
    reason = fields.String(required=True, allow_none=True)
    reopened_until = fields.AwareDateTime(required=True, allow_none=True)
    exceptions = fields.List(fields.Nested(ExceptionSchema), required=True)


class PeriodSchema(Schema):
    """A calendar month of a book: GL stands over the other modules."""

    book = fields.String(required=True)
    period = fields.String(required=True, metadata={"example": "2026-03"})
    first_day = Day(required=True)
    last_day = Day(required=True)
    fiscal_year = fields.Integer(required=True)
    modules = fields.List(fields.Nested(ModuleSchema), required=True)


class PeriodsSchema(Schema):
    """The opened periods of a book, in order."""

    periods = fields.List(fields.Nested(PeriodSchema), required=True)


class ReopenSchema(BookSchema):
    """Which modules are to be opened to everybody again, and why."""

    modules = fields.List(fields.String(validate=_MODULE), load_default=list(MODULES))
    reason = fields.String(required=True, validate=_REASON)


class LockSchema(BookSchema):
    """A lock of one module, without looking; `until` closes a reopening by itself."""

    module = fields.String(required=True, validate=_MODULE)
    level = fields.String(required=True, validate=_LEVEL)
    reason = fields.String(required=True, validate=_REASON)
    until = fields.AwareDateTime(load_default=None, allow_none=True)


class LeaveSchema(BookSchema):
    """Whom to let into a module of a soft-closed period, why, and until when (at most 31 days)."""

    module = fields.String(required=True, validate=_MODULE)
    actor = fields.String(required=True, metadata={"example": "staff:accountant"})
    reason = fields.String(required=True, validate=_REASON)
    expires_at = fields.AwareDateTime(required=True)


class LatePostingSchema(Schema):
    """An entry recorded after the period was closed for one of its modules."""

    entry_id = fields.Integer(required=True)
    voucher = fields.Nested(VoucherSchema, required=True)
    effective_date = Day(required=True)
    text = fields.String(required=True)
    module = fields.String(required=True)
    under = fields.String(required=True)
    closed_at = fields.AwareDateTime(required=True)
    recorded_at = fields.AwareDateTime(required=True)
    actor = fields.String(required=True)


class LatePostingsSchema(ResolvedSchema):
    """Everything that came late, in the order it was recorded."""

    period = fields.String(required=True)
    late = fields.List(fields.Nested(LatePostingSchema), required=True)


@blueprint.route("/periods")
class Periods(MethodView):
    """The months of a book."""

    @scope("ledger:read")
    @blueprint.arguments(BookSchema, location="query")
    @blueprint.response(HTTPStatus.OK, PeriodsSchema)
    def get(self, wanted: dict[str, str]) -> dict[str, Any]:
        """List the opened periods and how each module of them stands."""
        with transaction() as session:
            states = service.period_states(session, wanted["book"])
        codes = dict.fromkeys(state.period for state in states)
        return {"periods": [_told(wanted["book"], code, states) for code in codes]}


@blueprint.route("/periods/<period>")
class OnePeriod(MethodView):
    """One month."""

    @scope("ledger:read")
    @blueprint.arguments(BookSchema, location="query")
    @blueprint.response(HTTPStatus.OK, PeriodSchema)
    def get(self, wanted: dict[str, str], period: str) -> Any:
        """Show how a period stands; the ETag is what a change must match."""
        with transaction() as session:
            return _answer(session, wanted["book"], period)


@blueprint.route("/periods/<period>/reopen")
class ReopenPeriod(MethodView):
    """Opening a month again."""

    @scope("periods:close")
    @once
    @blueprint.arguments(ReopenSchema)
    @blueprint.arguments(IdempotencyKeySchema, location="headers")
    @blueprint.response(HTTPStatus.OK, PeriodSchema)
    def post(self, said: dict[str, Any], headers: dict[str, str], period: str) -> Any:
        """Open modules of a soft-closed period to everybody; needs If-Match."""
        del headers
        with transaction() as session:
            require_period(session, said["book"], period)
            closing.reopen_modules(
                session, said["book"], period, modules=said["modules"],
                actor=current_actor().reference, reason=said["reason"],
            )  # fmt: skip
            return _answer(session, said["book"], period)


@blueprint.route("/periods/<period>/locks")
class Locks(MethodView):
    """Locking single modules."""

    @scope("periods:close")
    @once
    @blueprint.arguments(LockSchema)
    @blueprint.arguments(IdempotencyKeySchema, location="headers")
    @blueprint.response(HTTPStatus.CREATED, PeriodSchema)
    @blueprint.alt_response(
        HTTPStatus.OK, schema=PeriodSchema, success=True,
        description="The module is locked for good already, by whom `modules` says; nothing was "
        "written",
    )  # fmt: skip
    def post(self, said: dict[str, Any], headers: dict[str, str], period: str) -> Any:
        """Lock one module of a period, or open it again; no check is run. Needs If-Match.

        A hard lock that stands is answered whatever was read: it is what was asked for.
        """
        del headers
        book, module = said["book"], said["module"]
        who = {"actor": current_actor().reference, "reason": said["reason"]}
        with transaction() as session:
            if not (said["level"] == "hard" and _is_final(session, book, period, module)):
                require_period(session, book, period)
            if said["level"] == "open":
                service.reopen_period(
                    session, book, period, module=module, until=said["until"], **who
                )
                return _answer(session, book, period, HTTPStatus.CREATED)
            done = service.ensure_locked(
                session, book, period, module=module, level=said["level"], **who
            )
            return _answer(
                session, book, period, HTTPStatus.OK if done.already else HTTPStatus.CREATED
            )


@blueprint.route("/periods/<period>/exceptions")
class Exceptions(MethodView):
    """Letting somebody in."""

    @scope("periods:waive")
    @once
    @blueprint.arguments(LeaveSchema)
    @blueprint.arguments(IdempotencyKeySchema, location="headers")
    @blueprint.response(HTTPStatus.CREATED, PeriodSchema)
    def post(self, said: dict[str, Any], headers: dict[str, str], period: str) -> Any:
        """Let one actor post into a soft-closed module for a while; needs If-Match."""
        del headers
        with transaction() as session:
            require_period(session, said["book"], period)
            service.grant_exception(
                session, said["book"], period, module=said["module"], actor=said["actor"],
                reason=said["reason"], granted_by=current_actor().reference,
                expires_at=said["expires_at"],
            )  # fmt: skip
            return _answer(session, said["book"], period, HTTPStatus.CREATED)


@blueprint.route("/periods/<period>/late-postings")
class LatePostings(MethodView):
    """What came after a close."""

    @scope("ledger:read")
    @blueprint.arguments(ClockArguments, location="query")
    @blueprint.response(HTTPStatus.OK, LatePostingsSchema)
    def get(self, wanted: dict[str, Any], period: str) -> dict[str, Any]:
        """List entries that were recorded after the period had been closed for their module."""
        with reading(wanted) as (session, resolved):
            late = service.late_postings(
                session, wanted["book"], period, wanted["effective_as_of"], wanted["known_as_of"]
            )
        return {**resolved, "period": period, "late": late}


def states_of(session: Session, book: str, period: str) -> list[PeriodState]:
    """Read how the modules of a period stand. Raises `Invalid`, `UnknownBook`, `UnknownPeriod`."""
    Scope.of(book, period)
    service.require_opened(session, book, period)
    return [one for one in service.period_states(session, book) if one.period == period]


def _is_final(session: Session, book: str, period: str, module: str) -> bool:
    """Tell whether a module of a period is locked for good."""
    states = states_of(session, book, period)
    return any(state.module == module and state.level == "hard" for state in states)


def _told(book: str, period: str, states: list[PeriodState]) -> dict[str, Any]:
    scope_of = Scope.of(book, period)
    return {
        "book": book, "period": period, "first_day": scope_of.first_day,
        "last_day": scope_of.last_day,
        "fiscal_year": next(one.fiscal_year for one in states if one.period == period),
        "modules": [state for state in states if state.period == period],
    }  # fmt: skip


def _answer(
    session: Session, book: str, period: str, status: HTTPStatus = HTTPStatus.OK
) -> tuple[dict[str, Any], HTTPStatus, dict[str, str]]:
    states = states_of(session, book, period)
    return _told(book, period, states), status, {"ETag": f'"{period_etag(states)}"'}


def period_etag(states: list[PeriodState]) -> str:
    """Name the state of a period: any lock, reopening or exception gives it another name."""
    return sha256(repr(states).encode()).hexdigest()[:32]


def etag_header(session: Session, book: str, period: str) -> dict[str, str]:
    """Give the header that names how a period stands now."""
    return {"ETag": f'"{period_etag(states_of(session, book, period))}"'}


def require_period(session: Session, book: str, period: str) -> None:
    """Let a change pass only if it names how the period stands, as `require_match` does.

    Nobody else changes it, nor posts into it, until the transaction ends.
    """
    closing.hold_period(session, book, period)
    require_match(period_etag(states_of(session, book, period)), f"period {period}")
