"""OCR giro: what is written is read, and what does not tie is refused with its place."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediation.formats.ocr_giro import (
    REVERSALS,
    WITH_TEXT,
    Assignment,
    ControlTotalsDiffer,
    Payment,
    Transmission,
    read,
    recognises,
)
from mediation.formats.ocr_records import ServiceNotRead
from mediation.formats.problems import BrokenFile
from tests.mediation.bank_files import (
    APRIL,
    KID,
    PAYMENT,
    lines_of,
    octets_of,
    placed,
    transmission,
    written,
)

NAME = "OCR_20260420_0001.txt"
# What ISO-8859-1 can print, from blank to y with diaeresis.
LATIN = st.sampled_from([chr(code) for code in (*range(0x20, 0x7F), *range(0xA0, 0x100))])


def _digits(width: int) -> st.SearchStrategy[str]:
    return st.integers(0, 10**width - 1).map(lambda number: f"{number:0{width}d}")


def _text(width: int) -> st.SearchStrategy[str | None]:
    return st.text(LATIN, max_size=width).map(lambda text: text.strip(" ") or None)


DAYS = st.dates(date(1980, 1, 1), date(2079, 12, 31)).filter(lambda day: day != date(2000, 1, 1))
# A sum has seventeen digits, and no sign; so have amounts, which must not fill it alone.
AMOUNTS = st.integers(0, 10**12)


@st.composite
def payments(draw: st.DrawFn) -> Payment:
    """Draw a payment of any type; reversals have no sign, and texts belong to two types."""
    kind = draw(st.integers(10, 21))
    amount = draw(AMOUNTS)
    deducted = kind not in REVERSALS and draw(st.booleans())
    kid = st.from_regex(r"[0-9]{3,24}[0-9-]", fullmatch=True)
    return Payment(
        line_no=0, kind=kind, tx_no=draw(st.integers(0, 9_999_999)), settled=draw(DAYS),
        centre=draw(_digits(2)), day_code=draw(_digits(2)), part=draw(st.integers(0, 9)),
        serial=draw(st.integers(0, 99_999)), amount_minor=-amount if deducted else amount,
        kid=draw(st.none() | kid), card_issuer=draw(_digits(2)), form_no=draw(_digits(10)),
        reference=draw(_text(9)), bank_date=draw(st.none() | DAYS),
        debit_account=draw(st.none() | _digits(11)),
        text=draw(_text(40)) if kind in WITH_TEXT else None,
    )  # fmt: skip


ASSIGNMENTS = st.builds(
    Assignment,
    st.just(0), _digits(9), st.integers(1, 3), _digits(11),
    st.lists(payments(), max_size=4).map(tuple), st.none() | DAYS,
)  # fmt: skip
TRANSMISSIONS = st.builds(
    Transmission,
    st.integers(0, 9_999_999), _digits(8), _digits(8),
    st.lists(ASSIGNMENTS, max_size=4).map(tuple), st.none() | DAYS, st.just(0),
)  # fmt: skip


@given(TRANSMISSIONS, st.sampled_from(["\n", "\r\n"]), st.booleans(), st.integers(0, 3))
def test_what_is_written_is_read(sent: Transmission, end: str, mark: bool, blanks: int) -> None:
    """Every field comes back, whatever the line ends, mark in front and blank lines behind."""
    raw = octets_of(lines_of(sent) + [""] * blanks, end)
    raw = b"\xef\xbb\xbf" * mark + raw
    assert recognises(raw[:100])
    assert read(raw, NAME) == placed(sent)


def _read_or_refuse(raw: bytes) -> Transmission | BrokenFile:
    try:
        return read(raw, NAME)
    except BrokenFile as problem:
        return problem


@given(st.data())
def test_no_changed_character_changes_the_money(data: st.DataObject) -> None:
    """One wrong character is refused, or leaves amounts and days as they were."""
    sent = transmission([PAYMENT, replace(PAYMENT, amount_minor=-25_00)], [PAYMENT])
    raw = bytearray(octets_of(lines_of(sent)))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    told = _read_or_refuse(bytes(raw))
    if isinstance(told, BrokenFile):
        assert told.facts["file"] == NAME
        assert told.facts["line"]
    else:
        assert told.amount_minor == sent.amount_minor
        assert [p.settled for a in told.assignments for p in a.payments] == [APRIL] * 3


@given(st.binary(max_size=400))
def test_no_octets_crash_the_reader(raw: bytes) -> None:
    """Octets that are no file of the bank are refused by a Problem with a line."""
    told = _read_or_refuse(b"NY000010" + raw)
    assert isinstance(told, BrokenFile)
    assert "line" in told.facts


def test_credit_notes_are_deducted_and_reversals_added() -> None:
    """The sign counts in the sums, except for reversals, which are added whatever it says."""
    bought = replace(PAYMENT, kind=19, amount_minor=100_00)
    lines = lines_of(
        transmission(
            [bought, replace(bought, kind=10, amount_minor=-30_00), replace(bought, kind=18)]
        )
    )
    lines[6] = lines[6][:31] + "-" + lines[6][32:]
    told = read(octets_of(lines), NAME)
    assert [p.amount_minor for p in told.assignments[0].payments] == [100_00, -30_00, 100_00]
    assert told.amount_minor == 170_00


def test_two_assignments_with_one_number_are_both_kept() -> None:
    """The bank may use an assignment number twice; neither hides the other."""
    sent = transmission([PAYMENT], [replace(PAYMENT, amount_minor=75_00)])
    twice = replace(sent, assignments=tuple(replace(part, number=7) for part in sent.assignments))
    told = read(octets_of(lines_of(twice)), NAME)
    assert [(part.number, part.amount_minor) for part in told.assignments] == [
        (7, 125_00),
        (7, 75_00),
    ]


@pytest.mark.parametrize("kid", ["300000010000014", "123456789-", "12A", None])
def test_a_bad_kid_is_no_fault_of_the_file(kid: str | None) -> None:
    """The money arrived whatever the KID says, so the file is read and the KID kept as written."""
    told = read(written([replace(PAYMENT, kid=kid)]), NAME)
    assert told.assignments[0].payments[0].kid == kid


@pytest.mark.parametrize("line", [6, 7])
@pytest.mark.parametrize(
    ("field", "first", "last", "declared"),
    [("transactions", 9, 16, 3), ("records", 17, 24, 99), ("sum", 25, 41, 250_01)],
)
def test_totals_that_do_not_tie_refuse_the_file(
    line: int, field: str, first: int, last: int, declared: int
) -> None:
    """A count or sum of an assignment or of the transmission is refused with both figures."""
    lines = lines_of(transmission([PAYMENT, PAYMENT]))
    lines[line] = lines[line][: first - 1] + f"{declared:0{last - first + 1}d}" + lines[line][last:]
    with pytest.raises(ControlTotalsDiffer) as refused:
        read(octets_of(lines), NAME)
    found = {"transactions": 2, "records": 6 if line == 6 else 8, "sum": 250_00}[field]
    assert refused.value.facts == {
        "file": NAME, "line": line + 1, "field": field, "declared": declared, "found": found,
    }  # fmt: skip
    assert str(declared) in str(refused.value)
    assert str(found) in str(refused.value)


@pytest.mark.parametrize(
    ("amounts", "line", "position"), [([10**15], 3, 33), ([10**15 - 1, 1], 7, 25)]
)
def test_more_than_the_books_hold_is_a_fault_of_the_file(
    amounts: list[int], line: int, position: int
) -> None:
    """Seventeen digits fit in a record; no bank paid them out, so it must send the file again."""
    raw = written([replace(PAYMENT, amount_minor=amount) for amount in amounts])
    with pytest.raises(BrokenFile, match="more than the books can hold") as refused:
        read(raw, NAME)
    assert (refused.value.facts["line"], refused.value.facts["position"]) == (line, position)


def _changed(line: int, first: int, text: str) -> list[str]:
    lines = lines_of(transmission([PAYMENT]))
    lines[line] = lines[line][: first - 1] + text + lines[line][first - 1 + len(text) :]
    return lines


@pytest.mark.parametrize(
    ("lines", "line", "position"),
    [
        (_changed(0, 1, "XX"), 1, 1),
        (_changed(0, 12, "x"), 1, 12),
        (_changed(2, 5, "09"), 3, 5),
        (_changed(2, 5, "\xb20"), 3, 5),
        (_changed(2, 7, "33"), 3, 7),
        (_changed(2, 16, "310226"), 3, 16),
        (_changed(2, 16, "000000"), 3, 16),
        (_changed(2, 16, "210426"), 3, 16),
        (_changed(2, 32, "+"), 3, 32),
        (_changed(2, 40, "\xb2"), 3, 40),
        (_changed(2, 60, "\x00"), 3, 60),
        (_changed(2, 78, "\t"), 3, 78),
        (_changed(3, 5, "11"), 4, 5),
        (_changed(3, 15, "2"), 4, 15 - 6),
        (_changed(3, 48, " "), 4, 48),
        (_changed(4, 5, "10"), 5, 5),
    ],
)
def test_a_wrong_character_is_named_by_line_and_position(
    lines: list[str], line: int, position: int
) -> None:
    """Letters in numbers, days that do not exist, strangers' marks: each with its place."""
    with pytest.raises(BrokenFile) as refused:
        read(octets_of(lines), NAME)
    assert (refused.value.facts["line"], refused.value.facts["position"]) == (line, position)
    assert str(refused.value).startswith(f"{NAME}, line {line}: ")


@pytest.mark.parametrize("width", [0, 79, 81])
def test_a_record_of_another_width_is_refused(width: int) -> None:
    """Records have eighty characters; a blank line between them is none."""
    lines = lines_of(transmission([PAYMENT]))
    lines[3] = lines[3].ljust(81, "0")[:width]
    with pytest.raises(BrokenFile, match=f"line 4: the record has {width} characters, not 80"):
        read(octets_of(lines), NAME)


@pytest.mark.parametrize(
    ("keep", "line"), [(slice(0, 0), 1), (slice(0, 1), 2), (slice(0, 4), 5), (slice(0, 5), 6)]
)
def test_a_cut_file_is_refused(keep: slice, line: int) -> None:
    """A file that ends too soon says which record is missed, on the line after its last."""
    lines = lines_of(transmission([PAYMENT]))[keep]
    with pytest.raises(BrokenFile, match="the file ends where") as refused:
        read(octets_of(lines), NAME)
    assert refused.value.facts["line"] == line


def test_records_out_of_order_are_refused() -> None:
    """Item 2 without item 1, a start within an assignment, anything after the end."""
    lines = lines_of(transmission([PAYMENT]))
    for order, line in (
        ([0, 1, 3, 2, 4, 5], 3),
        ([0, 1, 1, 2, 3, 4, 5], 3),
        ([0, 1, 2, 3, 4, 5, 0], 7),
        ([0, 2, 3, 4, 5], 2),
    ):
        with pytest.raises(BrokenFile) as refused:
            read(octets_of([lines[index] for index in order]), NAME)
        assert refused.value.facts["line"] == line


def test_marks_of_the_bank_in_unused_positions_are_passed_over() -> None:
    """Files exist with digits where the specification says zero, as in item 2 at 35 to 41."""
    assert read(octets_of(_changed(3, 35, "1234567")), NAME).amount_minor == 125_00


def test_texts_belong_to_two_types() -> None:
    """Item 3 is read for types 20 and 21 and refused for others."""
    told = read(written([replace(PAYMENT, kind=21, text="Takk for æ, ø og å")]), NAME)
    assert told.assignments[0].payments[0].text == "Takk for æ, ø og å"
    with pytest.raises(BrokenFile, match="types 20 and 21 only"):
        read(written([replace(PAYMENT, text="Hei")]), NAME)


def test_another_service_is_refused_by_name() -> None:
    """A file with AvtaleGiro records is sound, but not read here."""
    lines = lines_of(transmission([PAYMENT]))
    lines[1] = "NY210020" + lines[1][8:]
    with pytest.raises(ServiceNotRead, match="service '21'; only 09, OCR giro, is read"):
        read(octets_of(lines), NAME)


@pytest.mark.parametrize("head", [b"", b"NY090020", b"NY0000", b"HDR,MOOX,1,2026-03-31"])
def test_other_files_are_not_recognised(head: bytes) -> None:
    """Only the start of a transmission is the signature."""
    assert not recognises(head)


def test_the_fields_stand_where_the_specification_puts_them() -> None:
    """A file written out by hand reads as its author means it."""
    raw = (
        b"NY00001000008080000000100123456" + b"0" * 49 + b"\r\n"
        b"NY090020001234567000000915030000002" + b"0" * 45 + b"\r\n"
        b"NY091530000000120042601202123450" + b"00000000000012500"
        b"          300000010000013" + b"000000\r\n"
        b"NY09153100000019713000001000000042000000019042686010000001" + b"0" * 22 + b"\r\n"
        b"NY0900880000000100000004" + b"00000000000012500" + b"200426" * 3 + b"0" * 21 + b"\r\n"
        b"NY0000890000000100000006" + b"00000000000012500" + b"200426" + b"0" * 33 + b"\r\n"
    )
    told = read(raw, NAME)
    assert (told.number, told.recipient, told.settled) == (1, "00123456", APRIL)
    assert told.assignments[0] == Assignment(
        2, "001234567", 9, "15030000002",
        (
            Payment(
                3, 15, 1, APRIL, "01", "20", 2, 12345, 125_00, KID, "00", "9713000001",
                "000000042", date(2026, 4, 19), "86010000001",
            ),
        ),
        APRIL,
    )  # fmt: skip
