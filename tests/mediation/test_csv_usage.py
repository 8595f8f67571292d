"""Usage in CSV: layouts are data, and one bad line costs one line."""

from __future__ import annotations

import random
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import Invalid
from mediation.formats import BrokenFile, UnknownFormat, csv_usage, decode, recognise
from mediation.formats.numbers import encode_number
from mediation.records import BAD_LINE, CONTENT, DATA, SMS_MO, SMS_MT, VOICE_MO, VOICE_MT, Decoded
from rating.usage import NO_PRICE

_HEADER = "interaction,direction,correspondent_id,datetime,call_duration,antenna_id\n"
_PLAIN = "caller,called,start,duration,octets\n"


def _decode(text: str, name: str = "demo_4790000001.csv") -> Decoded:
    raw = text.encode()
    return decode(raw, recognise(name, raw[:4096], len(raw)))


def test_a_persons_usage() -> None:
    """Kind, other party, local time and duration come from columns, the person from the name."""
    decoded = _decode(
        _HEADER
        + "call,in,22000000,2026-03-29 01:59:59,137,13084\n"
        + "text,out,2002,2026-03-29 03:00:00,,\r\n"
    )
    columns = decoded.columns
    assert decoded.header.subject == "4790000001"
    assert columns["kind"].tolist() == [VOICE_MT, SMS_MO]
    assert columns["msisdn"].tolist() == [4790000001, 4790000001]
    assert columns["other"].tolist() == [encode_number("4722000000"), encode_number("02002")]
    assert columns["other_text"].tolist() == [b"22000000", b"2002"]
    assert columns["duration_s"].tolist() == [137, 0]
    assert columns["utc_offset_min"].tolist() == [60, 120]
    assert int(columns["started_at"][1] - columns["started_at"][0]) == 1
    assert columns["length"].tolist() == [46, 35]


def test_a_second_layout_is_only_another_file() -> None:
    """Caller, called, start with its own offset, duration and octets: no code knows these names."""
    decoded = _decode(
        _PLAIN
        + "+4790000001,+4612345678,2026-03-01T08:00:00+0100,61,\n"
        + "90000001,,2026-03-01T07:00:00+0000,3600,5368709120\n",
        "anything",
    )
    columns = decoded.columns
    assert columns["kind"].tolist() == [VOICE_MO, DATA]
    assert columns["msisdn"].tolist() == [4790000001, 4790000001]
    assert columns["started_at"].tolist() == [1_772_348_400, 1_772_348_400]
    assert columns["utc_offset_min"].tolist() == [60, 0]
    assert columns["duration_s"].tolist() == [61, 3600]
    assert columns["octets_down"].tolist() == [0, 5_368_709_120]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("call,in,22000000,2026-03-29 01:59:59", "4 columns"),
        ("call,in,22000000,2026-03-29 01:59:59,12,1,extra", "7 columns"),
        ("call,up,22000000,2026-03-29 01:59:59,12,1", "no kind of usage"),
        ("call,in,22000000,2026-03-32 01:59:59,12,1", "no time"),
        ("call,in,22000000,2026-03-29 02:30:00,12,1", "does not exist in Europe/Oslo"),
        ("call,in,22000000,0001-01-01 00:00:00,12,1", "not of this century"),
        ("call,in,22000000,2026-03-29 01:59:59,,1", "no whole number"),
        ("call,in,22000000,2026-03-29 01:59:59,-5,1", "no whole number"),
        ("call,in,22000000,2026-03-29 01:59:59,1e3,1", "no whole number"),
        ("call,in,22000000,2026-03-29 01:59:59,99999999999999,1", "no whole number"),
        ("call,in," + "2" * 25 + ",2026-03-29 01:59:59,12,1", "24"),
        ('call,in,"22000000,2026-03-29 01:59:59,12,1', "no line of"),
        ("call,in,2200\ufffd0000,2026-03-29 01:59:59,12,1", "24"),
    ],
)
def test_a_bad_line_is_a_fault_and_the_others_go_on(line: str, reason: str) -> None:
    """The fault says which line, where it lies and why; it is counted with the others."""
    good = "call,in,22000000,2026-03-29 01:59:59,137,13084\n"
    decoded = _decode(_HEADER + good + line + "\n" + good)
    [fault] = decoded.faults
    assert (fault.record_no, fault.line, fault.reason) == (2, 3, BAD_LINE)
    assert fault.detail.startswith("Line 3: ")
    assert reason in fault.detail
    assert (fault.offset, fault.length) == (len(_HEADER) + len(good), len(line.encode()))
    assert decoded.columns["record_no"].tolist() == [1, 3]


def test_an_hour_that_comes_twice_is_read_as_the_first() -> None:
    """02:30 on the last Sunday of October is summer time: the file cannot say which it meant."""
    decoded = _decode(_HEADER + "text,in,2002,2026-10-25 02:30:00,,1\n")
    assert decoded.columns["utc_offset_min"].tolist() == [120]
    assert decoded.columns["kind"].tolist() == [SMS_MT]


def test_a_file_name_must_tell_the_subject() -> None:
    """Where the layout takes the person from the name, a name without one is refused."""
    with pytest.raises(BrokenFile, match="does not tell whose usage"):
        _decode(_HEADER, "usage.txt")


def test_other_csv_is_not_usage() -> None:
    """A header of other columns, or of more than the layout knows, is another format."""
    for header in ("antenna_id,latitude,longitude\n", _HEADER.strip() + ",surprise\n"):
        with pytest.raises(UnknownFormat):
            _decode(header)


def test_a_layout_reads_only_what_its_header_names() -> None:
    """A layout with a slip in it is refused when it is loaded, not at the first file."""
    text = Path(csv_usage.__file__).with_name("layouts").joinpath("plain_usage.toml").read_text()
    assert csv_usage.read_layout(text).name == "plain_usage"
    for wrong in (
        text.replace('"called"\n', '"callee"\n'),
        text.replace("octets_down =", "octet_down ="),
        text.replace("started_at =", "octets_up ="),
        text.replace("layout/1", "layout/2"),
    ):
        with pytest.raises(Invalid):
            csv_usage.read_layout(wrong)


def test_every_line_of_the_oracle(shared: Path) -> None:
    """The research files decode whole: counts and seconds are those a plain reading gives."""
    for name, count in (("demo_ego.csv", 314), ("demo_A.csv", 42), ("manual_A.csv", 7)):
        path = shared / "samples" / "usage-bandicoot" / name
        raw = path.read_bytes()
        decoded = decode(path, recognise(name, raw[:4096], len(raw)))
        lines = [line.split(",") for line in raw.decode().splitlines()[1:]]
        assert (decoded.record_count, len(decoded.faults), len(lines)) == (count, 0, count)
        seconds = sum(int(line[4] or 0) for line in lines)
        assert int(decoded.columns["duration_s"].sum()) == seconds
        assert decoded.columns["other_text"].tolist() == [line[2].encode() for line in lines]


@settings(max_examples=100)
@given(st.randoms(use_true_random=False), st.binary(max_size=40))
def test_damage_has_a_known_outcome(chance: random.Random, junk: bytes) -> None:
    """Whatever octets stand after the header, every line is a row or a fault."""
    raw = bytearray((_PLAIN + "4790000001,112,2026-03-01T08:00:00+0100,61,\n" * 3).encode())
    for _ in range(chance.randint(0, 4)):
        raw[chance.randrange(len(_PLAIN), len(raw))] ^= 1 << chance.randrange(8)
    whole = bytes(raw[: chance.randint(len(_PLAIN), len(raw))]) + junk
    decoded = decode(whole, recognise("x.csv", whole, len(whole)))
    lines = [x for x in whole.split(b"\n")[1:] if x.removesuffix(b"\r")]
    assert decoded.record_count == len(lines)


_EVENTS = "type,served,other,start,duration,octets,service,price,currency,vat_included,reference\n"
_BOUGHT = "content,4791000001,,2026-03-05T12:00:00+0100,,,GAMES,{price},{currency},{vat},{ref}\n"


def _bought(price: str = "29.00", currency: str = "NOK", vat: str = "yes", ref: str = "A1") -> str:
    return _BOUGHT.format(price=price, currency=currency, vat=vat, ref=ref)


def test_an_event_may_bring_its_price() -> None:
    """Exact to the millionth, of either sign; what brings none has the columns and no service."""
    decoded = _decode(
        _EVENTS
        + _bought()
        + _bought("-0.000001", "EUR", "no", "A2")
        + _bought("", "", "", "A3")
        + "voice,4791000001,4790000002,2026-03-05T12:00:00+0100,60,,,,,,\n"
    )
    assert not decoded.faults
    assert decoded.columns["kind"].tolist() == [CONTENT, CONTENT, CONTENT, VOICE_MO]
    prices = decoded.details
    assert prices["service"].tolist() == [b"GAMES"] * 3 + [b""]
    assert prices["price_micro"].tolist() == [29_000_000, -1, NO_PRICE, NO_PRICE]
    assert prices["currency"].tolist() == [b"NOK", b"EUR", b"", b""]
    assert prices["with_vat"].tolist() == [1, 0, 0, 0]
    assert len(set(decoded.columns["chain_id"][:3].tolist())) == 3
    assert decoded.columns["chain_id"][3] == -1
    plain = _decode(_EVENTS.replace(",service,price,currency,vat_included,reference", ""))
    assert plain.details == {}


def test_a_long_file_is_kept_as_columns() -> None:
    """A row as Python keeps it takes a kilobyte; a night of calls is millions of rows."""
    rows, bad = 9_001, 4_000
    lines = [_bought(ref=f"R{n}") for n in range(rows)]
    lines[bad] = "nothing\n"
    raw = (_EVENTS + "".join(lines)).encode()
    match = recognise("any.csv", raw[:4096], len(raw))
    tracemalloc.start()
    decoded = decode(raw, match)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < rows * 800
    assert [(fault.record_no, fault.line) for fault in decoded.faults] == [(bad + 1, bad + 2)]
    assert decoded.columns["record_no"].tolist() == [n for n in range(1, rows + 1) if n != bad + 1]
    assert len(set(decoded.columns["chain_id"].tolist())) == rows - 1
    assert len(decoded.details["price_micro"]) == rows - 1
    offsets, lengths = decoded.columns["offset"].tolist(), decoded.columns["length"].tolist()
    assert raw[offsets[-1] : offsets[-1] + lengths[-1] + 1].decode() == lines[-1]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (_bought("29,00"), "It has 12 columns"),
        (_bought('"29,00"'), "Column price: '29,00' is no amount"),
        (_bought("2.9e1"), "Column price: '2.9e1' is no amount"),
        (_bought("0.0000001"), "Column price: '0.0000001' is no amount"),
        (_bought("1" * 13), "is no amount"),
        (_bought(currency="kr"), "Column currency: 'kr' is no currency"),
        (_bought(currency=""), "Column currency: '' is no currency"),
        (_bought(vat=""), "Column vat_included: '' is neither yes nor no"),
        (_bought(vat="true"), "Column vat_included: 'true' is neither"),
        (_bought().replace("GAMES", ""), "Column service: a price needs a service"),
        (_bought("", "", "").replace("GAMES", ""), "Column service: content needs a service"),
        (_bought().replace("GAMES", "G" * 65), "Column service: it has more than 64 octets"),
    ],
)
def test_a_price_that_is_not_exact_is_a_fault(line: str, told: str) -> None:
    """The line and the column; the next line goes on."""
    decoded = _decode(_EVENTS + line + _bought())
    [fault] = decoded.faults
    assert fault.line == 2
    assert told in fault.detail
    assert decoded.details["price_micro"].tolist() == [29_000_000]
