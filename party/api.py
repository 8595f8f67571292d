"""Customers over REST: search, and one customer with accounts and subscriptions."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask.views import MethodView
from marshmallow import Schema, fields, validate

from ledger.db import transaction
from ledger.web import Api, Blueprint, scope
from party import service

blueprint = Blueprint(
    "party", __name__, url_prefix="/api/v1", description="Customers, accounts, subscriptions"
)


def register(api: Api) -> None:
    """Add party's resources to the API."""
    api.register_blueprint(blueprint)


class SearchArguments(Schema):
    """What is looked for: a name, a customer number, a billing account or a phone number."""

    q = fields.String(load_default="", validate=validate.Length(0, 100))
    limit = fields.Integer(load_default=50, validate=validate.Range(1, 1000))


class CustomerSummarySchema(Schema):
    """A customer as a list shows it."""

    party_id = fields.Integer(required=True)
    customer_no = fields.String(required=True)
    name = fields.String(required=True)
    kind = fields.String(required=True)
    org_no = fields.String(required=True, allow_none=True)


class FoundSchema(SearchArguments):
    """The customers that match."""

    customers = fields.List(fields.Nested(CustomerSummarySchema), required=True)


class BillingAccountSchema(Schema):
    """A billing account."""

    billing_account_id = fields.Integer(required=True)
    account_no = fields.String(required=True)
    segment = fields.String(required=True)


class SubscriptionSchema(Schema):
    """A subscription; `active_to` is exclusive and null while it lasts."""

    subscription_id = fields.Integer(required=True)
    subscription_ref = fields.String(required=True)
    offering = fields.String(required=True)
    msisdn = fields.String(required=True, allow_none=True)
    active_from = fields.AwareDateTime(required=True)
    active_to = fields.AwareDateTime(required=True, allow_none=True)


class CustomerSchema(CustomerSummarySchema):
    """A customer with address, billing accounts and subscriptions."""

    street = fields.String(required=True)
    postcode = fields.String(required=True)
    city = fields.String(required=True)
    country = fields.String(required=True)
    email = fields.String(required=True, allow_none=True)
    accounts = fields.List(fields.Nested(BillingAccountSchema), required=True)
    subscriptions = fields.List(fields.Nested(SubscriptionSchema), required=True)


@blueprint.route("/customers")
class Customers(MethodView):
    """Finding customers."""

    @scope("party:read")
    @blueprint.arguments(SearchArguments, location="query")
    @blueprint.response(HTTPStatus.OK, FoundSchema)
    def get(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Search customers by name, customer number, billing account or phone number."""
        with transaction() as session:
            found = service.search_customers(session, wanted["q"], limit=wanted["limit"])
        return {**wanted, "customers": found}


@blueprint.route("/customers/<int:party_id>")
class Customer(MethodView):
    """One customer."""

    @scope("party:read")
    @blueprint.response(HTTPStatus.OK, CustomerSchema)
    def get(self, party_id: int) -> Any:
        """Show a customer with billing accounts and subscriptions."""
        with transaction() as session:
            return service.customer(session, party_id)
