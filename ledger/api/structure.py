"""The structure of a book over REST: chart, dimensions, rates of exchange, assertions."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from http import HTTPStatus
from typing import Any

from flask.views import MethodView
from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from ledger import service
from ledger.api.clocks import ClockArguments, ResolvedSchema, reading
from ledger.db import transaction
from ledger.exchange import format_rate, parse_rate
from ledger.service import assertions, chart, dimensions, rates
from ledger.service.assertions import Assertion
from ledger.service.chart import ChartAccount
from ledger.service.dimensions import RULES, DimensionRule
from ledger.service.rates import Rate
from ledger.web import Blueprint, current_actor, scope
from ledger.web.etags import require_match
from ledger.web.fields import BookSchema, Day, IdempotencyKeySchema, Money, Whole
from ledger.web.once import once

blueprint = Blueprint(
    "structure", __name__, url_prefix="/api/v1",
    description="Chart, dimensions, rates of exchange, balance assertions",
)  # fmt: skip
_CURRENCY = Whole("^[A-Z]{3}$")


class AccountSchema(Schema):
    """An account of the chart."""

    number = fields.String(required=True, data_key="account", validate=Whole("^[0-9]{4,10}$"))
    name = fields.String(required=True, validate=validate.Length(1, 200))
    account_class = fields.String(
        required=True, data_key="class", validate=validate.OneOf(list("ALQIED"))
    )
    currency = fields.String(load_default=None, allow_none=True, validate=_CURRENCY)
    is_control = fields.Boolean(load_default=False)
    party_required = fields.Boolean(load_default=False)
    open_item = fields.Boolean(load_default=False)
    manual_post_allowed = fields.Boolean(load_default=True)
    grouping_category = fields.String(required=True)
    grouping_code = fields.String(required=True)
    valid_from = Day(load_default=date(2000, 1, 1))
    valid_to = Day(dump_only=True, allow_none=True)
    version_no = fields.Integer(dump_only=True)


class NewAccountSchema(AccountSchema, BookSchema):
    """An account to open."""


class AccountChangeSchema(BookSchema):
    """What is to change of an account, and why. Left out is left as it is."""

    name = fields.String(load_default=None, validate=validate.Length(1, 200))
    grouping_category = fields.String(load_default=None, validate=validate.Length(1, 100))
    grouping_code = fields.String(load_default=None, validate=validate.Length(1, 20))
    last_day = Day(load_default=None, metadata={"description": "Close it after this day."})
    reason = fields.String(required=True, validate=validate.Length(1, 500))

    @validates_schema
    def _check_grouping(self, change: dict[str, Any], **_kwargs: Any) -> None:
        if (change["grouping_category"] is None) != (change["grouping_code"] is None):
            raise ValidationError("A grouping is its category and its code.", "grouping_code")


class AccountVersionSchema(Schema):
    """One state that an account has had."""

    version_no = fields.Integer(required=True)
    recorded_at = fields.AwareDateTime(required=True)
    recorded_by = fields.String(
        required=True, metadata={"description": "The login of the database."}
    )
    content = fields.Dict(required=True)


class AccountVersionsSchema(BookSchema):
    """What an account has been, the first state first."""

    account = fields.String(required=True)
    versions = fields.List(fields.Nested(AccountVersionSchema), required=True)


class ChartQuery(BookSchema):
    """Which accounts."""

    on = Day(load_default=None, metadata={"description": "Only those open on this day."})


class ChartSchema(ChartQuery):
    """The accounts of a book by number."""

    accounts = fields.List(fields.Nested(AccountSchema), required=True)


class DimensionRuleSchema(Schema):
    """What accounts that begin with a prefix do with a dimension from a day on."""

    account_prefix = fields.String(load_default="", validate=Whole("^[0-9]{0,10}$"))
    rule = fields.String(required=True, validate=validate.OneOf(RULES))
    valid_from = Day(required=True)


class DimensionValueSchema(Schema):
    """A value of a dimension, on the days [valid_from, valid_to)."""

    code = fields.String(required=True, validate=validate.Length(1, 100))
    name = fields.String(required=True)
    valid_from = Day(load_default=date(2000, 1, 1))
    valid_to = Day(load_default=None, allow_none=True)


class RegisteredDimensionSchema(Schema):
    """A dimension with its values and rules; what is there already is left as it is."""

    code = fields.String(required=True, validate=Whole("^[a-z][a-z0-9_-]{0,40}$"))
    name = fields.String(required=True)
    values = fields.List(fields.Nested(DimensionValueSchema), load_default=list)
    rules = fields.List(fields.Nested(DimensionRuleSchema), load_default=list)


class NewDimensionSchema(RegisteredDimensionSchema, BookSchema):
    """A dimension to register, or values and rules to add to one."""


class DimensionsSchema(BookSchema):
    """The registered dimensions of a book."""

    dimensions = fields.List(fields.Nested(RegisteredDimensionSchema), required=True)


class ExchangeRateSchema(Schema):
    """What one unit of a currency is worth in the book's own on a day."""

    currency = fields.String(required=True, validate=_CURRENCY)
    valid_on = Day(required=True)
    rate = fields.String(required=True, metadata={"example": "11.5140"})
    source = fields.String(required=True, validate=validate.Length(1, 200))


class NewExchangeRateSchema(ExchangeRateSchema, BookSchema):
    """A rate to record."""


class RatesSchema(BookSchema):
    """Rates of exchange, the latest first."""

    rates = fields.List(fields.Nested(ExchangeRateSchema), required=True)


class AssertionSchema(BookSchema):
    """The balance that an account, or a party on it, must have at the end of a day."""

    account = fields.String(required=True)
    party_id = fields.Integer(load_default=None, allow_none=True)
    currency = fields.String(load_default=None, allow_none=True, validate=_CURRENCY)
    effective_date = Day(required=True)
    expected = Money(required=True, attribute="expected_minor")
    source = fields.String(required=True, validate=validate.Length(1, 200))


class AssertionCheckSchema(Schema):
    """An assertion beside the books."""

    account = fields.String(required=True, attribute="assertion.account")
    party_id = fields.Integer(required=True, allow_none=True, attribute="assertion.party_id")
    currency = fields.String(required=True, attribute="assertion.currency")
    effective_date = Day(required=True, attribute="assertion.effective_date")
    source = fields.String(required=True, attribute="assertion.source")
    expected = Money(required=True, attribute="assertion.expected_minor")
    actual = Money(required=True, attribute="actual_minor")
    difference = Money(required=True, attribute="difference_minor")


class AssertionsSchema(ResolvedSchema):
    """The assertions of a book beside what the accounts are."""

    assertions = fields.List(fields.Nested(AssertionCheckSchema), required=True)


@blueprint.route("/accounts")
class Accounts(MethodView):
    """The chart of accounts."""

    @scope("ledger:read")
    @blueprint.arguments(ChartQuery, location="query")
    @blueprint.response(HTTPStatus.OK, ChartSchema)
    def get(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """List the accounts of a book."""
        with transaction() as session:
            found = chart.chart_of_accounts(session, wanted["book"], wanted["on"])
        return {**wanted, "accounts": found}

    @scope("chart:write")
    @once
    @blueprint.arguments(NewAccountSchema)
    @blueprint.arguments(IdempotencyKeySchema, location="headers")
    @blueprint.response(HTTPStatus.CREATED, AccountSchema)
    def post(self, wanted: dict[str, Any], _headers: dict[str, str]) -> Any:
        """Open an account."""
        book = wanted.pop("book")
        with transaction() as session:
            chart.open_account(session, book, ChartAccount(**wanted),
                               actor=current_actor().reference)  # fmt: skip
            return chart.account(session, book, wanted["number"])


@blueprint.route("/accounts/<account>")
class Account(MethodView):
    """One account; its ETag is the number of its state."""

    @scope("ledger:read")
    @blueprint.arguments(BookSchema, location="query")
    @blueprint.response(HTTPStatus.OK, AccountSchema)
    def get(self, wanted: dict[str, Any], account: str) -> Any:
        """Show an account."""
        with transaction() as session:
            found = chart.account(session, wanted["book"], account)
        return found, HTTPStatus.OK, {"ETag": f'"{found.version_no}"'}

    @scope("chart:write")
    @blueprint.arguments(AccountChangeSchema)
    @blueprint.response(HTTPStatus.OK, AccountSchema)
    def patch(self, change: dict[str, Any], account: str) -> Any:
        """Rename, regroup or close an account; If-Match names the state that was read."""
        book, actor = change["book"], current_actor().reference
        with transaction() as session:
            known = chart.account(session, book, account, to_change=True)
            require_match(str(known.version_no), f"account {account}")
            grouping = (change["grouping_category"], change["grouping_code"])
            if change["name"] or grouping[1]:
                chart.rename_account(
                    session, book, account, name=change["name"], actor=actor,
                    grouping=grouping if grouping[1] else None, reason=change["reason"],
                )  # fmt: skip
            if change["last_day"]:
                chart.close_account(session, book, account, change["last_day"], actor=actor,
                                    reason=change["reason"])  # fmt: skip
            found = chart.account(session, book, account)
        return found, HTTPStatus.OK, {"ETag": f'"{found.version_no}"'}


@blueprint.route("/accounts/<account>/versions")
class AccountVersions(MethodView):
    """What an account has been."""

    @scope("ledger:read")
    @blueprint.arguments(BookSchema, location="query")
    @blueprint.response(HTTPStatus.OK, AccountVersionsSchema)
    def get(self, wanted: dict[str, Any], account: str) -> dict[str, Any]:
        """List every state of an account: its names, groupings and days."""
        with transaction() as session:
            found = chart.account_states(session, wanted["book"], account)
        return {**wanted, "account": account, "versions": found}


@blueprint.route("/dimensions")
class Dimensions(MethodView):
    """Dimensions, their values, and which accounts need them."""

    @scope("ledger:read")
    @blueprint.arguments(BookSchema, location="query")
    @blueprint.response(HTTPStatus.OK, DimensionsSchema)
    def get(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """List the registered dimensions."""
        with transaction() as session:
            found = dimensions.dimensions(session, wanted["book"])
        return {**wanted, "dimensions": [
            {"code": one.code, "name": one.name, "rules": one.rules,
             "values": [dict(zip(("code", "name", "valid_from", "valid_to"), value, strict=True))
                        for value in one.values]}
            for one in found
        ]}  # fmt: skip

    @scope("chart:write")
    @once
    @blueprint.arguments(NewDimensionSchema)
    @blueprint.arguments(IdempotencyKeySchema, location="headers")
    @blueprint.response(HTTPStatus.CREATED, NewDimensionSchema)
    def post(self, wanted: dict[str, Any], _headers: dict[str, str]) -> dict[str, Any]:
        """Register a dimension, values of it, and rules for accounts."""
        book, code = wanted["book"], wanted["code"]
        with transaction() as session:
            actor = current_actor().reference
            dimensions.add_dimension(session, book, code, wanted["name"], actor=actor)
            for value in wanted["values"]:
                dimensions.add_value(session, book, code, **value, actor=actor)
            for rule in wanted["rules"]:
                dimensions.set_dimension_rule(
                    session, book, DimensionRule(code, **rule), actor=actor
                )
        return wanted


@blueprint.route("/exchange-rates")
class ExchangeRates(MethodView):
    """Rates of exchange: one a day and currency, for ever."""

    @scope("ledger:read")
    @blueprint.arguments(BookSchema, location="query")
    @blueprint.response(HTTPStatus.OK, RatesSchema)
    def get(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """List the rates in the book's own currency."""
        with transaction() as session:
            own = service.functional_currency(session, wanted["book"])
            found = rates.list_rates(session, own)
        return {**wanted, "rates": [
            {"currency": r.currency, "valid_on": r.valid_on, "rate": format_rate(r.rate_e8),
             "source": r.source} for r in found
        ]}  # fmt: skip

    @scope("chart:write")
    @once
    @blueprint.arguments(NewExchangeRateSchema)
    @blueprint.arguments(IdempotencyKeySchema, location="headers")
    @blueprint.response(HTTPStatus.CREATED, NewExchangeRateSchema)
    def post(self, wanted: dict[str, Any], _headers: dict[str, str]) -> dict[str, Any]:
        """Record a rate; another rate of the same day is refused."""
        made = Rate(wanted["currency"], wanted["valid_on"], parse_rate(wanted["rate"]),
                    wanted["source"])  # fmt: skip
        with transaction() as session:
            own = service.functional_currency(session, wanted["book"])
            rates.set_rate(session, own, made, actor=current_actor().reference)
        return {**wanted, "rate": format_rate(made.rate_e8)}


@blueprint.route("/balance-assertions")
class BalanceAssertions(MethodView):
    """What somebody outside says that accounts must be."""

    @scope("ledger:read")
    @blueprint.arguments(ClockArguments, location="query")
    @blueprint.response(HTTPStatus.OK, AssertionsSchema)
    def get(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Compare every assertion with the books."""
        with reading(wanted) as (session, resolved):
            found = assertions.check_assertions(
                session, wanted["book"], last_day=wanted["effective_as_of"],
                known_as_of=wanted["known_as_of"],
            )  # fmt: skip
        return {**resolved, "assertions": found}

    @scope("ledger:post")
    @once
    @blueprint.arguments(AssertionSchema)
    @blueprint.arguments(IdempotencyKeySchema, location="headers")
    @blueprint.response(HTTPStatus.CREATED, AssertionSchema)
    def post(self, wanted: dict[str, Any], _headers: dict[str, str]) -> dict[str, Any]:
        """Record what an account must be."""
        book = wanted.pop("book")
        with transaction() as session:
            made = Assertion(**{**wanted, "currency": wanted["currency"] or ""})
            if not made.currency:
                made = replace(made, currency=service.functional_currency(session, book))
            assertions.assert_balance(session, book, made, actor=current_actor().reference)
        return {**wanted, "book": book, "currency": made.currency}
