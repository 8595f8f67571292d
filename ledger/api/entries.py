"""The books over REST: entries, account statements and open items."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from flask import request
from flask.views import MethodView
from marshmallow import Schema, ValidationError, fields, validate
from prometheus_client import Histogram

from ledger.access import check_program
from ledger.db import transaction
from ledger.errors import Problem
from ledger.intake.conditions import read_conditions
from ledger.intake.records import fault_of
from ledger.journal import EntryDraft, ItemDraft, Line
from ledger.merging import Merger
from ledger.service.intake import Sender
from ledger.service.rates import own_currency
from ledger.service.singles import MOST_ENTRIES, MOST_LINES, Settled, Single, post_singles
from ledger.unstorable import EntryTooLong
from ledger.web import Blueprint, current_actor, scope
from ledger.web.fields import BookSchema, Day, IdempotencyKeySchema, Money, Whole, conditions_field
from ledger.web.once import asked_with, patiently, repeat
from ledger.web.problems import Refusal, body_of
from ledger.web.requests import request_id

MERGED = Histogram(
    "hovedbok_merged_entries", "Single entries that were posted together.",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 500),
)  # fmt: skip

blueprint = Blueprint(
    "ledger", __name__, url_prefix="/api/v1", description="Entries, statements and open items"
)


class VoucherSchema(Schema):
    """A gapless number: series, fiscal year, number."""

    series = fields.String(required=True)
    year = fields.Integer(required=True)
    number = fields.Integer(required=True)


class ItemSchema(Schema):
    """The open item that a line on an open-item account brings."""

    kind = fields.String(required=True, metadata={"example": "invoice"})
    document_ref = fields.String(required=True)
    kid = fields.String(load_default=None, allow_none=True)
    document_date = Day(required=True)
    due_date = Day(required=True)


class LineSchema(Schema):
    """One side of an entry: debit positive, credit negative."""

    account = fields.String(required=True, metadata={"example": "1920"})
    amount = Money(required=True)
    currency = fields.String(
        load_default=None, validate=Whole("^[A-Z]{3}$"),
        metadata={"description": "The book's own if left out."},
    )  # fmt: skip
    base_amount = Money(
        load_default=None, allow_none=True,
        metadata={"description": "The amount in the book's currency; by the rate if left out."},
    )  # fmt: skip
    party_id = fields.Integer(load_default=None, allow_none=True)
    vat_code = fields.String(load_default=None, allow_none=True)
    tax_base = Money(load_default=None, allow_none=True)
    dimensions = fields.Dict(
        keys=fields.String(), values=fields.String(), load_default=None, allow_none=True
    )
    text = fields.String(load_default=None, allow_none=True)
    item = fields.Nested(ItemSchema, load_default=None, allow_none=True)


class FewLines(validate.Length):
    """So many lines as one is made to wait for; more go by a name of their own."""

    def __call__(self, value: Any) -> Any:
        """Give the lines back, or refuse them with `ValidationError`."""
        if self.max is not None and len(value) > self.max:
            raise ValidationError(Refusal(EntryTooLong(
                f"The entry has {len(value)} lines; as a single entry it has at most {self.max}. "
                "Send it in a posting batch, or split it."
            )))  # fmt: skip
        return super().__call__(value)


class EntryDraftSchema(BookSchema):
    """A journal entry to post: its lines sum to zero in each currency."""

    series = fields.String(load_default="JNL")
    effective_date = Day(required=True)
    document_date = Day(
        load_default=None, metadata={"description": "The effective date if left out."}
    )
    entry_type = fields.String(
        load_default="import",
        metadata={"description": "What kind of voucher it is; manual is what people write."},
    )
    text = fields.String(required=True, validate=validate.Length(1, 500))
    document_ref = fields.String(load_default=None, allow_none=True)
    reverses_entry_id = fields.Integer(load_default=None, allow_none=True)
    lines = fields.List(fields.Nested(LineSchema), required=True, validate=FewLines(2, 10_000))
    conditions = conditions_field(
        {"kind": "last-voucher", "series": "JNL", "year": 2026, "equals": 16}
    )


class EntryPostedSchema(Schema):
    """What a posted entry became."""

    entry_id = fields.Integer(required=True)
    batch_id = fields.Integer(required=True)
    voucher = fields.Nested(VoucherSchema, required=True)


class LineViewSchema(Schema):
    """A posted line."""

    line_no = fields.Integer(required=True)
    account = fields.String(required=True)
    account_name = fields.String(required=True)
    amount = Money(required=True, attribute="amount_minor")
    currency = fields.String(required=True)
    base_amount = Money(
        required=True, attribute="base_minor",
        metadata={"description": "The amount in the book's own currency."},
    )  # fmt: skip
    party_id = fields.Integer(required=True, allow_none=True)
    vat_code = fields.String(required=True, allow_none=True)
    tax_base = Money(required=True, allow_none=True, attribute="tax_base_minor")
    dimensions = fields.String(required=True)
    open_item_id = fields.Integer(required=True, allow_none=True)
    text = fields.String(required=True, allow_none=True)


class EntryViewSchema(Schema):
    """A posted entry with its lines, and where it came from."""

    entry_id = fields.Integer(required=True)
    batch_id = fields.Integer(required=True)
    voucher = fields.Nested(VoucherSchema, required=True)
    effective_date = Day(required=True)
    document_date = Day(required=True)
    entry_type = fields.String(required=True)
    text = fields.String(required=True)
    source_system = fields.String(required=True)
    source_ref = fields.String(required=True)
    document_ref = fields.String(required=True, allow_none=True)
    reverses_entry_id = fields.Integer(required=True, allow_none=True)
    created_by = fields.String(required=True)
    approved_by = fields.String(required=True, allow_none=True)
    reverses = fields.Nested(VoucherSchema, required=True, allow_none=True)
    reversed_by = fields.Nested(VoucherSchema, required=True, allow_none=True)
    recorded_at = fields.AwareDateTime(required=True)
    lines = fields.List(fields.Nested(LineViewSchema), required=True)


@blueprint.route("/entries")
class Entries(MethodView):
    """Posting single entries."""

    @scope("ledger:post")
    @blueprint.arguments(EntryDraftSchema)
    @blueprint.arguments(IdempotencyKeySchema, location="headers")
    @blueprint.response(HTTPStatus.CREATED, EntryPostedSchema)
    @blueprint.alt_response(
        HTTPStatus.OK, schema=EntryPostedSchema, success=True,
        description="The key was used before for this very entry; Idempotency-Hit is true",
    )  # fmt: skip
    def post(self, draft: dict[str, Any], headers: dict[str, str]) -> Any:
        """Post a balanced journal entry; the same Idempotency-Key never posts twice.

        For programs: a person writes a draft. With `conditions` it is posted only if the books meet
        them, else 412 says what they are like. The outcome is final, a refusal too: send corrected
        content under a new key.
        """
        check_program(current_actor())
        single = _single(draft, headers["key"])
        try:
            settled = patiently(lambda: _merger.ask(single))
        except Problem as refusal:
            raise _by_itself(refusal) from refusal
        if settled.repeated:
            known = settled.answer
            made = known.status == HTTPStatus.CREATED
            return repeat(known, HTTPStatus.OK if made else None)
        return settled.answer.body


def _single(draft: dict[str, Any], key: str) -> Single:
    """Shape a request as an entry to post; the caller's key is its reference for ever."""
    actor = current_actor().reference
    path, number = request.path, request_id()
    own = currency_of(draft["book"])

    def told(refusal: Problem) -> dict[str, Any]:
        """Give the body of a refusal, to be kept under the key."""
        return body_of(_by_itself(refusal), path, number)

    return Single(
        Sender(draft["book"], f"REST:{actor}", actor),
        _entry(draft, key, own),
        asked_with(key),
        told,
        read_conditions(draft["conditions"], own),
    )


def _by_itself(refusal: Problem) -> Problem:
    """Say of the entry what was said of its place among others, and point at it in the request."""
    fault = fault_of(1, "", refusal)
    if "entry" not in refusal.facts and not fault.pointer:
        return refusal
    facts = {name: fact for name, fact in refusal.facts.items() if name != "entry"}
    error = {"pointer": f"/json{fault.pointer}", "code": fault.code, "detail": fault.sentence}
    return type(refusal)(fault.sentence, **{**facts, "errors": [error]})


def currency_of(book: str) -> str:
    """Give the currency of a book; the database is asked once a process, not each time."""
    with transaction() as session:
        return own_currency(session, book)


def lines_of(own: str, sent: Iterable[Mapping[str, Any]]) -> tuple[Line, ...]:
    """Shape the lines of a request; those that name no currency are in the book's `own`."""
    return tuple(
        Line(
            account=line["account"],
            amount_minor=line["amount"],
            currency=line["currency"] or own,
            party_id=line["party_id"],
            vat_code=line["vat_code"],
            tax_base_minor=line["tax_base"],
            dimensions=line["dimensions"] or None,
            text=line["text"],
            item=ItemDraft(**line["item"]) if line["item"] else None,
            base_minor=line["base_amount"],
        )
        for line in sent
    )


def _entry(draft: dict[str, Any], key: str, own: str) -> EntryDraft:
    return EntryDraft(
        series=draft["series"],
        effective_date=draft["effective_date"],
        document_date=draft["document_date"] or draft["effective_date"],
        entry_type=draft["entry_type"],
        source_ref=key,
        text=draft["text"],
        lines=lines_of(own, draft["lines"]),
        document_ref=draft["document_ref"],
        reverses_entry_id=draft["reverses_entry_id"],
    )


_merger: Merger[Single, Settled] = Merger(
    post_singles,
    weigh=lambda single: len(single.entry.lines),
    most=MOST_ENTRIES,
    most_weight=MOST_LINES,
    observe=MERGED.observe,
)
