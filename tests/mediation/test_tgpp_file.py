"""TS 32.297 files: the header's words, the framing of records, and files that are not whole."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediation.formats import BrokenFile, decode, recognise, tgpp_file
from mediation.records import UNDECODABLE, UNSUPPORTED_RECORD, Lost, YearlessTime
from tests.mediation.octets import SAMPLES, call, pgw
from tests.mediation.octets import tgpp_file as written


def _release_8(records: list[bytes]) -> bytes:
    """Write a file of a release that needs no extension octets."""
    raw = written([])
    header = bytearray(raw[:52])
    header[8] = header[9] = 0xA3  # Release 8, version 3
    header[4:8] = (52).to_bytes(4, "big")
    header[18:22] = len(records).to_bytes(4, "big")
    body = b"".join(len(r).to_bytes(2, "big") + b"\xa3\x27" + r for r in records)
    header[0:4] = (52 + len(body)).to_bytes(4, "big")
    return bytes(header) + body


def test_the_header_is_read() -> None:
    """Counts, sequence, release, times and lost records come out as the standard codes them."""
    header = tgpp_file.decode(written([pgw(), pgw()], lost=130)).header
    assert (header.declared_count, header.sequence, header.release) == (2, 9, 17)
    assert (header.node, header.closure_reason) == ("10.20.0.1", 2)
    assert header.opened == header.last_append == YearlessTime(3, 29, 12, 0, 120)
    assert header.lost == Lost(130, 2, exact=True)


def test_releases_up_to_9_have_no_extension_octets() -> None:
    """Their file header is 52 octets, their record headers four."""
    decoded = tgpp_file.decode(_release_8([pgw(), pgw()]))
    assert decoded.header.release == 8
    assert decoded.columns["offset"].tolist() == [56, 56 + len(pgw()) + 4]


def test_private_extensions_are_stepped_over() -> None:
    """The routeing filter and the private extension have lengths of their own."""
    raw = bytearray(written([pgw()]))
    raw[48:52] = b"\0\3abc\0\2de"
    raw[4:8] = (54 + 5).to_bytes(4, "big")
    raw[0:4] = len(raw).to_bytes(4, "big")
    assert tgpp_file.decode(bytes(raw)).record_count == 1
    assert tgpp_file.header_octets(bytes(raw)) == 59


@pytest.mark.parametrize(
    ("indicator", "at_least", "exact"),
    [
        (0, 0, True),
        (1, 1, False),
        (127, 127, False),
        (128, 1, False),
        (129, 1, True),
        (130, 2, True),
        (254, 126, True),
        (255, 127, False),
    ],
)
def test_lost_records(indicator: int, at_least: int, exact: bool) -> None:
    """One octet tells how many records were lost, exactly or at least."""
    assert tgpp_file.read_lost(indicator) == Lost(indicator, at_least, exact=exact)


@pytest.mark.parametrize(
    ("near", "year"), [("2026-03-29", 2026), ("2026-01-02", 2026), ("2025-11-01", 2026)]
)
def test_a_stamp_without_a_year_takes_the_nearest(near: str, year: int) -> None:
    """A file written in March and read in November before belongs to the March that comes."""
    day = datetime.fromisoformat(near).replace(tzinfo=UTC)
    stamp = tgpp_file.read_stamp(bytes.fromhex("3eb00880"))
    assert stamp is not None
    found = datetime.fromtimestamp(stamp.near(int(day.timestamp())), UTC)
    assert found == datetime(year, 3, 29, 10, 0, tzinfo=UTC)


def test_stamps_across_new_year_and_leap_years() -> None:
    """31 December read on 1 January is last year's; 29 February is that of a leap year."""
    new_year = int(datetime(2027, 1, 1, tzinfo=UTC).timestamp())
    eve = YearlessTime(12, 31, 23, 30, 60)
    assert eve.near(new_year) == new_year - 90 * 60
    leap_day = datetime.fromtimestamp(YearlessTime(2, 29, 0, 0, 0).near(new_year), UTC)
    assert leap_day.year == 2028
    assert tgpp_file.read_stamp(bytes(4)) is None


@given(
    st.integers(1_000_000_000, 4_000_000_000).map(lambda s: datetime.fromtimestamp(s, UTC)),
    st.integers(-14 * 60, 14 * 60),
    st.integers(-100, 100),
)
def test_stamps_come_back(moment: datetime, offset: int, days: int) -> None:
    """Encoded and read back near its day, a stamp is the minute it was."""
    local = moment.replace(second=0)
    word = local.month << 28 | local.day << 23 | local.hour << 18 | local.minute << 12
    word |= (offset >= 0) << 11 | abs(offset) // 60 << 6 | abs(offset) % 60
    stamp = tgpp_file.read_stamp(word.to_bytes(4, "big"))
    assert stamp is not None
    epoch = int(local.timestamp()) - offset * 60
    assert stamp.near(epoch + days * 86_400) == epoch


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (written([pgw()])[:-1], "the file has"),
        (written([pgw()]) + b"\0", "the file has"),
        (written([pgw()])[:20], "cut off"),
        (written([pgw(), b"\0" * 300])[:54] + b"\xff\xff\xe9\x27\7", "the file has"),
        (b"", "cut off"),
    ],
)
def test_a_file_that_is_not_whole_is_refused(raw: bytes, words: str) -> None:
    """Its length must be what its header says; the refusal tells where and what to do."""
    with pytest.raises(BrokenFile, match=words) as refused:
        tgpp_file.decode(raw)
    assert "offset" in refused.value.facts
    assert "Fetch the file again" in str(refused.value)


@pytest.mark.parametrize("tail", [b"\0", b"\xff\xff\xe9\x27\7", b"\0\1\xe9\x27", b"\0\1\xa3\x27"])
def test_a_record_header_beyond_the_end_is_refused(tail: bytes) -> None:
    """A record that reaches beyond the file breaks the framing, even where the length is right."""
    raw = written([pgw()]) + tail
    raw = len(raw).to_bytes(4, "big") + raw[4:]
    with pytest.raises(BrokenFile, match="reaches beyond the end") as refused:
        tgpp_file.decode(raw)
    assert refused.value.facts["offset"] == len(raw) - len(tail)


def test_a_record_in_another_encoding_is_a_fault() -> None:
    """Only BER is read; what says it is XML is kept, counted and named."""
    raw = bytearray(written([pgw(), pgw()]))
    raw[54 + 3] = 0x87
    decoded = tgpp_file.decode(bytes(raw))
    [fault] = decoded.faults
    assert (fault.record_no, fault.reason) == (1, UNSUPPORTED_RECORD)
    assert "XML" in fault.detail
    assert decoded.columns["record_no"].tolist() == [2]


def test_a_record_of_another_domain_is_a_fault() -> None:
    """A switch's record among a gateway's does not belong there."""
    raw = bytearray(written([pgw(), call()]))
    raw[54 + 5 + len(pgw()) + 3] = 0x26
    [fault] = tgpp_file.decode(bytes(raw)).faults
    assert (fault.record_no, fault.reason) == (2, UNDECODABLE)


def test_a_file_without_records_is_a_file() -> None:
    """A node that saw no traffic says so; the sequence number is used up."""
    decoded = tgpp_file.decode(written([]))
    assert (decoded.record_count, len(decoded.faults), decoded.header.sequence) == (0, 0, 9)
    assert all(len(column) == 0 for column in decoded.columns.values())


def test_the_declared_count_is_reported_not_judged() -> None:
    """The sample whose header counts one record too many decodes; the gate will stop it."""
    name = "OSLPGW1_-_102.20260329_-_1330+0200"
    raw = (SAMPLES / name).read_bytes()
    decoded = decode(raw, recognise(name, raw, len(raw)))
    assert (decoded.header.declared_count, decoded.record_count) == (9, 8)


@given(st.integers(0, 53), st.integers(0, 255))
def test_any_octet_of_the_header_may_be_wrong(place: int, octet: int) -> None:
    """A header with one octet changed gives a file or a refusal, never anything else."""
    raw = bytearray(written([pgw(), pgw()]))
    raw[place] = octet
    try:
        decoded = tgpp_file.decode(bytes(raw))
    except BrokenFile as why:
        refused_at = int(str(why.facts["offset"]))
    else:
        assert decoded.record_count == 2
        refused_at = 0
    assert 0 <= refused_at <= len(raw)
