"""What something would cost, over REST: an event, several, or a month; nothing is kept."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask import g
from flask.views import MethodView
from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from ledger.access import check_allowed
from ledger.db import transaction
from ledger.web import Blueprint, scope
from ledger.web.fields import BookSchema, Day, Money, Whole
from rating import service
from rating.explain import kroner
from rating.quoted_allowances import Remaining
from rating.quoted_asking import Asked, Order
from rating.quoted_events import MAX_EVENTS, QUOTED_USAGE, Event, price_micro, start_as_written
from rating.quoting import Quote
from rating.tariff_terms import CURRENCIES, OCCASIONS
from rating.usage import MAX_QUANTITY

blueprint = Blueprint("rating-quotes", __name__, url_prefix="/api/v1", description="Quotes")
_MICRO = {"description": "Kroner as text, with up to six decimals; money while rating is exact."}


class QuoteEventSchema(Schema):
    """Usage to be priced."""

    usage = fields.String(required=True, validate=validate.OneOf(QUOTED_USAGE))
    start = fields.String(
        required=True,
        metadata={"description": "ISO 8601; without an offset, local time of the tariff.",
                  "example": "2026-03-02T16:59:20"},
    )  # fmt: skip
    quantity = fields.Integer(
        required=True, validate=validate.Range(-MAX_QUANTITY, MAX_QUANTITY),
        metadata={"description": "Seconds, messages, octets, or pieces of content."},
    )  # fmt: skip
    called = fields.String(load_default="", validate=Whole(r"^\d{0,20}$"))
    rating_group = fields.Integer(load_default=0, validate=validate.Range(0, 2**31 - 1))
    service = fields.String(
        load_default="", validate=validate.Length(0, 64),
        metadata={"description": "Of an event that brings its price: content, or a partner's."},
    )  # fmt: skip
    price = fields.String(
        load_default=None, validate=Whole(r"^-?\d{1,12}(\.\d{1,6})?$"),
        metadata={"description": "The price that it brings, of either sign.", "example": "29.00"},
    )  # fmt: skip
    currency = fields.String(
        load_default="", validate=validate.OneOf(["", *CURRENCIES]),
        metadata={"description": "Of that price; left out, the tariff's own."},
    )  # fmt: skip
    vat_included = fields.Boolean(load_default=False, metadata={"description": "In that price."})

    @validates_schema
    def _brings_a_price_by_a_service(self, sent: dict[str, Any], **_kwargs: Any) -> None:
        if not sent["service"] and sent["price"] is not None:
            raise ValidationError("A price comes with an event of a service; name it.", "service")
        if sent["usage"] == "content" and not sent["service"]:
            raise ValidationError("Content is priced by its service; name it.", "service")


class QuoteOrderSchema(Schema):
    """An order that costs something once."""

    on = fields.String(required=True, validate=validate.OneOf(OCCASIONS))
    day = Day(required=True)
    offering = fields.String(
        load_default="",
        metadata={"description": "What is ordered, such as an add-on that tops up an allowance "
                  "from that day on; by default the offering that is asked for."},
    )  # fmt: skip


class RemainingSchema(Schema):
    """What is left of an allowance of the subscription, or rolled over into its month."""

    allowance = fields.String(required=True)
    quantity = fields.Integer(
        required=True, validate=validate.Range(0, MAX_QUANTITY),
        metadata={"description": "Seconds, messages or octets; of money, millionths of a krone."},
    )  # fmt: skip
    months_ago = fields.Integer(
        load_default=0, validate=validate.Range(0, 120),
        metadata={"description": "0 is what is left of the month's own; 1 what rolled over from "
                  "the month before, and so on."},
    )  # fmt: skip
    bought = fields.Boolean(
        load_default=False, metadata={"description": "It is left of top-ups of the month."}
    )
    member_used = fields.Integer(
        load_default=0, validate=validate.Range(0, MAX_QUANTITY),
        metadata={"description": "Of what is shared with a limit for each: what the subscription "
                  "itself has used."},
    )  # fmt: skip


class AskedSchema(BookSchema):
    """A subscription in a month: its usage, the days it is active, its orders.

    With `active_from` the monthly prices are part of it; without, only what the events cost.
    """

    offering = fields.String(
        load_default="",
        metadata={"description": "May be left out where a subscription is asked for."},
    )
    subscription = fields.String(
        load_default=None, allow_none=True, validate=validate.Length(1, 64),
        metadata={"description": "One that exists, by its reference or number: its contract, its "
                  "use so far and all with whom it shares are in the answer. Needs party:read."},
    )  # fmt: skip
    effective_as_of = fields.AwareDateTime(
        load_default=None, allow_none=True,
        metadata={"description": "Of a subscription: what was left of use before that time."},
    )  # fmt: skip
    known_as_of = fields.AwareDateTime(
        load_default=None, allow_none=True,
        metadata={"description": "Of a subscription: by the last rating run recorded by then."},
    )  # fmt: skip
    period = fields.String(
        required=True, validate=Whole(r"^\d{4}-(0[1-9]|1[0-2])$"),
        metadata={"example": "2026-03"},
    )  # fmt: skip
    tariff = fields.String(
        load_default=None,
        metadata={"description": "Which tariff, where several are in force; or a version, also a "
                  "proposal: NORDLYS/2."},
    )  # fmt: skip
    events = fields.List(
        fields.Nested(QuoteEventSchema), load_default=list, validate=validate.Length(0, MAX_EVENTS)
    )
    orders = fields.List(
        fields.Nested(QuoteOrderSchema), load_default=list, validate=validate.Length(0, 100)
    )
    remaining = fields.List(
        fields.Nested(RemainingSchema), load_default=list, validate=validate.Length(0, 100),
        metadata={"description": "What a real subscription may still draw on, before the events. "
                  "What is not said stands as for a new one: whole, and nothing rolled over."},
    )  # fmt: skip
    active_from = Day(load_default=None, allow_none=True)
    active_to = Day(
        load_default=None, allow_none=True, metadata={"description": "The day after the last."}
    )
    language = fields.String(load_default="nb", validate=validate.OneOf(["nb", "en"]))

    @validates_schema
    def _asks_something(self, sent: dict[str, Any], **_kwargs: Any) -> None:
        if not sent["offering"] and sent["subscription"] is None:
            raise ValidationError("Name an offering, or a subscription.", "offering")
        if not sent["events"] and not sent["orders"] and sent["active_from"] is None:
            raise ValidationError("Ask for events, orders, or a month by active_from.", "events")


class PartSchema(Schema):
    """One summand of the price of an event."""

    text = fields.String(required=True)
    amount = fields.Function(lambda part: kroner(part.amount_micro, "en"), metadata=_MICRO)


class QuotedEventSchema(Schema):
    """An event with its price and the reasons for it; without a price it says why."""

    tariff = fields.String(required=True)
    component = fields.String(required=True)
    reason = fields.String(required=True, metadata={"example": "OK"})
    amount = fields.Function(lambda event: kroner(event.amount_micro, "en"), metadata=_MICRO)
    parts = fields.List(fields.Nested(PartSchema), required=True, attribute="explanation.parts")
    sentences = fields.List(fields.String(), required=True, attribute="explanation.sentences")


class QuotedChargeSchema(Schema):
    """A charge as it would stand on the bill."""

    component = fields.String(required=True)
    kind = fields.String(required=True)
    text = fields.String(required=True)
    price_basis = fields.String(required=True, validate=validate.OneOf(["gross", "net"]))
    vat_code = fields.String(required=True, attribute="vat")
    quantity = fields.Integer(required=True)
    amount = Money(required=True, attribute="amount_minor")
    sentences = fields.List(fields.String(), required=True)
    billing_account = fields.String(
        required=True,
        metadata={"description": "The number of the account that pays, of a real subscription; "
                  "else empty."},
    )  # fmt: skip


class QuotedBalanceSchema(Schema):
    """What a real subscription may draw on before the events, as the last rating run left it."""

    subscription = fields.String(required=True)
    offering = fields.String(required=True)
    remaining = fields.List(fields.Nested(RemainingSchema), required=True)
    run_id = fields.Integer(
        required=True, allow_none=True,
        metadata={"description": "The rating run that left it; null before the month is rated."},
    )  # fmt: skip
    known_at = fields.AwareDateTime(required=True, allow_none=True)
    effective_as_of = fields.AwareDateTime(required=True, allow_none=True)


class QuoteSchema(Schema):
    """What it all would cost. Nothing is kept."""

    tariffs = fields.List(fields.String(), required=True)
    priced = fields.Boolean(required=True)
    events = fields.List(fields.Nested(QuotedEventSchema), required=True)
    charges = fields.List(fields.Nested(QuotedChargeSchema), required=True)
    net = Money(required=True, allow_none=True, attribute="net_minor")
    vat = Money(required=True, allow_none=True, attribute="vat_minor")
    gross = Money(required=True, allow_none=True, attribute="gross_minor")
    balance = fields.Nested(QuotedBalanceSchema, required=True, allow_none=True)
    left_out = fields.List(
        fields.String(), required=True,
        metadata={"description": "What is not in it, in sentences of the language asked for."},
    )  # fmt: skip


@blueprint.route("/quotes")
class Quotes(MethodView):
    """Asking for a price."""

    @scope("tariffs:read")
    @blueprint.arguments(AskedSchema)
    @blueprint.response(HTTPStatus.OK, QuoteSchema)
    def post(self, sent: dict[str, Any]) -> Quote:
        """Price events, orders and months of one subscription; nothing is posted or kept."""
        asked = Asked(
            offering=sent["offering"], period=sent["period"],
            events=tuple(
                Event(one["usage"], start_as_written(one["start"]), one["quantity"], one["called"],
                      one["rating_group"], one["service"], price_micro(one["price"]),
                      one["currency"], one["vat_included"])
                for one in sent["events"]
            ),
            orders=tuple(
                Order(one["on"], one["day"], one["offering"]) for one in sent["orders"]
            ),
            active_from=sent["active_from"], active_to=sent["active_to"],
            remaining=tuple(
                Remaining(one["allowance"], one["quantity"], one["months_ago"], one["bought"],
                          one["member_used"])
                for one in sent["remaining"]
            ),
        )  # fmt: skip
        if sent["subscription"] is not None:
            check_allowed(g.actor, "party:read")
        with transaction() as session:
            return service.quote(
                session, asked, sent["language"], tariff=sent["tariff"], book=sent["book"],
                subscription=sent["subscription"], effective_as_of=sent["effective_as_of"],
                known_as_of=sent["known_as_of"],
            )  # fmt: skip
