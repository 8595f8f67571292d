"""The pure side of seals: the tree, the encodings, and what a signature covers."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ledger.seals import (
    NO_BLOCK,
    SealedBlock,
    block_hash,
    block_payload,
    follow_path,
    is_signed,
    merkle_path,
    merkle_root,
    row_content,
    row_leaf,
    value_text,
)

BLOCK = SealedBlock(
    block_no=1,
    prev_hash=NO_BLOCK,
    member_root=sha256(b"members").digest(),
    first_position=1,
    last_position=2,
    batch_count=2,
    entry_count=3,
    line_count=9,
    debit_totals={"NOK": 125_00, "EUR": 10**19},
    master_root=sha256(b"master").digest(),
    master_count=4,
    sealed_columns={"allocation": ["a", "b"]},
    horizon="747",
    signed_at=datetime(2026, 3, 31, 12, tzinfo=UTC),
    key_id="0123456789abcdef",
)
contents = st.lists(st.binary(max_size=40), min_size=1, max_size=70)


def rfc6962(leaves: list[bytes]) -> bytes:
    """The definition of RFC 6962, word for word and slow."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\0" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\1" + rfc6962(leaves[:split]) + rfc6962(leaves[split:])).digest()


@given(st.lists(st.binary(max_size=40), max_size=70))
def test_the_tree_is_that_of_the_rfc(leaves: list[bytes]) -> None:
    """Level by level gives what the recursive definition gives, for any number of leaves."""
    assert merkle_root(leaves) == rfc6962(leaves)


@given(contents, st.data())
def test_a_path_leads_to_the_root_from_its_own_leaf_only(
    leaves: list[bytes], pick: st.DataObject
) -> None:
    """Each leaf's path proves it, and no other content."""
    index = pick.draw(st.integers(0, len(leaves) - 1))
    path = merkle_path(leaves, index)
    assert follow_path(leaves[index], path) == merkle_root(leaves)
    assert follow_path(leaves[index] + b"x", path) != merkle_root(leaves)
    assert len(path) <= max(1, (len(leaves) - 1).bit_length())


def test_a_node_cannot_pass_for_a_leaf() -> None:
    """Leaves and nodes are hashed apart, so that a tree cannot be read as a smaller one."""
    left, right = (sha256(b"\0" + leaf).digest() for leaf in (b"a", b"b"))
    assert merkle_root([left + right]) != merkle_root([b"a", b"b"])


def test_every_field_of_a_block_is_signed() -> None:
    """A change of any field changes the bytes under the signature."""
    key = Ed25519PrivateKey.generate()
    signature, public = key.sign(block_payload(BLOCK)), key.public_key().public_bytes_raw()
    assert is_signed(block_payload(BLOCK), signature, public)
    changes = {
        "debit_totals": {"NOK": 125_01, "EUR": 10**19},
        "sealed_columns": {"allocation": ["a"]},
        "signed_at": BLOCK.signed_at + timedelta(microseconds=1),
        "horizon": "748",
        "key_id": "0123456789abcdee",
    }
    for field in fields(SealedBlock):
        before = getattr(BLOCK, field.name)
        after = changes.get(field.name)
        if after is None:
            after = before + 1 if isinstance(before, int) else bytes([1]) + before[1:]
        other = replace(BLOCK, **{field.name: after})
        assert not is_signed(block_payload(other), signature, public), field.name
        assert block_hash(other) != block_hash(BLOCK), field.name


def test_a_signature_of_odd_length_is_no_crash() -> None:
    """Bytes that are no signature and no key are refused like wrong ones."""
    assert not is_signed(b"x", b"short", bytes(32))
    assert not is_signed(b"x", bytes(64), b"short")


def test_values_are_written_alike_wherever_they_are_read() -> None:
    """Instants do not depend on a time zone, JSON not on the order of its keys."""
    noon = datetime(2026, 3, 31, 14, tzinfo=timezone(timedelta(hours=2)))
    assert value_text(noon) == "2026-03-31T12:00:00.000000Z"
    assert value_text({"b": 1, "a": ["ø", None]}) == '{"a":["ø",null],"b":1}'
    assert value_text(Decimal("1E+3")) == "1000"
    assert value_text(Decimal("0.1000")) == "0.1000"
    assert value_text(memoryview(b"\x00\xff")) == "00ff"
    assert (value_text(True), value_text(-5)) == ("true", "-5")


def test_a_column_that_old_rows_do_not_fill_changes_no_hash() -> None:
    """A migration may add a column: rows without a value in it keep their leaf."""
    before = row_content(["a"], [1])
    assert row_leaf("t", row_content(["a", "b"], [1, None])) == row_leaf("t", before)


pairs = st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=4)


@given(pairs, pairs, st.text(max_size=3), st.text(max_size=3))
def test_two_rows_have_one_leaf_only_if_they_are_equal(
    left: dict[str, str], right: dict[str, str], table: str, other: str
) -> None:
    """No boundary between texts can be moved without changing the encoding."""
    same = row_leaf(table, left) == row_leaf(other, right)
    assert same == ((table, left) == (other, right))
