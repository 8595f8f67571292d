"""Drafts of manual journals over REST: write, attach, submit, judge."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import Any

from flask import Response
from flask.views import MethodView

from ledger import service
from ledger.api.draft_schemas import (
    AttachedFileSchema,
    DraftChangeSchema,
    DraftListArguments,
    DraftListSchema,
    DraftSchema,
    DraftVersionsSchema,
    DraftViewSchema,
    JudgedSchema,
    JudgementSchema,
    PostingSchema,
    WithdrawSchema,
)
from ledger.api.entries import currency_of, lines_of
from ledger.attachments import SIZE_MAX, Attachment
from ledger.db import transaction
from ledger.drafts import Draft, draft_entry
from ledger.journal import Posted
from ledger.refusals import DraftChanged, UnknownDraft
from ledger.service import draft_reading, drafting
from ledger.service.answers import IdempotencyKeyReused
from ledger.vault import vault
from ledger.web import Blueprint, current_actor, scope
from ledger.web.etags import require_match
from ledger.web.fields import IdempotencyKeySchema
from ledger.web.once import once

blueprint = Blueprint(
    "drafts", __name__, url_prefix="/api/v1", description="Drafts of manual journals and approvals"
)


@blueprint.route("/drafts")
class Drafts(MethodView):
    """The drafts of a book."""

    @scope("ledger:read")
    @blueprint.arguments(DraftListArguments, location="query")
    @blueprint.response(HTTPStatus.OK, DraftListSchema)
    def get(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """List drafts, newest first."""
        with transaction() as session:
            service.require_book(session, wanted["book"])
            rows = draft_reading.list_drafts(
                session, wanted["book"], state=wanted["state"], before=wanted["before"],
                limit=wanted["limit"],
            )  # fmt: skip
        more = rows[-1].draft_id if len(rows) == wanted["limit"] else None
        return {**wanted, "drafts": rows, "next": more}

    @scope("ledger:post")
    @blueprint.arguments(DraftSchema)
    @blueprint.arguments(IdempotencyKeySchema, location="headers")
    @blueprint.response(HTTPStatus.CREATED, DraftViewSchema)
    @blueprint.alt_response(
        HTTPStatus.OK, schema=DraftViewSchema, success=True,
        description="The key was used before for this very draft; Idempotency-Hit is true",
    )  # fmt: skip
    def post(self, draft: dict[str, Any], headers: dict[str, str]) -> Any:
        """Open a draft; the same Idempotency-Key opens it once."""
        try:
            with transaction() as session:
                view, known = drafting.create_draft(
                    session, _draft(draft), actor=current_actor().reference, key=headers["key"],
                    ready=draft["ready"],
                )  # fmt: skip
        except DraftChanged as refusal:
            raise IdempotencyKeyReused(str(refusal), **refusal.facts) from refusal
        status = HTTPStatus.OK if known else HTTPStatus.CREATED
        return view, status, _headers(view, known=known)


@blueprint.route("/drafts/<int:draft_id>")
class OneDraft(MethodView):
    """One draft."""

    @scope("ledger:read")
    @blueprint.response(HTTPStatus.OK, DraftViewSchema)
    def get(self, draft_id: int) -> Any:
        """Show a draft with its latest version; the ETag is what a change must match."""
        with transaction() as session:
            view = draft_reading.read_draft(session, draft_id)
        return view, HTTPStatus.OK, _headers(view)

    @scope("ledger:post")
    @blueprint.arguments(DraftChangeSchema)
    @blueprint.response(HTTPStatus.OK, DraftViewSchema)
    def put(self, change: dict[str, Any], draft_id: int) -> Any:
        """Write the next version of a draft; needs If-Match. An approval never carries over."""
        with transaction() as session:
            view = draft_reading.read_draft(session, draft_id)
            require_match(_etag(view), f"draft {draft_id}")
            kept = change["attachments"]
            files = tuple(a for a in view.draft.attachments if kept is None or a.sha256 in kept)
            if kept is not None and (lost := set(kept) - {file.sha256 for file in files}):
                raise UnknownDraft(f"Draft {draft_id} has no attachment {min(lost)}.")
            saved = drafting.save_draft(
                session, draft_id, view.latest.version_no,
                replace(_draft(change), attachments=files),
                actor=current_actor().reference, ready=change["ready"],
            )  # fmt: skip
        return saved, HTTPStatus.OK, _headers(saved)


@blueprint.route("/drafts/<int:draft_id>/versions")
class Versions(MethodView):
    """What a draft has said."""

    @scope("ledger:read")
    @blueprint.response(HTTPStatus.OK, DraftVersionsSchema)
    def get(self, draft_id: int) -> Any:
        """List every version with its hash and the verdict on it."""
        with transaction() as session:
            return {"versions": draft_reading.read_draft(session, draft_id).versions}


@blueprint.route("/drafts/<int:draft_id>/attachments")
class Attachments(MethodView):
    """Adding files to a draft."""

    @scope("ledger:post")
    @blueprint.arguments(AttachedFileSchema, location="files")
    @blueprint.arguments(IdempotencyKeySchema, location="headers")
    @blueprint.response(HTTPStatus.CREATED, DraftViewSchema)
    @blueprint.alt_response(
        HTTPStatus.OK, schema=DraftViewSchema, success=True,
        description="The draft carries this very file already; Idempotency-Hit is true",
    )  # fmt: skip
    def post(self, files: dict[str, Any], headers: dict[str, str], draft_id: int) -> Any:
        """Attach a file (multipart, field `file`); needs If-Match and writes a version."""
        del headers  # The file's own hash is what makes a retry known.
        name, content = files["file"].filename or "", files["file"].read(SIZE_MAX + 1)
        with transaction() as session:
            before = draft_reading.read_draft(session, draft_id)
            view, known = drafting.attach(
                session, vault(), draft_id, before.latest.version_no, name, content,
                actor=current_actor().reference,
            )  # fmt: skip
            if not known:
                require_match(_etag(before), f"draft {draft_id}")
        status = HTTPStatus.OK if known else HTTPStatus.CREATED
        return view, status, _headers(view, known=known)


@blueprint.route("/drafts/<int:draft_id>/attachments/<sha256>")
class OneAttachment(MethodView):
    """One file of a draft."""

    @scope("ledger:read")
    @blueprint.alt_response(
        HTTPStatus.OK, schema={"type": "string", "format": "binary"}, content_type="*/*",
        success=True, description="The file, as of the kind that it is",
    )  # fmt: skip
    def get(self, draft_id: int, sha256: str) -> Response:
        """Give the file, checked against its hash."""
        return file_of(draft_id, sha256)


@blueprint.route("/drafts/<int:draft_id>/approval")
class Approval(MethodView):
    """The verdict of another person."""

    @scope("ledger:approve")
    @blueprint.arguments(JudgementSchema)
    @blueprint.arguments(IdempotencyKeySchema, location="headers")
    @blueprint.response(HTTPStatus.OK, JudgedSchema)
    def post(self, said: dict[str, str], headers: dict[str, str], draft_id: int) -> Any:
        """Approve and post, or reject with a comment, the version that has the hash."""
        del headers  # One verdict per version: a retry of the same finds the first.
        wanted, person = bytes.fromhex(said["content_hash"]), current_actor().reference
        with transaction() as session:
            if said["verdict"] == "approved":
                return _posted(drafting.approve(
                    session, draft_id, wanted, approver=person, comment=said["comment"]
                ))  # fmt: skip
            drafting.reject(session, draft_id, wanted, approver=person, comment=said["comment"])
        return {"state": "rejected", "entry_id": None, "batch_id": None, "voucher": None}


@blueprint.route("/drafts/<int:draft_id>/posting")
class Posting(MethodView):
    """Posting what no rule wants a second person for."""

    @scope("ledger:post")
    @blueprint.arguments(PostingSchema)
    @blueprint.arguments(IdempotencyKeySchema, location="headers")
    @blueprint.response(HTTPStatus.OK, JudgedSchema)
    def post(self, said: dict[str, str], headers: dict[str, str], draft_id: int) -> Any:
        """Post a submitted draft; refused where an approval rule is in force."""
        del headers  # A draft is posted once: a retry finds the voucher.
        with transaction() as session:
            return _posted(drafting.post_unapproved(
                session, draft_id, bytes.fromhex(said["content_hash"]),
                actor=current_actor().reference,
            ))  # fmt: skip


@blueprint.route("/drafts/<int:draft_id>/withdrawal")
class WithdrawalOfDraft(MethodView):
    """Taking a draft back."""

    @scope("ledger:post")
    @once
    @blueprint.arguments(WithdrawSchema)
    @blueprint.arguments(IdempotencyKeySchema, location="headers")
    @blueprint.response(HTTPStatus.OK, DraftViewSchema)
    def post(self, said: dict[str, str], headers: dict[str, str], draft_id: int) -> Any:
        """Withdraw a draft of your own, with the reason; needs If-Match and is final."""
        del headers  # `once` answers a retry.
        with transaction() as session:
            before = draft_reading.read_draft(session, draft_id, to_change=True)
            require_match(_etag(before), f"draft {draft_id}")
            view = drafting.withdraw(
                session, draft_id, actor=current_actor().reference, reason=said["reason"]
            )
        return view, HTTPStatus.OK, _headers(view)


def file_of(draft_id: int, sha256: str) -> Response:
    """Answer with an attachment that a browser saves and never shows or runs."""
    with transaction() as session:
        file: Attachment = draft_reading.draft_attachment(session, draft_id, sha256)
    response = Response(vault().get(file.sha256), mimetype=file.media_type)
    response.headers.set("Content-Disposition", "attachment", filename=file.name)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


def _draft(body: dict[str, Any]) -> Draft:
    lines = lines_of(currency_of(body["book"]), body["lines"])
    entry = draft_entry(
        body["series"], body["effective_date"], body["document_date"], body["text"], lines,
        body["document_ref"],
    )  # fmt: skip
    return Draft(body["book"], entry)


def _posted(posted: Posted) -> dict[str, Any]:
    return {
        "state": "posted",
        "entry_id": posted.entry_ids[0],
        "batch_id": posted.batch_id,
        "voucher": posted.vouchers[0],
    }


def _etag(view: draft_reading.DraftView) -> str:
    return f"{view.latest.version_no}-{view.latest.content_hash.hex()[:16]}"


def _headers(view: draft_reading.DraftView, *, known: bool = False) -> dict[str, str]:
    hit = {"Idempotency-Hit": "true"} if known else {}
    return {"ETag": f'"{_etag(view)}"', **hit}
