"""Documents and reports over REST: trial balance, aging list, invoices and their PDF.

Figures take both clocks, and lists are JSON or, when `Accept` asks, CSV or Excel, as in the ledger.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask import Response, g
from flask.views import MethodView
from marshmallow import Schema, fields, validate

from ledger.api.clocks import ClockArguments, ResolvedSchema, reading
from ledger.db import transaction
from ledger.vault import vault
from ledger.web import Api, Blueprint, scope
from ledger.web.fields import BookSchema, Day, Money, Whole
from ledger.web.tabled import TablePage, offer, tabled, whole
from mediation.charging import month_of
from mediation.service.rerating import as_facts, rerate_period
from reporting import service
from reporting.aging import BUCKETS
from reporting.formats import xlsx
from reporting.service import workbook
from reporting.service.invoices import billed_keys
from reporting.web.dates import default_day

blueprint = Blueprint(
    "reporting", __name__, url_prefix="/api/v1", description="Statements, invoices, documents"
)

_BINARY = {"type": "string", "format": "binary"}


def register(api: Api) -> None:
    """Add reporting's resources to the API, and Excel to the lists of the rooms below."""
    api.register_blueprint(blueprint)
    offer(xlsx.MEDIA_TYPE, "xlsx", xlsx.workbook_bytes)


class BalanceSchema(Schema):
    """Turnover and balance of an account, or of all in one currency."""

    account = fields.String(required=True)
    name = fields.String(required=True)
    currency = fields.String(required=True)
    debit = Money(required=True, attribute="debit_minor")
    credit = Money(required=True, attribute="credit_minor")
    balance = Money(required=True, attribute="balance_minor")
    base_balance = Money(
        required=True, attribute="base_minor",
        metadata={"description": "In the book's own currency, in which all balances sum to zero."},
    )  # fmt: skip


class TrialBalanceSchema(ResolvedSchema):
    """Every account that has postings; each currency's balances sum to zero."""

    rows = fields.List(fields.Nested(BalanceSchema), required=True)
    totals = fields.List(fields.Nested(BalanceSchema), required=True)


class AgingRowSchema(Schema):
    """The open claims of one customer on one account."""

    account = fields.String(required=True)
    party_id = fields.Integer(required=True)
    name = fields.String(required=True)
    buckets = fields.List(Money(), required=True, metadata={"description": "As `buckets` above."})
    credits = Money(required=True)
    balance = Money(required=True)


class AgingArguments(ClockArguments):
    """Both clocks, and the one currency of the list."""

    currency = fields.String(
        load_default=None, validate=Whole("^[A-Z]{3}$"),
        metadata={"description": "Claims in this currency; the book's own if left out."},
    )  # fmt: skip


class AgingSchema(ResolvedSchema):
    """The aging list of a day in one currency, equal to the control accounts or refused."""

    currency = fields.String(required=True)
    other_currencies = fields.List(
        fields.String(), required=True,
        metadata={"description": "Claims are open in these too: ask for each by itself."},
    )  # fmt: skip
    buckets = fields.List(fields.String(), required=True)
    rows = fields.List(fields.Nested(AgingRowSchema), required=True)
    totals = fields.List(Money(), required=True, metadata={"description": "Buckets, then credits."})
    balance = Money(required=True)
    control = fields.Dict(keys=fields.String(), values=Money(), required=True)


class RerateSchema(BookSchema):
    """Which month is rated again, with which tariff, and why."""

    month = fields.String(required=True, metadata={"example": "2026-03"})
    tariff = fields.String(
        load_default=None,
        allow_none=True,
        metadata={"description": "NAME/VERSION; by default the one in force.", "example": "DEMO/2"},
    )
    reason = fields.String(required=True, validate=validate.Length(1, 500))
    dry_run = fields.Boolean(
        load_default=False, metadata={"description": "Say what would change; record nothing."}
    )


class RepricedSchema(Schema):
    """What a component of a subscription came to and comes to, in the basis of its price."""

    account_no = fields.String(required=True)
    subscription_id = fields.Integer(required=True)
    component = fields.String(required=True)
    kind = fields.String(required=True)
    price_basis = fields.String(required=True)
    before = fields.String(required=True, metadata={"example": "12.50"})
    after = fields.String(required=True, metadata={"example": "13.75"})
    difference = fields.String(required=True, metadata={"example": "1.25"})
    billing_period = fields.String(required=True)
    accounting_month = fields.String(required=True)


class ReratedSchema(Schema):
    """What rating a month again changed, or would change."""

    period = fields.String(required=True)
    tariff_before = fields.String(required=True)
    tariff_after = fields.String(required=True)
    events_rated_again = fields.Integer(required=True)
    events_changed = fields.Integer(required=True)
    difference = fields.String(required=True, metadata={"example": "1.25"})
    recorded = fields.Boolean(required=True)
    batch_id = fields.Integer(required=True, allow_none=True)
    changes = fields.List(fields.Nested(RepricedSchema), required=True)


class InvoiceArguments(ClockArguments):
    """Which invoices are wanted."""

    party_id = fields.Integer(load_default=None)
    period = fields.String(
        load_default=None,
        validate=Whole(r"^\d{4}-(0[1-9]|1[0-2])$"),
        metadata={"example": "2026-03"},
    )
    after = fields.String(
        load_default=None, metadata={"description": "Go on after this invoice: `next` of a page."}
    )
    limit = fields.Integer(load_default=100, validate=validate.Range(1, 1000))


class InvoiceSchema(Schema):
    """An issued invoice, as lists show it."""

    number = fields.String(required=True)
    account_no = fields.String(required=True)
    party_id = fields.Integer(required=True)
    name = fields.String(required=True)
    kid = fields.String(required=True)
    period = fields.String(required=True)
    invoice_date = Day(required=True)
    due_date = Day(required=True)
    net = Money(required=True, attribute="net_minor")
    vat = Money(required=True, attribute="vat_minor")
    gross = Money(required=True, attribute="gross_minor")
    document_sha256 = fields.String(required=True, allow_none=True)


class InvoicePageSchema(ResolvedSchema):
    """A page of invoices in the order of their numbers; `next` goes on where it ends."""

    party_id = fields.Integer(required=True, allow_none=True)
    period = fields.String(required=True, allow_none=True)
    invoices = fields.List(fields.Nested(InvoiceSchema), required=True)
    next = fields.String(required=True, allow_none=True)


class InvoiceLineSchema(Schema):
    """One line of an invoice; the amount is in the invoice's price basis."""

    line_no = fields.Integer(required=True)
    component = fields.String(required=True)
    text = fields.String(required=True)
    unit = fields.String(required=True)
    quantity = fields.Integer(required=True, allow_none=True)
    vat_code = fields.String(required=True)
    vat_rate_bp = fields.Integer(required=True)
    amount = Money(required=True, attribute="amount_minor")
    net = Money(required=True, attribute="net_minor")


class InvoiceWithLinesSchema(ResolvedSchema, InvoiceSchema):
    """An issued invoice with its lines and what is left to pay."""

    outstanding = Money(required=True)
    lines = fields.List(fields.Nested(InvoiceLineSchema), required=True)


@blueprint.route("/trial-balance")
class TrialBalance(MethodView):
    """The balances of all accounts."""

    @scope("ledger:read")
    @blueprint.arguments(ClockArguments, location="query")
    @blueprint.response(HTTPStatus.OK, TrialBalanceSchema)
    @tabled(
        blueprint, "trial-balance", lambda body: [workbook.trial_balance_sheet(body["balance"])]
    )
    def get(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Give the trial balance at the end of a day; refused unless it sums to zero."""
        with reading(wanted) as (session, resolved):
            balance = service.trial_balance(
                session, wanted["book"], wanted["effective_as_of"], wanted["known_as_of"]
            )
        return {
            **resolved, "rows": balance.rows, "totals": balance.totals, "balance": balance,
        }  # fmt: skip


@blueprint.route("/aging")
class Aging(MethodView):
    """Open claims by days past due."""

    @scope("receivables:read")
    @blueprint.arguments(AgingArguments, location="query")
    @blueprint.response(HTTPStatus.OK, AgingSchema)
    @tabled(blueprint, "aging-list", lambda body: [workbook.aging_sheet(body["report"])])
    def get(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Give the aging list of a day, or the newest; refused unless it ties."""
        with reading(wanted) as (session, resolved):
            book, known = wanted["book"], wanted["known_as_of"]
            as_of = wanted["effective_as_of"] or default_day(session, book, known)
            report = service.aging_report(session, book, as_of, known, wanted["currency"])
        return {**resolved, **aging_body(report)}


@blueprint.route("/invoices")
class Invoices(MethodView):
    """Issued invoices."""

    @scope("documents:read")
    @blueprint.arguments(InvoiceArguments, location="query")
    @blueprint.response(HTTPStatus.OK, InvoicePageSchema)
    @tabled(blueprint, "invoices", lambda body: [workbook.invoices_table(body["invoices"])])
    def get(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """List invoices in the order of their numbers; with a position, pages stay as they are."""
        with reading(wanted) as (session, resolved):

            def page(after: str | None, limit: int) -> TablePage:
                found = service.iter_invoices(
                    session, wanted["book"], party_id=wanted["party_id"],
                    period=wanted["period"], as_of=wanted["effective_as_of"],
                    known_as_of=wanted["known_as_of"], after=after, limit=limit + 1,
                )  # fmt: skip
                rows = list(found)
                return TablePage(rows[:limit], rows[limit - 1].number if rows[limit:] else None)

            shown, more = whole(page, wanted["after"], wanted["limit"])
        return {**wanted, **resolved, "invoices": shown, "next": more}


@blueprint.route("/invoices/<number>")
class Invoice(MethodView):
    """One issued invoice by its printed number."""

    @scope("documents:read")
    @blueprint.arguments(ClockArguments, location="query")
    @blueprint.response(HTTPStatus.OK, InvoiceWithLinesSchema)
    def get(self, wanted: dict[str, Any], number: str) -> dict[str, Any]:
        """Show an invoice with its lines and what is left to pay."""
        with reading(wanted) as (session, resolved):
            book, clocks = wanted["book"], (wanted["effective_as_of"], wanted["known_as_of"])
            invoice = service.find_invoice(session, book, number, *clocks)
            lines = service.lines_of(session, invoice.invoice_id)
            outstanding = service.outstanding_of(session, book, invoice, *clocks)
        shown = {name: getattr(invoice, name) for name in invoice.__slots__}
        return {**resolved, **shown, "outstanding": outstanding, "lines": lines}


@blueprint.route("/invoices/<number>/pdf")
class InvoicePdf(MethodView):
    """The archived document of an invoice."""

    @scope("documents:read")
    @blueprint.arguments(BookSchema, location="query")
    @blueprint.response(HTTPStatus.OK, _BINARY, content_type="application/pdf")
    def get(self, wanted: dict[str, Any], number: str) -> Response:
        """Give the PDF as it was archived, byte for byte."""
        return pdf_of(wanted["book"], number)


def pdf_of(book: str, number: str) -> Response:
    """Answer with the archived PDF of an invoice; the desk links here too."""
    with transaction() as session:
        invoice = service.find_invoice(session, book, number)
        content = service.read_document(session, vault(), invoice.invoice_id)
    response = Response(content, mimetype="application/pdf")
    response.headers["Content-Disposition"] = f'inline; filename="{invoice.number}.pdf"'
    if invoice.document_sha256:
        response.set_etag(invoice.document_sha256)
    return response


def aging_body(report: service.AgingReport) -> dict[str, Any]:
    """Shape an aging report as the API shows it."""
    aging = report.aging
    rows = [
        {
            "account": account,
            "party_id": party_id,
            "name": report.names.get(party_id, ""),
            "buckets": amounts[:-1],
            "credits": amounts[-1],
            "balance": sum(amounts),
        }
        for account, party_id, amounts in zip(
            aging.account.tolist(), aging.party_id.tolist(), aging.amounts_minor.tolist(),
            strict=True,
        )
    ]  # fmt: skip
    totals = aging.totals_minor.tolist()
    return {
        "book": report.book,
        "currency": report.currency,
        "other_currencies": list(report.others),
        "effective_as_of": aging.as_of,
        "buckets": BUCKETS,
        "rows": rows,
        "totals": totals,
        "balance": sum(totals),
        "control": dict(report.control_minor),
        "report": report,
    }


@blueprint.route("/reratings")
class Reratings(MethodView):
    """Months rated again with another tariff."""

    @scope("mediation:run")
    @blueprint.arguments(RerateSchema)
    @blueprint.response(HTTPStatus.OK, ReratedSchema)
    def post(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Rate a month again and book the differences; asked again, there are none.

        The events of the last run must first give what is booked, by its own tariff. What is billed
        stays; differences come on the next bill, and in the first open month where it is closed.
        """
        month = month_of(wanted["book"], wanted["month"])
        with transaction() as session:
            done = rerate_period(
                session, vault(), month, lambda ids: billed_keys(session, ids),
                actor=g.actor.reference, reason=wanted["reason"], tariff=wanted["tariff"],
                dry_run=wanted["dry_run"],
            )  # fmt: skip
        return as_facts(done)
