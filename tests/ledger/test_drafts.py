"""What a draft says, pure: written down and read back, hashed, and judged before it is stored."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.attachments import NAME_LENGTH_MAX, Attachment, check_file, safe_name, sniff
from ledger.drafts import (
    Draft,
    as_batch,
    check_complete,
    check_storable,
    compare_lines,
    content_hash,
    content_of,
    difference,
    draft_entry,
    draft_of,
)
from ledger.errors import Problem
from ledger.journal import ItemDraft, Line
from ledger.refusals import AmountNotAString, EntryNotBalanced, MalformedEntry
from ledger.unstorable import NumberTooLarge, TextHoldsNul, TextTooLong

DAY = date(2026, 3, 31)
texts = st.text(st.characters(exclude_categories=["C"]), max_size=20)
some = st.none() | texts.filter(bool)
amounts = st.integers(-(10**14), 10**14)
days = st.dates(date(2000, 1, 1), date(2100, 1, 1))
items = st.builds(
    ItemDraft, kind=texts, document_ref=texts, kid=some, document_date=days, due_date=days
)
lines = st.builds(
    Line,
    account=texts, amount_minor=amounts, currency=st.sampled_from(["NOK", "EUR"]),
    party_id=st.none() | st.integers(1, 2**40), vat_code=some,
    tax_base_minor=st.none() | amounts,
    dimensions=st.none() | st.dictionaries(texts, texts, min_size=1, max_size=2),
    item=st.none() | items, text=some, base_minor=st.none() | amounts,
)  # fmt: skip
files = st.builds(
    Attachment, sha256=st.just("a" * 64), name=texts, size=st.integers(1, 99), media_type=texts
)
drafts = st.builds(
    Draft,
    book=texts,
    entry=st.builds(
        draft_entry, texts, days, days, texts, st.lists(lines, max_size=4).map(tuple), some
    ),
    attachments=st.lists(files, max_size=2).map(tuple),
)


def bank_charge(*amounts_: int) -> Draft:
    """A journal of bank charges with these amounts."""
    made = tuple(Line("7830", amount) for amount in amounts_)
    return Draft("NO01", draft_entry("JNL", DAY, DAY, "Bank charge", made))


@given(drafts)
def test_a_draft_is_read_back_as_it_was_written(draft: Draft) -> None:
    """Also through JSON, with the keys in any order: and so its hash is the same."""
    content = content_of(draft)
    turned = json.loads(json.dumps(dict(reversed(content.items()))))
    assert draft_of(turned) == draft
    assert content_hash(turned) == content_hash(content)


@given(drafts, drafts)
def test_drafts_that_differ_have_other_hashes(one: Draft, other: Draft) -> None:
    """Every field of it is in the hash."""
    same = content_hash(content_of(one)) == content_hash(content_of(other))
    assert same == (one == other)


def test_the_hash_is_the_one_that_is_documented() -> None:
    """An auditor can recompute it: prefix, sorted keys, no blanks, UTF-8."""
    from hashlib import sha256

    content = {"b": ["å", 1], "a": None}
    assert (
        content_hash(content)
        == sha256(b"hovedbok-draft/1\n" + '{"a":null,"b":["å",1]}'.encode()).digest()
    )


def test_the_batch_names_the_draft_and_the_entry_its_hash() -> None:
    """Posted once per draft; the entry is bound to the attachments as well."""
    draft = bank_charge(5, -5)
    batch = as_batch(draft, 7, "staff:anna")
    assert (batch.source_system, batch.source_ref, batch.actor) == (
        "manual", "draft/7", "staff:anna",
    )  # fmt: skip
    (entry,) = batch.entries
    assert entry.entry_type == "manual"
    assert entry.source_ref == f"draft/7/{content_hash(content_of(draft)).hex()}"
    file = Attachment("a" * 64, "receipt.pdf", 9, "application/pdf")
    proved = as_batch(replace(draft, attachments=(file,)), 7, "staff:anna")
    assert proved.entries[0].source_ref != entry.source_ref


def test_an_unfinished_draft_may_be_kept_but_not_submitted() -> None:
    """No balance, no accounts, no text: all of it can wait until it is submitted."""
    loose = Draft("NO01", draft_entry("JNL", DAY, DAY, "", (Line("", 0), Line("1920", 5))))
    check_storable(loose)
    check_storable(Draft("NO01", draft_entry("JNL", DAY, DAY, "", ())))
    with pytest.raises(MalformedEntry, match="text"):
        check_complete(loose)
    with pytest.raises(EntryNotBalanced):
        check_complete(bank_charge(5, -4))
    check_complete(bank_charge(5, -5))


@pytest.mark.parametrize(
    ("draft", "kind"),
    [
        (bank_charge(10**15, 1), NumberTooLarge),
        (bank_charge(*[1] * 1_001), MalformedEntry),
        (Draft("NO01", draft_entry("JNL", DAY, DAY, "NUL\0", ())), TextHoldsNul),
        (Draft("NO01", draft_entry("JNL", DAY, DAY, "x" * 501, ())), TextTooLong),
        (Draft("NO01", draft_entry("JNL", DAY, DAY, "", (Line("\ud800", 1),))), MalformedEntry),
        (Draft("NO01", draft_entry("JNL", DAY, DAY, "", ()),
               (Attachment("a" * 64, "x", 1, "text/plain"),) * 21), MalformedEntry),
    ],
)  # fmt: skip
def test_what_no_column_holds_is_refused_at_once(draft: Draft, kind: type[Problem]) -> None:
    """Even unfinished."""
    with pytest.raises(kind):
        check_storable(draft)


GOOD = {
    "effective_date": "2026-03-31",
    "text": "x",
    "lines": [{"account": "1920", "amount": "1.00"}],
}


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"effective_date": "31.03.2026"}, "/effective_date"),
        ({"text": 5}, "/text"),
        ({"lines": {}}, "/lines"),
        ({"lines": [3]}, "/lines/0"),
        ({"lines": [{"account": "1920", "amount": "1", "acount": ""}]}, "/lines/0/acount"),
        ({"lines": [{"account": 1920, "amount": "1"}]}, "/lines/0/account"),
        ({"lines": [{"account": "1920", "amount": "1", "party_id": True}]}, "/lines/0/party_id"),
        ({"lines": [{"account": "1", "amount": "1", "dimensions": 1}]}, "/lines/0/dimensions"),
        ({"series": None}, "/series"),
        ({"reverses_entry_id": 1}, "/reverses_entry_id"),
    ],
)
def test_a_file_that_is_no_draft_is_told_where(change: dict[str, object], pointer: str) -> None:
    """A mistyped name is not dropped, and a wrong kind is not guessed at."""
    assert draft_of(GOOD).entry.document_date == DAY
    with pytest.raises(MalformedEntry) as refused:
        draft_of({**GOOD, **change})
    assert refused.value.facts["pointer"] == pointer


def test_a_float_is_refused_as_such() -> None:
    """It has lost øre already."""
    for name, amount in (("amount", 1.5), ("amount", 1), ("tax_base", 1.5), ("base_amount", 0)):
        line = {"account": "1920", "amount": "1.00", name: amount}
        with pytest.raises(AmountNotAString, match=f"^/lines/0/{name}: .*not JSON numbers") as told:
            draft_of({**GOOD, "lines": [line]})
        assert told.value.facts["pointer"] == f"/lines/0/{name}"
    for amount in (None, "1,00", "1e3", []):
        with pytest.raises(MalformedEntry, match=r"^/lines/0/amount"):
            draft_of({**GOOD, "lines": [{"account": "1920", "amount": amount}]})
    with pytest.raises(NumberTooLarge, match=r"^/lines/0/amount"):
        draft_of({**GOOD, "lines": [{"account": "1920", "amount": "9" * 19}]})


def test_versions_are_laid_side_by_side() -> None:
    """What changed, what came and what went, by place."""
    before, after = (Line("1920", 1), Line("7830", -1)), (Line("1920", 2),)
    told = compare_lines(before, after)
    assert [(x.before, x.after, x.changed) for x in told] == [
        (before[0], after[0], True), (before[1], None, True),
    ]  # fmt: skip
    assert not compare_lines(before, before)[0].changed
    assert difference((Line("1", 5), Line("2", -3), Line("3", 7, "EUR"))) == {"NOK": 2, "EUR": 7}


@pytest.mark.parametrize(
    ("given_name", "safe"),
    [
        ("../../etc/passwd", "passwd"), ("C:\\bilag\\a.pdf", "a.pdf"), ("", "attachment"),
        ("...", "attachment"), ('a"b;c\r\nd.pdf', "a_b_cd.pdf"), ("a\u202efdp.exe", "afdp.exe"),
        ("Kvittering år 2026.pdf", "Kvittering år 2026.pdf"),
        ("x" * 200 + ".pdf", "x" * 116 + ".pdf"),
    ],
)  # fmt: skip
def test_names_are_made_safe(given_name: str, safe: str) -> None:
    """One part, printable, nothing that a header, a shell or a file system reads as its own."""
    assert safe_name(given_name) == safe


@given(st.text())
def test_any_name_ends_safe(name: str) -> None:
    """Never empty, never long, never a path, and safe again is the same."""
    safe = safe_name(name)
    assert 0 < len(safe) <= NAME_LENGTH_MAX
    assert not set(safe) & set('/\\\0\r\n"')
    assert safe_name(safe) == safe


@pytest.mark.parametrize(
    ("content", "name", "media_type"),
    [
        (b"%PDF-1.7", "x", "application/pdf"), (b"\x89PNG\r\n\x1a\n..", "x", "image/png"),
        (b"\xff\xd8\xff\xe0", "x", "image/jpeg"), (b"a;b\n1;2\n", "x.csv", "text/csv"),
        (b"Hei\n", "x.csv.txt", "text/plain"),
        (b"<?xml version='1.0'?><a/>", "x", "application/xml"),
        (b"<!doctype html>", "x.txt", None), (b"<svg/>", "x.xml", None),
        (b"PK\x03\x04", "x.xlsx", None),
        (b"\x7fELF\x01\x00", "x.txt", None), (b"\xe5rlig", "x.txt", None),
    ],
)  # fmt: skip
def test_the_bytes_say_what_a_file_is(content: bytes, name: str, media_type: str | None) -> None:
    """The name decides between kinds of text only."""
    assert sniff(content, name) == media_type


def test_a_name_gets_the_ending_of_what_it_is() -> None:
    """A PDF that calls itself a program is saved as a PDF."""
    assert check_file("x.exe", b"%PDF-1.7") == ("x.exe.pdf", "application/pdf")
    with pytest.raises(Problem, match="empty"):
        check_file("x.pdf", b"")
