"""What postings name, over REST: currencies, VAT codes, posting rules and voucher series.

Codes and rules are dated and never changed: one ends and the next begins.
"""

from __future__ import annotations

from hashlib import sha256
from http import HTTPStatus
from typing import Any

from flask.views import MethodView
from marshmallow import Schema, fields, validate
from sqlalchemy.orm import Session

from ledger.api.entries import VoucherSchema
from ledger.api.structure import ChartQuery
from ledger.db import transaction
from ledger.journal import Voucher
from ledger.service import books, registers
from ledger.service.books import PostingRuleView
from ledger.service.registers import VatCode
from ledger.service.verify import gaps
from ledger.web import Blueprint, current_actor, scope
from ledger.web.etags import require_match
from ledger.web.fields import BookSchema, Day, IdempotencyKeySchema, Whole
from ledger.web.once import once

blueprint = Blueprint(
    "ledger-registers", __name__, url_prefix="/api/v1",
    description="Currencies, VAT codes, posting rules and voucher series",
)  # fmt: skip


class CurrencySchema(Schema):
    """A currency that amounts may be in."""

    currency = fields.String(required=True, attribute="code")
    numeric_code = fields.Integer(required=True, metadata={"description": "ISO 4217."})
    minor_digits = fields.Integer(required=True)
    name = fields.String(required=True)


class CurrenciesSchema(Schema):
    """All currencies by code."""

    currencies = fields.List(fields.Nested(CurrencySchema), required=True)


class ReasonSchema(BookSchema):
    """Why a register is changed; an auditor reads it."""

    reason = fields.String(required=True, validate=validate.Length(1, 500))


class VatCodeSchema(Schema):
    """A VAT code and its rate, on the days [valid_from, valid_to)."""

    code = fields.String(required=True, validate=Whole("^[A-Za-z0-9_-]{1,10}$"))
    name = fields.String(required=True, validate=validate.Length(1, 200))
    saft_code = fields.String(required=True, validate=Whole("^[A-Za-z0-9]{1,9}$"))
    rate_bp = fields.Integer(
        required=True, strict=True,
        metadata={"description": "Hundredths of a per cent: 2500 is 25 %."},
    )  # fmt: skip
    valid_from = Day(required=True)
    valid_to = Day(dump_only=True, allow_none=True)


class VatCodesSchema(ChartQuery):
    """The VAT codes of a book."""

    vat_codes = fields.List(fields.Nested(VatCodeSchema), required=True)


class NewVatCodeSchema(VatCodeSchema, ReasonSchema):
    """A VAT code to add, or the next rate of one that has ended."""


class VatCodeEndSchema(ReasonSchema):
    """The last day a VAT code may be posted with."""

    last_day = Day(required=True)


class DatedVatCodeSchema(BookSchema):
    """A VAT code with every rate it has had, the first one first."""

    code = fields.String(required=True)
    rates = fields.List(fields.Nested(VatCodeSchema), required=True)


class RuleSchema(Schema):
    """Which account an event's leg uses from a day on; '*' is any selector."""

    event = fields.String(required=True, validate=validate.Length(1, 100))
    leg = fields.String(required=True, validate=validate.Length(1, 100))
    selector = fields.String(load_default="*", validate=validate.Length(1, 100))
    account = fields.String(required=True, validate=Whole("^[0-9]{4,10}$"))
    valid_from = Day(required=True)


class RulesSchema(ChartQuery):
    """The posting rules of a book."""

    rules = fields.List(fields.Nested(RuleSchema), required=True)


class NewRuleSchema(RuleSchema, ReasonSchema):
    """A posting rule to add; the one before it holds until its first day."""


class LastNumberSchema(Schema):
    """How far a series has come in a fiscal year; there are no gaps below."""

    year = fields.Integer(required=True)
    last_number = fields.Integer(required=True)


class SeriesSchema(Schema):
    """A voucher series: one per type of document, gapless in each fiscal year."""

    series = fields.String(required=True, attribute="code")
    document_type = fields.String(required=True)
    module = fields.String(required=True, metadata={"description": "Whose lock holds for it."})
    description = fields.String(required=True)
    years = fields.List(fields.Nested(LastNumberSchema), required=True)


class NumberSchema(Schema):
    """A voucher number: series, fiscal year, number."""

    series = fields.String(required=True, validate=validate.Length(1, 10))
    year = fields.Integer(required=True, strict=True, validate=validate.Range(2000, 2999))
    number = fields.Integer(required=True, strict=True, validate=validate.Range(1, 10**18))


class SeriesListSchema(BookSchema):
    """The voucher series of a book."""

    voucher_series = fields.List(fields.Nested(SeriesSchema), required=True)


class GapSchema(Schema):
    """A number that is missing, why, and who said so."""

    voucher = fields.Nested(VoucherSchema, required=True)
    reason = fields.String(required=True)
    actor = fields.String(required=True)
    recorded_at = fields.AwareDateTime(required=True)


class GapsSchema(BookSchema):
    """The numbers of a book that no entry carries: unexplained and explained."""

    missing = fields.List(fields.Nested(VoucherSchema), required=True)
    explained = fields.List(fields.Nested(GapSchema), required=True)


class ExplanationSchema(ReasonSchema):
    """Why a number is missing, for good."""

    voucher = fields.Nested(NumberSchema, required=True)


@blueprint.route("/currencies")
class Currencies(MethodView):
    """The currencies there are."""

    @scope("ledger:read")
    @blueprint.response(HTTPStatus.OK, CurrenciesSchema)
    def get(self) -> dict[str, Any]:
        """List the currencies; what they are worth stands under exchange-rates."""
        with transaction() as session:
            return {"currencies": registers.currencies(session)}


@blueprint.route("/vat-codes")
class VatCodes(MethodView):
    """VAT codes and their rates."""

    @scope("ledger:read")
    @blueprint.arguments(ChartQuery, location="query")
    @blueprint.response(HTTPStatus.OK, VatCodesSchema)
    def get(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """List the VAT codes, all or those that hold on a day."""
        with transaction() as session:
            found = registers.vat_codes(session, wanted["book"], wanted["on"])
        return {**wanted, "vat_codes": found}

    @scope("registers:write")
    @once
    @blueprint.arguments(NewVatCodeSchema)
    @blueprint.arguments(IdempotencyKeySchema, location="headers")
    @blueprint.response(HTTPStatus.CREATED, VatCodeSchema)
    def post(self, wanted: dict[str, Any], _headers: dict[str, str]) -> VatCode:
        """Add a VAT code, or the next rate of one that has ended."""
        book, reason = wanted.pop("book"), wanted.pop("reason")
        made = VatCode(**wanted, valid_to=None)
        with transaction() as session:
            registers.add_vat_code(session, book, made, actor=current_actor().reference,
                                   reason=reason)  # fmt: skip
        return made


@blueprint.route("/vat-codes/<code>")
class OneVatCode(MethodView):
    """One VAT code with its rates; its ETag changes with every one of them."""

    @scope("ledger:read")
    @blueprint.arguments(BookSchema, location="query")
    @blueprint.response(HTTPStatus.OK, DatedVatCodeSchema)
    def get(self, wanted: dict[str, Any], code: str) -> Any:
        """Show a VAT code with every rate it has had."""
        with transaction() as session:
            rates = registers.vat_code_rates(session, wanted["book"], code)
        return _dated(wanted["book"], code, rates)

    @scope("registers:write")
    @blueprint.arguments(VatCodeEndSchema)
    @blueprint.response(HTTPStatus.OK, DatedVatCodeSchema)
    def patch(self, change: dict[str, Any], code: str) -> Any:
        """End a VAT code after a day; If-Match names the state that was read."""
        book = change["book"]
        with transaction() as session:
            known = registers.vat_code_rates(session, book, code, to_change=True)
            require_match(_etag(known), f"VAT code {code}")
            registers.end_vat_code(session, book, code, change["last_day"], reason=change["reason"],
                                   actor=current_actor().reference)  # fmt: skip
            rates = registers.vat_code_rates(session, book, code)
        return _dated(book, code, rates)


@blueprint.route("/posting-rules")
class PostingRules(MethodView):
    """Which account each event uses; a rule is never changed, a later one follows it."""

    @scope("ledger:read")
    @blueprint.arguments(ChartQuery, location="query")
    @blueprint.response(HTTPStatus.OK, RulesSchema)
    def get(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """List the posting rules, all or those that hold on a day."""
        with transaction() as session:
            found = books.posting_rules(session, wanted["book"], wanted["on"])
        return {**wanted, "rules": found}

    @scope("registers:write")
    @once
    @blueprint.arguments(NewRuleSchema)
    @blueprint.arguments(IdempotencyKeySchema, location="headers")
    @blueprint.response(HTTPStatus.CREATED, RuleSchema)
    def post(self, wanted: dict[str, Any], _headers: dict[str, str]) -> PostingRuleView:
        """Say which account an event's leg uses from a day on."""
        book, reason = wanted.pop("book"), wanted.pop("reason")
        rule = PostingRuleView(**wanted)
        with transaction() as session:
            registers.add_posting_rule(session, book, rule, actor=current_actor().reference,
                                       reason=reason)  # fmt: skip
        return rule


@blueprint.route("/voucher-series")
class VoucherSeries(MethodView):
    """Voucher series and how far they have come."""

    @scope("ledger:read")
    @blueprint.arguments(BookSchema, location="query")
    @blueprint.response(HTTPStatus.OK, SeriesListSchema)
    def get(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """List the voucher series with the last number of each year."""
        with transaction() as session:
            found = registers.voucher_series(session, wanted["book"])
        return {**wanted, "voucher_series": found}


@blueprint.route("/voucher-gaps")
class VoucherGaps(MethodView):
    """The gap register."""

    @scope("ledger:read")
    @blueprint.arguments(BookSchema, location="query")
    @blueprint.response(HTTPStatus.OK, GapsSchema)
    def get(self, wanted: dict[str, str]) -> dict[str, Any]:
        """List the numbers that no entry carries, and what was said of them."""
        with transaction() as session:
            return _gaps(session, wanted["book"])

    @scope("periods:waive")
    @once
    @blueprint.arguments(ExplanationSchema)
    @blueprint.arguments(IdempotencyKeySchema, location="headers")
    @blueprint.response(HTTPStatus.CREATED, GapSchema)
    @blueprint.alt_response(
        HTTPStatus.OK, schema=GapSchema, success=True,
        description="You said so before, in the very same words; nothing was written",
    )  # fmt: skip
    def post(self, said: dict[str, Any], _headers: dict[str, str]) -> Any:
        """Explain a number that is missing; it is in the way of no close then."""
        voucher = Voucher(**said["voucher"])
        with transaction() as session:
            made = registers.explain_gap(
                session, said["book"], voucher, actor=current_actor().reference,
                reason=said["reason"],
            )  # fmt: skip
            explained = _gaps(session, said["book"])["explained"]
        told = next(one for one in explained if one["voucher"] == voucher)
        return told, HTTPStatus.CREATED if made else HTTPStatus.OK


def _gaps(session: Session, book: str) -> dict[str, Any]:
    explained = registers.voucher_gaps(session, book)
    return {
        "book": book,
        "missing": [Voucher.read(one) for one in gaps(session, book)],
        "explained": [{**one._asdict(), "voucher": Voucher.read(one.voucher)} for one in explained],
    }


def _dated(book: str, code: str, rates: list[VatCode]) -> Any:
    found = {"book": book, "code": code, "rates": rates}
    return found, HTTPStatus.OK, {"ETag": f'"{_etag(rates)}"'}


def _etag(rates: list[VatCode]) -> str:
    """Name the state of a VAT code by its content: its rows have no number of their own."""
    return sha256(repr(rates).encode()).hexdigest()[:16]
