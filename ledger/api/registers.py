"""What postings may name, over REST: one book, currencies, VAT codes and voucher series."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask.views import MethodView
from marshmallow import Schema, fields

from ledger.api.structure import ChartQuery
from ledger.db import transaction
from ledger.service import registers
from ledger.web import Blueprint, scope
from ledger.web.fields import BookSchema

blueprint = Blueprint(
    "ledger-registers", __name__, url_prefix="/api/v1",
    description="Currencies, VAT codes and voucher series",
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


class VatCodeSchema(Schema):
    """A VAT code and its rate, on the days [valid_from, valid_to)."""

    code = fields.String(required=True)
    name = fields.String(required=True)
    saft_code = fields.String(required=True)
    rate_bp = fields.Integer(
        required=True, metadata={"description": "Hundredths of a per cent: 2500 is 25 %."}
    )
    valid_from = fields.Date(required=True)
    valid_to = fields.Date(required=True, allow_none=True)


class VatCodesSchema(ChartQuery):
    """The VAT codes of a book."""

    vat_codes = fields.List(fields.Nested(VatCodeSchema), required=True)


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


class SeriesListSchema(BookSchema):
    """The voucher series of a book."""

    voucher_series = fields.List(fields.Nested(SeriesSchema), required=True)


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
