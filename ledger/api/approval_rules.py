"""Approval rules over REST: which manual journals need a second person, and since when."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask.views import MethodView
from marshmallow import Schema, fields, validate

from ledger.db import transaction
from ledger.service import draft_reading, drafting
from ledger.service.draft_reading import ApprovalPolicy
from ledger.web import Blueprint, current_actor, scope
from ledger.web.fields import BookSchema, Day, IdempotencyKeySchema, Money, Whole
from ledger.web.once import once

blueprint = Blueprint(
    "ledger-approval-rules", __name__, url_prefix="/api/v1",
    description="Which manual journals need a second person",
)  # fmt: skip


class ApprovalRuleSchema(Schema):
    """From a day on: entries of this debit or more, with an account that begins so."""

    entry_type = fields.String(load_default="manual", validate=validate.OneOf(["manual"]))
    account_prefix = fields.String(
        load_default="", validate=Whole("^[0-9]{0,10}$"),
        metadata={"description": "The first digits of an account; empty is any account."},
    )  # fmt: skip
    amount_from = Money(
        required=True, allow_none=True, attribute="amount_from_minor",
        metadata={"description": "The least debit of an entry, in the book's currency; null ends "
                  "the rule."},
    )  # fmt: skip
    valid_from = Day(required=True)
    actor = fields.String(dump_only=True)


class ApprovalRulesSchema(BookSchema):
    """The approval rules of a book, ended ones too, the newest of each kind first."""

    rules = fields.List(fields.Nested(ApprovalRuleSchema), required=True)


class NewApprovalRuleSchema(ApprovalRuleSchema, BookSchema):
    """A rule to set from a day on, today or later; the one before it holds until then."""


@blueprint.route("/approval-rules")
class ApprovalRules(MethodView):
    """The approval rules of a book."""

    @scope("ledger:read")
    @blueprint.arguments(BookSchema, location="query")
    @blueprint.response(HTTPStatus.OK, ApprovalRulesSchema)
    def get(self, wanted: dict[str, str]) -> dict[str, Any]:
        """List the approval rules, past and to come."""
        with transaction() as session:
            found = draft_reading.approval_policies(session, wanted["book"])
        return {**wanted, "rules": found}

    @scope("access:write")
    @once
    @blueprint.arguments(NewApprovalRuleSchema)
    @blueprint.arguments(IdempotencyKeySchema, location="headers")
    @blueprint.response(HTTPStatus.CREATED, ApprovalRuleSchema)
    def post(self, wanted: dict[str, Any], _headers: dict[str, str]) -> ApprovalPolicy:
        """Say from a day on which manual journals need a second person."""
        book, actor = wanted.pop("book"), current_actor().reference
        with transaction() as session:
            drafting.set_approval_policy(session, book, actor=actor, **wanted)
        return ApprovalPolicy(**wanted, actor=actor)
