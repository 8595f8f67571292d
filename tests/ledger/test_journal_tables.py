"""Journal files as tables, damaged or made up: refused with the place, and never half believed."""

from __future__ import annotations

import random
import tracemalloc
from datetime import date
from decimal import Decimal
from io import BytesIO
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from ledger.intake import Defaults, Drafted, Fault, JournalFileUnreadable, read_entries

HEADER = b"entry,effective_date,account,amount\n"


def read(source: bytes, file_format: str) -> list[Drafted | Fault]:
    """Read a whole file."""
    return list(read_entries(BytesIO(source), file_format, "f", Defaults("file", "NOK")))


def columns(**changes: Any) -> dict[str, Any]:
    """The columns of one entry of two lines."""
    return {
        "entry": ["a", "a"], "effective_date": [date(2026, 3, 31)] * 2, "entry_text": ["Rent"] * 2,
        "account": ["4300", "1920"], "amount": [Decimal("5.00"), Decimal("-5.00")],
    } | changes  # fmt: skip


def written(table: dict[str, Any], **how: Any) -> bytes:
    """Write columns as Parquet."""
    sink = BytesIO()
    parquet.write_table(pa.table(table), sink, **how)
    return sink.getvalue()


@given(st.randoms(use_true_random=False), st.sampled_from(["none", "snappy", "zstd", "gzip"]))
def test_damage_to_a_parquet_file_is_a_refusal(chance: random.Random, packed: str) -> None:
    """A cut, flipped octets and a tail: entries, faults, or a refusal of the file by name."""
    raw = bytearray(written(columns(), compression=packed))
    for _ in range(chance.choice((1, 2, 20))):
        raw[chance.randrange(len(raw))] = chance.randrange(256)
    source = bytes(raw)[: chance.choice((len(raw), chance.randrange(1, len(raw)) or 1))]
    try:
        found = read(source, "parquet")
    except JournalFileUnreadable as refusal:
        said = str(refusal)
    else:
        assert all(isinstance(one, Drafted | Fault) for one in found)
        return
    assert said.startswith("f: ")
    assert "rite " in said or "columns" in said


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (pa.array([["x"], ["y"]]), "list"),
        (pa.array([{"a": 1}, {"a": 2}]), "struct"),
        (pa.array([b"Rent", b"Rent"]), "binary"),
        (pa.array([1, 1], pa.duration("s")), "duration"),
    ],
)
def test_a_column_of_what_is_no_text_is_refused_by_name(cells: pa.Array, kind: str) -> None:
    """Octets are not written into the journal as Python would show them."""
    with pytest.raises(JournalFileUnreadable, match=f"column entry_text is of type {kind}"):
        read(written(columns(entry_text=cells)), "parquet")


def test_a_cell_that_cannot_be_read_is_a_fault_of_its_row() -> None:
    """A day beyond the calendar, and text that is none; the other entries go on."""
    far = pa.array([20_000, 2**30, 20_000, 20_000], pa.int32()).cast(pa.date32())
    table = {"entry": ["a", "b", "c", "c"], "effective_date": far,
             "account": ["4300", "4300", "4300", "1920"],
             "amount": ["1.00", "1.00", "2.00", "-2.00"]}  # fmt: skip
    found = read(written(table), "parquet")
    faults = {one.record: one.sentence for one in found if isinstance(one, Fault)}
    assert faults[2].startswith("effective_date cannot be read: days=1073741824")
    letters = pa.Array.from_buffers(pa.string(), 2, pa.array([b"\xff\xfe", b"ok"]).buffers())
    (bad, rest) = read(written(columns(entry_text=letters)), "parquet")
    assert isinstance(bad, Fault)
    assert (bad.record, bad.pointer) == (1, "entry_text")
    assert isinstance(rest, Fault)  # of the entry, of which a row is missing


def test_a_little_parquet_does_not_become_much_memory() -> None:
    """One text that nine thousand rows point to is two gigabytes, written out."""
    rows = 9_000
    same = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), ["x" * 200_000])
    table = {"entry": ["a"] * rows, "effective_date": ["2026-03-31"] * rows,
             "account": ["4300"] * rows, "amount": ["1.00"] * rows, "text": same}  # fmt: skip
    source = written(table, compression="zstd")
    assert len(source) < 5_000
    tracemalloc.start()
    (found,) = read(source, "parquet")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(found, Fault)
    assert found.sentence == "The rows of the entry are longer than 16 MiB together."
    assert most < 200 * 2**20


def test_rows_beyond_what_an_entry_holds_are_counted_and_not_kept() -> None:
    """The refusal says how many there are."""
    (found,) = read(HEADER + b"a,2026-03-31,4300,1.00\n" * 40_000, "csv")
    assert isinstance(found, Fault)
    assert (found.record, found.code) == (2, "entry-too-long")
    assert found.sentence.startswith("The entry has 40000 lines; an entry has at most 32767.")


@pytest.mark.parametrize("place", [1, 2, 3])
def test_what_is_left_of_an_entry_is_not_the_entry(place: int) -> None:
    """Two rows that balance cannot be read: the rest balances too, and is not posted."""
    rows = [b"a,2026-03-31,4300,1.00", b"a,2026-03-31,1920,-1.00", b"b,2026-03-31,4300,2.00",
            b"b,2026-03-31,1920,-2.00"]  # fmt: skip
    lost = [b"a,2026-03-31,4300", b"a,2026-03-31,1920"]
    rows[place:place] = lost
    found = read(HEADER + b"\n".join(rows), "csv")
    entries = [one.source_ref for one in found if isinstance(one, Drafted)]
    assert entries == {1: ["file:b"], 2: [], 3: ["file:a"]}[place]
    said = [one.sentence for one in found if isinstance(one, Fault)]
    assert any("cannot be read and may belong to this entry" in sentence for sentence in said)


@pytest.mark.parametrize("number", ["1_0", "١٢", "1.0", "+7", "0x7", "9" * 5_000])
def test_a_number_is_digits(number: str) -> None:
    """What Python would take for a number is none to who wrote the file."""
    source = f"entry,effective_date,account,amount,party_id\na,2026-03-31,1500,1.00,{number}\n"
    (found,) = read(source.encode(), "csv")
    assert isinstance(found, Fault)
    assert (found.pointer, found.code) == ("party_id", "record-malformed")


@pytest.mark.parametrize("heading", ["x" * 900_000, ",".join(f"c{n}" for n in range(50_000))])
def test_what_is_no_heading_is_not_shown_whole(heading: str) -> None:
    """A sentence fits a screen, whatever was sent for a journal."""
    with pytest.raises(JournalFileUnreadable, match=r"unknown .*missing") as refused:
        read(f"{heading}\n".encode(), "csv")
    assert len(str(refused.value)) < 1_500
    assert len(str(refused.value.facts)) < 1_500
