"""What drafts of manual journals look like over REST."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields, validate

from ledger.api.entries import EntryPostedSchema, LineSchema, VoucherSchema
from ledger.drafts import LINES_MAX, STATES, TEXT_LENGTH_MAX, Draft, content_of
from ledger.web.fields import BookSchema, Day, Money, Whole

_HASH = Whole("^[0-9a-f]{64}$")


class DraftSchema(BookSchema):
    """What a manual journal is to say."""

    series = fields.String(load_default="JNL")
    effective_date = Day(required=True)
    document_date = Day(required=True)
    text = fields.String(required=True, validate=validate.Length(0, TEXT_LENGTH_MAX))
    document_ref = fields.String(load_default=None, allow_none=True)
    lines = fields.List(
        fields.Nested(LineSchema), required=True, validate=validate.Length(0, LINES_MAX)
    )
    ready = fields.Boolean(
        load_default=True,
        metadata={"description": "True asks for approval: the draft is tried against the books."},
    )


class DraftChangeSchema(DraftSchema):
    """What a manual journal is to say from now on."""

    attachments = fields.List(
        fields.String(validate=_HASH), load_default=None,
        metadata={"description": "Hashes of the attachments that stay; left out, all of them."},
    )  # fmt: skip


class AttachmentSchema(Schema):
    """A file beside a draft."""

    sha256 = fields.String(required=True)
    name = fields.String(required=True)
    size = fields.Integer(required=True, metadata={"description": "Octets."})
    media_type = fields.String(required=True)


class VerdictSchema(Schema):
    """What another person said of a version."""

    approver = fields.String(required=True)
    verdict = fields.String(required=True, validate=validate.OneOf(["approved", "rejected"]))
    comment = fields.String(required=True)
    recorded_at = fields.AwareDateTime(required=True)


class DraftVersionSchema(Schema):
    """What a draft said at some moment."""

    version = fields.Integer(required=True, attribute="version_no")
    author = fields.String(required=True)
    recorded_at = fields.AwareDateTime(required=True)
    ready = fields.Boolean(required=True)
    content_hash = fields.Function(lambda version: version.content_hash.hex(), required=True)
    journal = fields.Function(lambda version: _journal(version.draft), required=True)
    attachments = fields.List(
        fields.Nested(AttachmentSchema), required=True, attribute="draft.attachments"
    )
    verdict = fields.Nested(VerdictSchema, required=True, allow_none=True)


class WithdrawalSchema(Schema):
    """Who took a draft back, and why."""

    actor = fields.String(required=True)
    reason = fields.String(required=True)
    recorded_at = fields.AwareDateTime(required=True)


class DraftViewSchema(Schema):
    """A draft: where it stands, and its latest version."""

    draft_id = fields.Integer(required=True)
    book = fields.String(required=True)
    state = fields.String(required=True, validate=validate.OneOf(STATES))
    created_by = fields.String(required=True)
    created_at = fields.AwareDateTime(required=True)
    batch_id = fields.Integer(required=True, allow_none=True)
    withdrawal = fields.Nested(WithdrawalSchema, required=True, allow_none=True)
    latest = fields.Nested(DraftVersionSchema, required=True)


class DraftVersionsSchema(Schema):
    """Every version of a draft, oldest first."""

    versions = fields.List(fields.Nested(DraftVersionSchema), required=True)


class DraftListArguments(BookSchema):
    """Which drafts are wanted."""

    state = fields.String(load_default=None, validate=validate.OneOf(STATES))
    before = fields.Integer(
        load_default=None, metadata={"description": "The `next` of the page before."}
    )
    limit = fields.Integer(load_default=100, validate=validate.Range(1, 1000))


class DraftRowSchema(Schema):
    """A draft in a list."""

    draft_id = fields.Integer(required=True)
    version = fields.Integer(required=True, attribute="version_no")
    state = fields.String(required=True)
    text = fields.String(required=True)
    author = fields.String(required=True)
    effective_date = Day(required=True)
    debit = Money(required=True, attribute="debit_minor")
    attachments = fields.Integer(required=True)
    changed_at = fields.AwareDateTime(required=True)


class DraftListSchema(DraftListArguments):
    """Drafts, newest first."""

    drafts = fields.List(fields.Nested(DraftRowSchema), required=True)
    next = fields.Integer(required=True, allow_none=True)


class JudgementSchema(Schema):
    """A verdict on the version with this hash, and on no other."""

    verdict = fields.String(required=True, validate=validate.OneOf(["approved", "rejected"]))
    content_hash = fields.String(required=True, validate=_HASH)
    comment = fields.String(load_default="", validate=validate.Length(0, 2_000))


class JudgedSchema(EntryPostedSchema):
    """What a verdict led to: a voucher, or back to the author."""

    state = fields.String(required=True)
    entry_id = fields.Integer(required=True, allow_none=True)
    batch_id = fields.Integer(required=True, allow_none=True)
    voucher = fields.Nested(VoucherSchema, required=True, allow_none=True)


class PostingSchema(Schema):
    """The version with this hash is to be posted without a second person."""

    content_hash = fields.String(required=True, validate=_HASH)


class WithdrawSchema(Schema):
    """Why a draft is taken back."""

    reason = fields.String(required=True, validate=validate.Length(1, 2_000))


class AttachedFileSchema(Schema):
    """A file to attach."""

    file = fields.Raw(required=True, metadata={"type": "string", "format": "binary"})


def _journal(draft: Draft) -> dict[str, Any]:
    """Write what a draft says; its attachments stand beside it."""
    content = content_of(draft)
    del content["attachments"]
    return content
