"""Drafts of manual journals: two people, one hash, and nothing in the books until both agree."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger import db, service
from ledger.attachments import SIZE_MAX, AttachmentRefused
from ledger.db import transaction
from ledger.db.server import PrivateServer
from ledger.drafts import Draft, draft_entry
from ledger.errors import Problem
from ledger.journal import BatchDraft, Line
from ledger.refusals import (
    ApprovalNeeded,
    DraftChanged,
    DraftIsPosted,
    EntryNotBalanced,
    ManualPostingRefused,
    NotAwaitingApproval,
    OwnDraft,
    PeriodClosed,
    PolicyReachesBack,
    UnknownDraft,
    UnknownSeries,
)
from ledger.service import draft_reading, drafting
from ledger.vault import vault

BOOK, DAY = "NO01", date(2026, 3, 31)
ANNA, BERIT, CARL = "staff:anna", "staff:berit", "staff:carl"
PDF = b"%PDF-1.7\nA receipt.\n"


def journal(*amounts: int, accounts: tuple[str, ...] = ("7830", "1920"), day: date = DAY) -> Draft:
    """A bank charge, or whatever the amounts make of it."""
    lines = tuple(
        Line(account, amount)
        for account, amount in zip(accounts, amounts or (125_50, -125_50), strict=True)
    )
    return Draft(BOOK, draft_entry("JNL", day, day, "Bank charge", lines))


def submitted(
    session: Session, draft: Draft | None = None, key: str = "k"
) -> draft_reading.DraftView:
    """A draft of Anna's that waits for somebody else."""
    view, _ = drafting.create_draft(session, draft or journal(), actor=ANNA, key=key, ready=True)
    return view


def journals(session: Session) -> int:
    """How many entries the books hold."""
    return int(session.scalar(text("SELECT count(*) FROM journal_entry")) or 0)


@pytest.fixture
def opened(books: str, session: Session) -> Session:
    """A session over a seeded book, rolled back afterwards."""
    return session


def test_a_draft_is_no_fact_until_another_person_approves_it(opened: Session) -> None:
    """Submitting posts nothing; the approval posts it, in both names, and the books hold."""
    view = submitted(opened)
    assert (view.state, journals(opened)) == ("submitted", 0)
    posted = drafting.approve(
        opened, view.draft_id, view.latest.content_hash, approver=BERIT, comment="Seen."
    )
    assert str(posted.vouchers[0]) == "JNL/2026/1"
    names = opened.execute(
        text("SELECT source_system, source_ref, created_by, approved_by FROM posting_batch")
    ).one()
    assert tuple(names) == ("manual", f"draft/{view.draft_id}", ANNA, BERIT)
    done = draft_reading.read_draft(opened, view.draft_id)
    assert (done.state, done.batch_id) == ("posted", posted.batch_id)
    opened.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
    assert service.verify(opened) == []


def test_the_entry_names_the_hash_that_was_approved(opened: Session) -> None:
    """So its seal covers the draft, and the attachments that the draft names."""
    view = submitted(opened)
    posted = drafting.approve(opened, view.draft_id, view.latest.content_hash, approver=BERIT)
    entry = service.read_entry(opened, posted.entry_ids[0])
    assert entry.source_ref == f"draft/{view.draft_id}/{view.latest.content_hash.hex()}"


def test_nobody_judges_what_they_wrote(opened: Session) -> None:
    """Not the one who opened it, not the one who changed it since; the third person may."""
    view = submitted(opened)
    changed = drafting.save_draft(
        opened, view.draft_id, 1, journal(10_00, -10_00), actor=BERIT, ready=True
    )
    for writer in (ANNA, BERIT):
        with pytest.raises(OwnDraft, match="Another person"), opened.begin_nested():
            drafting.approve(opened, view.draft_id, changed.latest.content_hash, approver=writer)
    drafting.approve(opened, view.draft_id, changed.latest.content_hash, approver=CARL)


def test_an_edit_asks_for_a_new_approval(opened: Session) -> None:
    """What the approver read is not what would be posted: refused, both ways of asking."""
    first = submitted(opened)
    second = drafting.save_draft(
        opened, first.draft_id, 1, journal(99_00, -99_00), actor=ANNA, ready=True
    )
    with pytest.raises(DraftChanged):
        drafting.approve(opened, first.draft_id, first.latest.content_hash, approver=BERIT)
    with pytest.raises(DraftChanged, match="version 2"), opened.begin_nested():
        drafting.save_draft(opened, first.draft_id, 1, journal(), actor=CARL, ready=False)
    assert second.latest.version_no == 2


def test_approving_twice_posts_once(opened: Session) -> None:
    """A retry answers as the first time; another person's is refused, and so is an edit."""
    view = submitted(opened)
    wanted = view.latest.content_hash
    first = drafting.approve(opened, view.draft_id, wanted, approver=BERIT)
    again = drafting.approve(opened, view.draft_id, wanted, approver=BERIT)
    assert (again.batch_id, again.replayed, journals(opened)) == (first.batch_id, True, 1)
    with pytest.raises(DraftIsPosted), opened.begin_nested():
        drafting.approve(opened, view.draft_id, wanted, approver=CARL)
    with pytest.raises(DraftIsPosted), opened.begin_nested():
        drafting.save_draft(opened, view.draft_id, 1, journal(), actor=ANNA, ready=False)


def test_a_rejection_needs_a_reason_and_ends_with_the_next_version(opened: Session) -> None:
    """The author reads why, changes it and submits again; the rejected version stays rejected."""
    view = submitted(opened)
    wanted = view.latest.content_hash
    back = drafting.reject(opened, view.draft_id, wanted, approver=BERIT, comment="Which bank?")
    assert back.state == "rejected"
    assert back.latest.verdict is not None
    assert back.latest.verdict.comment == "Which bank?"
    with pytest.raises(NotAwaitingApproval, match="rejected by staff:berit"), opened.begin_nested():
        drafting.approve(opened, view.draft_id, wanted, approver=CARL)
    better = drafting.save_draft(opened, view.draft_id, 1, journal(), actor=ANNA, ready=True)
    assert better.state == "submitted"


def test_what_is_not_submitted_is_not_judged(opened: Session) -> None:
    """An unfinished draft may be unbalanced and empty; it cannot be approved."""
    loose = journal(125_50, -1_00)
    view, _ = drafting.create_draft(opened, loose, actor=ANNA, key="k", ready=False)
    with pytest.raises(NotAwaitingApproval, match="not been submitted"), opened.begin_nested():
        drafting.approve(opened, view.draft_id, view.latest.content_hash, approver=BERIT)
    with pytest.raises(EntryNotBalanced):
        drafting.save_draft(opened, view.draft_id, 1, loose, actor=ANNA, ready=True)
    empty = Draft(BOOK, draft_entry("JNL", DAY, DAY, "", ()))
    assert (
        drafting.save_draft(opened, view.draft_id, 1, empty, actor=ANNA, ready=False).state
        == "draft"
    )


@pytest.mark.parametrize(
    ("draft", "refusal"),
    [
        (journal(1, -1, accounts=("1500", "1920")), Problem),
        (journal(1, -1, accounts=("1530", "1920")), ManualPostingRefused),
        (journal(day=date(2031, 1, 1)), Problem),
        (replace(journal(), entry=replace(journal().entry, series="SAL")), UnknownSeries),
    ],
)  # fmt: skip
def test_the_author_meets_what_the_books_refuse(
    opened: Session, draft: Draft, refusal: type[Problem]
) -> None:
    """Submitting tries the posting; the approver is not bothered with what cannot be posted."""
    with pytest.raises(refusal), opened.begin_nested():
        submitted(opened, draft)
    assert draft_reading.list_drafts(opened, BOOK) == []


def test_a_period_that_closed_since_keeps_both_approval_and_posting_away(books: str) -> None:
    """The reason is told and nothing is stored: the draft still waits."""
    with transaction() as session:
        view = submitted(session)
        service.lock_period(
            session, BOOK, "2026-03", module="GL", level="soft", actor=CARL, reason="Closed"
        )
    with pytest.raises(PeriodClosed), transaction() as session:
        drafting.approve(session, view.draft_id, view.latest.content_hash, approver=BERIT)
    with transaction() as session:
        after = draft_reading.read_draft(session, view.draft_id)
        assert (after.state, after.latest.verdict, journals(session)) == ("submitted", None, 0)


def test_the_same_key_opens_one_draft(opened: Session) -> None:
    """A retry finds the draft; the key with other content is refused."""
    first, fresh = drafting.create_draft(opened, journal(), actor=ANNA, key="k", ready=True)
    again, known = drafting.create_draft(opened, journal(), actor=ANNA, key="k", ready=True)
    assert (first.draft_id, fresh, known) == (again.draft_id, False, True)
    with pytest.raises(DraftChanged, match="other content"):
        drafting.create_draft(opened, journal(1, -1), actor=ANNA, key="k", ready=True)


def test_an_attachment_is_part_of_what_is_approved(opened: Session) -> None:
    """Adding a file is a version with another hash; the file comes back from the vault by it."""
    view = submitted(opened)
    more, known = drafting.attach(
        opened, vault(), view.draft_id, 1, "../../receipt.PDF", PDF, actor=ANNA
    )
    assert (more.latest.version_no, known) == (2, False)
    assert more.latest.content_hash != view.latest.content_hash
    (file,) = more.draft.attachments
    assert (file.name, file.media_type, file.size) == ("receipt.PDF", "application/pdf", len(PDF))
    assert draft_reading.draft_attachment(opened, view.draft_id, file.sha256) == file
    assert vault().get(file.sha256) == PDF
    again = drafting.attach(opened, vault(), view.draft_id, 1, "receipt.pdf", PDF, actor=ANNA)
    assert (again[0].latest.version_no, again[1]) == (2, True)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.pdf", b""), ("x.txt", b"a" * (SIZE_MAX + 1)), ("x.exe", b"MZ\x00\x01"),
        ("x.pdf", b"<html><script>alert(1)</script>"), ("x.xlsx", b"PK\x03\x04 not a zip"),
    ],
)  # fmt: skip
def test_other_files_are_not_taken(opened: Session, name: str, content: bytes) -> None:
    """Judged by its bytes, whatever it is called; the draft stays as it was."""
    view = submitted(opened)
    with pytest.raises(AttachmentRefused):
        drafting.attach(opened, vault(), view.draft_id, 1, name, content, actor=ANNA)
    assert draft_reading.read_draft(opened, view.draft_id).draft.attachments == ()


def test_a_rule_says_from_a_day_what_needs_approval(opened: Session) -> None:
    """By default everything; from today only from 1,000.00, and anything on a bank account."""
    small, large = submitted(opened), submitted(opened, journal(1_000_00, -1_000_00), "large")
    bank = submitted(opened, journal(1_00, -1_00), "bank")
    with pytest.raises(ApprovalNeeded):
        drafting.post_unapproved(opened, small.draft_id, small.latest.content_hash, actor=ANNA)
    today = opened.scalar(text("SELECT ledger_policy_day()"))
    assert today is not None
    rule = {"entry_type": "manual", "valid_from": today, "actor": CARL}
    drafting.set_approval_policy(
        opened, BOOK, account_prefix="", amount_from_minor=1_000_00, **rule
    )
    drafting.post_unapproved(opened, small.draft_id, small.latest.content_hash, actor=ANNA)
    drafting.set_approval_policy(opened, BOOK, account_prefix="19", amount_from_minor=0, **rule)
    for view in (large, bank):
        with pytest.raises(ApprovalNeeded):
            drafting.post_unapproved(opened, view.draft_id, view.latest.content_hash, actor=ANNA)
    with pytest.raises(PolicyReachesBack):
        drafting.set_approval_policy(
            opened, BOOK, entry_type="manual", account_prefix="", amount_from_minor=None,
            valid_from=today - timedelta(1), actor=CARL,
        )  # fmt: skip


def test_an_unknown_draft_is_told(opened: Session) -> None:
    """By number, and by attachment."""
    with pytest.raises(UnknownDraft):
        draft_reading.read_draft(opened, 4711)
    with pytest.raises(UnknownDraft):
        draft_reading.draft_attachment(opened, 4711, "0" * 64)


def test_accounts_of_a_sub_ledger_take_no_manual_entries(opened: Session) -> None:
    """Whatever the road into the journal: the database refuses, and names the line."""
    entry = replace(
        journal(1, -1, accounts=("1920", "1530")).entry, source_ref="by hand", effective_date=DAY
    )
    with pytest.raises(ManualPostingRefused, match="Line 2: account 1530") as refused:
        service.post_batch(opened, BatchDraft(BOOK, "test", "by hand", ANNA, (entry,)))
    assert refused.value.facts["account"] == "1530"


FORGED = (
    "INSERT INTO draft_version (draft_id, version_no, ready, author, content, content_hash)"
    " SELECT draft_id, {version}, true, '{author}', content, content_hash FROM draft_version"
)
JUDGED = (
    "INSERT INTO draft_approval SELECT draft_id, {version}, {hash}, '{approver}', 'approved', ''"
    " FROM draft_version"
)
ATTACKS = {
    "a version out of order": (FORGED.format(version=3, author="x"), "HB051"),
    "a version written over": (FORGED.format(version=1, author="x"), "HB051"),
    "an approval by the author": (
        JUDGED.format(version=1, hash="content_hash", approver=ANNA), "HB054",
    ),
    "an approval of another hash": (
        JUDGED.format(version=1, hash="sha256('x')", approver=BERIT), "HB051",
    ),
    "an approval of a version to come": (
        JUDGED.format(version=2, hash="content_hash", approver=BERIT), "HB051",
    ),
    "closed by a batch that is not its own": (
        ("INSERT INTO draft_posted SELECT draft_id, 1, (SELECT max(batch_id) FROM posting_batch)"
        " FROM draft_version"), "HB091",
    ),
    "a withdrawal by somebody else": (
        ("INSERT INTO draft_withdrawn (draft_id, actor, reason) SELECT draft_id, 'x', 'x'"
         " FROM draft_version"), "HB047",
    ),
    "an approval of what was withdrawn": (
        (f"INSERT INTO draft_withdrawn (draft_id, actor, reason) SELECT draft_id, '{ANNA}', 'x'"
         " FROM draft_version;" + JUDGED.format(version=1, hash="content_hash", approver=BERIT)),
        "HB046",
    ),
    "a withdrawal taken back": (
        (f"INSERT INTO draft_withdrawn (draft_id, actor, reason) SELECT draft_id, '{ANNA}', 'x'"
         " FROM draft_version; DELETE FROM draft_withdrawn"), "HB090",
    ),
    "access that reaches back": (
        ("INSERT INTO book_access (holder, is_granted, valid_from, reason, recorded_by)"
         " VALUES ('staff:x', true, '2001-01-01', 'x', 'x')"), "HB045",
    ),
    "a rule that reaches back": (
        ("INSERT INTO approval_policy (book_id, entry_type, account_prefix, valid_from, actor)"
        " SELECT book_id, 'manual', '', '2001-01-01', 'x' FROM book"), "HB056",
    ),
    "an attachment without a version": (
        ("INSERT INTO draft_attachment SELECT draft_id, repeat('0', 64), 9, 'x', 1, 'x', 'x'"
        " FROM draft_version"), "23503",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_the_owner_meets_the_rules_of_drafts(pg: PrivateServer, books: str, name: str) -> None:
    """Whoever inserts: order, other eyes, and that what is posted is what was approved."""
    with transaction() as session:
        submitted(session)
        entry = replace(journal().entry, source_ref="other")
        service.post_batch(session, BatchDraft(BOOK, "test", "other", "x", (entry,)))
    statement, state = ATTACKS[name]
    url = pg.url("owner", books).replace("+psycopg", "", 1)
    with psycopg.connect(url) as connection, pytest.raises(psycopg.Error) as refused:
        connection.execute(statement)
    assert refused.value.sqlstate == state, refused.value


def test_a_changed_draft_is_found(pg: PrivateServer, books: str) -> None:
    """A superuser who rewrites what was approved is found by the hash, and by the posted entry."""
    with transaction() as session:
        view = submitted(session)
        drafting.approve(session, view.draft_id, view.latest.content_hash, approver=BERIT)
    url = pg.url("postgres", books).replace("+psycopg", "", 1)
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(
            "UPDATE draft_version SET content = jsonb_set(content, '{text}', '\"Gift\"')"
        )
    with transaction("auditor") as session:
        faults = [fault for fault in service.verify(session) if fault.check == "draft"]
    assert [fault.where for fault in faults] == ["draft 1 version 1"] * 2
    db.engine().dispose()
