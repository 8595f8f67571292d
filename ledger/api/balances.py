"""Balances over REST: books, charts, the trial balance, statements of accounts and of the book."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Any

from flask.views import MethodView
from marshmallow import Schema, fields

from ledger import service
from ledger.api import shapes
from ledger.api.clocks import (
    ClockArguments,
    NextSchema,
    PageArguments,
    ResolvedSchema,
    next_link,
    reading,
)
from ledger.api.entries import VoucherSchema
from ledger.db import transaction
from ledger.errors import Invalid
from ledger.service import statements
from ledger.web import Blueprint, current_actor, scope
from ledger.web.fields import Day, Money
from ledger.web.tabled import TablePage, every_row, tabled, wanted_form

blueprint = Blueprint(
    "ledger-balances", __name__, url_prefix="/api/v1", description="Books, charts and balances"
)


class BookNameSchema(Schema):
    """A book and whose it is."""

    book = fields.String(required=True)
    legal_entity = fields.String(required=True)
    currency = fields.String(required=True)


class BooksSchema(Schema):
    """All books."""

    books = fields.List(fields.Nested(BookNameSchema), required=True)


class AccountBalanceSchema(Schema):
    """An account's turnover and balance in one currency, debit positive."""

    account = fields.String(required=True)
    name = fields.String(required=True)
    currency = fields.String(required=True)
    debit = Money(required=True, attribute="debit_minor")
    credit = Money(required=True, attribute="credit_minor")
    balance = Money(required=True, attribute="balance_minor")
    base_balance = Money(required=True, attribute="base_minor")


class BalancesSchema(ResolvedSchema):
    """The trial balance; profit and loss is not closed."""

    accounts = fields.List(fields.Nested(AccountBalanceSchema), required=True)


class FigureSchema(Schema):
    """An account on a balance sheet or income statement."""

    account = fields.String(required=True)
    name = fields.String(required=True)
    amount = Money(required=True, attribute="amount_minor")
    compared = Money(required=True, attribute="comparative_minor")


class GroupSchema(Schema):
    """The accounts of one official grouping code."""

    category = fields.String(required=True)
    code = fields.String(required=True)
    amount = Money(required=True, attribute="amount_minor")
    compared = Money(required=True, attribute="comparative_minor")
    accounts = fields.List(fields.Nested(FigureSchema), required=True, attribute="figures")


class SectionSchema(Schema):
    """A class of accounts, in the sign its readers expect."""

    account_class = fields.String(required=True, data_key="class")
    title = fields.String(required=True)
    amount = Money(required=True, attribute="amount_minor")
    compared = Money(required=True, attribute="comparative_minor")
    groups = fields.List(fields.Nested(GroupSchema), required=True)


class ShapedSchema(ResolvedSchema):
    """Sections and the result, which tie to the trial balance or are not answered at all."""

    sections = fields.List(fields.Nested(SectionSchema), required=True)
    result = Money(required=True, attribute="result_minor")
    compared_result = Money(required=True, attribute="comparative_result_minor")
    ties_to_trial_balance = fields.Boolean(required=True)


class BalanceSheetSchema(ShapedSchema):
    """The balance sheet of a day, and which day stands beside it."""

    compared_as_of = Day(required=True, allow_none=True)


class IncomeStatementSchema(BalanceSheetSchema):
    """The income statement of a period, and which period stands beside it."""

    first_day = Day(required=True)
    compared_first_day = Day(required=True, allow_none=True)


class BalanceSheetArguments(ClockArguments):
    """The day, and another to set beside it; without one the comparative amounts are zero."""

    compared_as_of = Day(load_default=None)


class IncomeArguments(ClockArguments):
    """A period and a comparative period; all days are included."""

    first_day = Day(required=True)
    effective_as_of = Day(required=True)
    compared_first_day = Day(load_default=None)
    compared_as_of = Day(load_default=None)


class StatementArguments(ClockArguments, PageArguments):
    """Which lines of an account are wanted; both days are included."""

    first_day = Day(load_default=None)
    party_id = fields.Integer(load_default=None)
    newest = fields.Boolean(
        load_default=False,
        metadata={"description": "Begin with the last page; each page is still oldest first."},
    )


class StatementLineSchema(Schema):
    """A line with the balance after it, per currency."""

    entry_id = fields.Integer(required=True)
    line_no = fields.Integer(required=True)
    voucher = fields.Nested(VoucherSchema, required=True)
    effective_date = Day(required=True)
    account = fields.String(required=True)
    text = fields.String(required=True)
    party_id = fields.Integer(required=True, allow_none=True)
    currency = fields.String(required=True)
    amount = Money(required=True, attribute="amount_minor")
    balance = Money(required=True, attribute="balance_minor")


class StatementSchema(ResolvedSchema, NextSchema):
    """Consecutive lines between two balances per currency."""

    account = fields.String(required=True, allow_none=True)
    name = fields.String(required=True)
    party_id = fields.Integer(required=True, allow_none=True)
    first_day = Day(required=True, allow_none=True)
    opening = fields.Dict(keys=fields.String(), values=Money(), required=True)
    lines = fields.List(fields.Nested(StatementLineSchema), required=True)
    closing = fields.Dict(keys=fields.String(), values=Money(), required=True)


@blueprint.route("/books")
class Books(MethodView):
    """The books there are."""

    @scope("ledger:read")
    @blueprint.response(HTTPStatus.OK, BooksSchema)
    def get(self) -> dict[str, Any]:
        """List the books that you may see."""
        with transaction() as session:
            found = statements.read_books(session)
        return {"books": [one for one in found if current_actor().may_see(one.book)]}


@blueprint.route("/books/<book>")
class Book(MethodView):
    """One book."""

    @scope("ledger:read")
    @blueprint.response(HTTPStatus.OK, BookNameSchema)
    def get(self, book: str) -> Any:
        """Say whose a book is and in which currency it is kept."""
        with transaction() as session:
            return statements.read_book(session, book)


@blueprint.route("/balances")
class Balances(MethodView):
    """The trial balance."""

    @scope("ledger:read")
    @blueprint.arguments(ClockArguments, location="query")
    @blueprint.response(HTTPStatus.OK, BalancesSchema)
    @tabled(blueprint, "trial-balance", shapes.balances)
    def get(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Sum every account that has postings; zero is a balance."""
        with reading(wanted) as (session, resolved):
            return {**resolved, "accounts": service.trial_balance(session, **wanted)}


@blueprint.route("/balance-sheet")
class BalanceSheet(MethodView):
    """Assets, liabilities and equity."""

    @scope("ledger:read")
    @blueprint.arguments(BalanceSheetArguments, location="query")
    @blueprint.response(HTTPStatus.OK, BalanceSheetSchema)
    @tabled(blueprint, "balance-sheet", shapes.report)
    def get(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Show the balance sheet of a day by class and grouping code."""
        with reading(wanted) as (session, resolved):
            shaped = statements.balance_sheet(session, **wanted)
        return {**wanted, **resolved, **_told(shaped)}


@blueprint.route("/income-statement")
class IncomeStatement(MethodView):
    """Income and expenses."""

    @scope("ledger:read")
    @blueprint.arguments(IncomeArguments, location="query")
    @blueprint.response(HTTPStatus.OK, IncomeStatementSchema)
    @tabled(blueprint, "income-statement", shapes.report)
    def get(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Show income, expenses and the result of a period."""
        pair = (wanted["compared_first_day"], wanted["compared_as_of"])
        if (pair[0] is None) != (pair[1] is None):
            raise Invalid("Give both compared_first_day and compared_as_of, or neither.")
        with reading(wanted) as (session, resolved):
            shaped = statements.income_statement(
                session, wanted["book"], wanted["first_day"], wanted["effective_as_of"],
                wanted["known_as_of"], compared=None if pair[0] is None else pair,
            )  # fmt: skip
        return {**wanted, **resolved, **_told(shaped)}


@blueprint.route("/accounts/<account>/statement")
class Statement(MethodView):
    """The lines of one account."""

    @scope("ledger:read")
    @blueprint.arguments(StatementArguments, location="query")
    @blueprint.response(HTTPStatus.OK, StatementSchema)
    @tabled(blueprint, "statement", shapes.statement)
    def get(self, wanted: dict[str, Any], account: str) -> dict[str, Any]:
        """List an account's lines in order, each with the balance after it."""
        with reading(wanted) as (session, resolved):
            page = _whole(
                partial(service.account_statement, session, account=account), wanted, resolved
            )
        return {**wanted, **resolved, **_page(page, resolved["known_as_of"])}


@blueprint.route("/parties/<int:party_id>/statement")
class CustomerStatement(MethodView):
    """What a party was charged and has paid."""

    @scope("receivables:read")
    @blueprint.arguments(StatementArguments(exclude=("party_id",)), location="query")
    @blueprint.response(HTTPStatus.OK, StatementSchema)
    @tabled(blueprint, "customer-statement", shapes.statement)
    def get(self, wanted: dict[str, Any], party_id: int) -> dict[str, Any]:
        """List a party's lines on all control accounts, with the balance after each."""
        with reading(wanted) as (session, resolved):
            page = _whole(
                partial(service.customer_statement, session, party_id=party_id), wanted, resolved
            )
        return {**wanted, **resolved, "party_id": party_id, **_page(page, resolved["known_as_of"])}


def _whole(
    read: Callable[..., service.StatementPage], wanted: Mapping[str, Any],
    resolved: Mapping[str, Any],
) -> service.StatementPage:  # fmt: skip
    """Read the page that is wanted, those behind it frozen, or for a table all lines."""
    if wanted_form() is not None:
        return whole_statement(read, wanted)
    return read(**wanted, frozen=resolved["known_as_of"])


def whole_statement(
    read: Callable[..., service.StatementPage], wanted: Mapping[str, Any]
) -> service.StatementPage:
    """Read all lines of a statement from the first, oldest first, as one page.

    `read` takes the arguments of a statement; those of pages are set here. Raises `TableTooLarge`.
    """
    pages: list[service.StatementPage] = []

    def one(after: str | None, limit: int) -> TablePage:
        asked = {**wanted, "after": after, "limit": limit, "newest": False}
        pages.append(read(**asked))
        return TablePage(pages[-1].lines, pages[-1].next_cursor)

    lines = every_row(one)
    return replace(
        pages[0], lines=tuple(lines), closing_minor=pages[-1].closing_minor, next_cursor=None
    )


def _page(page: service.StatementPage, known_as_of: int | None) -> dict[str, Any]:
    return {
        "account": page.account, "name": page.name, "opening": page.opening_minor,
        "lines": page.lines, "closing": page.closing_minor,
        "next": next_link(page.next_cursor, known_as_of),
    }  # fmt: skip


def _told(shaped: Any) -> dict[str, Any]:
    return {
        "sections": shaped.sections, "result_minor": shaped.result_minor,
        "comparative_result_minor": shaped.comparative_result_minor,
        "ties_to_trial_balance": True,
    }  # fmt: skip
