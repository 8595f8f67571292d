"""Formats are told by what files hold, not by what they are called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import Invalid
from mediation import formats
from mediation.formats import EmptyFile, NoDecoder, UnknownFormat, decode, payload_digests
from mediation.records import COLUMNS, Decoded, FileHeader, fill_columns
from tests.mediation.octets import SAMPLES, call, endless, pgw, tgpp_file, tlv

_SENDER = tlv(0x5F8144, b"ABC08")
_SAMPLES = {
    "OSLPGW1_-_101.20260329_-_1315+0200": "tgpp",
    "OSLMSC1_cs_plain.ber": "msc",
    "OSLMSC1_cs_ff512.ber": "msc",
}
_SHARED = {
    "synthetic/CDDEUD1NORTM00042": "tap_transfer_batch",
    "synthetic/TDDEUD1NORTM00007": "tap_transfer_batch",
    "synthetic/CDDEUD1NORTM00046": "tap_notification",
    "synthetic/OSLMSC1_cs_plain.ber": "msc",
    "synthetic/jasper_style_data_usage_20260301.txt": "jasper_usage",
    "synthetic/strex_style_transactions.jsonl": "strex_transactions",
    "tap-libxfsx/tap_3_12_valid.ber": "tap_transfer_batch",
    "tap-libxfsx/tap_3_12_valid_some_cdr_indefinite.ber": "tap_transfer_batch",
    "tap-libxfsx/sample-DataInterChange-1.ber": "tap_transfer_batch",
    "tap-libxfsx/tap_notification.ber": "tap_notification",
    "usage-bandicoot/demo_ego.csv": "bandicoot",
}


def _recognise(raw: bytes, name: str = "misleading.pdf") -> formats.FormatMatch:
    return formats.recognise(name, raw[: formats.HEAD_OCTETS], len(raw))


@pytest.mark.parametrize(("name", "form"), _SAMPLES.items())
def test_samples_are_recognised(name: str, form: str) -> None:
    """By their octets alone, under any name."""
    found = _recognise((SAMPLES / name).read_bytes())
    assert (found.format, found.parked) == (form, None)


@pytest.mark.parametrize(("name", "form"), _SHARED.items())
def test_the_oracle_is_recognised(name: str, form: str, shared: Path) -> None:
    """So are the files beside the project."""
    assert _recognise((shared / "samples" / name).read_bytes(), "demo_x.csv").format == form


@pytest.mark.parametrize(
    ("raw", "form"),
    [
        (tgpp_file([pgw()]), "tgpp"),
        (call(), "msc"),
        (endless(0xA0, call()[2:]), "msc"),
        (tlv(0xA5, call()[2:]), "msc"),
        (tlv(0x61, tlv(0x64, _SENDER)), "tap_transfer_batch"),
        (endless(0x61, tlv(0x64, _SENDER)), "tap_transfer_batch"),
        (tlv(0x62, _SENDER), "tap_notification"),
        (tlv(0x61, tlv(0x5F8149, b"\2"), _SENDER), "nrtrde"),
        (tlv(0x7F8416, tlv(0x64, _SENDER)), "rap_return_batch"),
        (("Row|ICCID" + "|x" * 30 + "\n").encode(), "jasper_usage"),
        (b'{"transactionId": 1, "merchantId": 2, "shortNumber": 3}\n', "strex_transactions"),
        (b"\xef\xbb\xbfcaller,called,start,duration,octets\r\n", "plain_usage"),
    ],
)
def test_signatures(raw: bytes, form: str) -> None:
    """TAP and NRTRDE begin alike and are told apart by the first element inside."""
    assert _recognise(raw).format == form


@pytest.mark.parametrize(
    "raw",
    [
        b"%PDF-1.7\n",
        b"PK\3\4",
        b"\0",
        b"\xff" * 600,
        b"{" * 4000,
        b"[" * 4000,
        b"{\n",
        b"1|2|3\n",
        tlv(0x61, tlv(0x65, _SENDER)),
        tlv(0x61, tlv(0x64, _SENDER)) + b"\0",
        tlv(0xBF4F, b"")[:2],
        bytes(100),
        b"innslag,retning\n",
    ],
)
def test_other_files_are_refused(raw: bytes) -> None:
    """What has no signature is refused with its first octets and what to do."""
    with pytest.raises(UnknownFormat, match="no known signature") as refused:
        _recognise(raw, "x.bin")
    assert refused.value.facts == {"file": "x.bin", "offset": 0}


def test_an_empty_file_is_refused() -> None:
    """Nothing at all is not a file of no records."""
    with pytest.raises(EmptyFile, match=r"x\.ber is empty"):
        _recognise(b"", "x.ber")


def test_parked_formats_say_why_they_wait() -> None:
    """A recognised format without a decoder is registered, and refuses to be decoded."""
    raw = tlv(0x62, _SENDER)
    found = _recognise(raw, "CDABC08NORTM00001")
    assert found.parked == "no_decoder"
    with pytest.raises(NoDecoder, match="TAP 3 Notification") as refused:
        decode(raw, found)
    assert refused.value.facts["reason"] == "no_decoder"


@given(st.binary(min_size=1, max_size=200))
def test_recognising_never_fails_otherwise(raw: bytes) -> None:
    """Any octets are of a format or of none."""
    try:
        found = _recognise(raw)
    except UnknownFormat:
        return
    assert found.format


def test_digests_tell_copies_from_others() -> None:
    """Equal octets have equal digests, a changed bit another one; the file's bounds are kept."""
    raw = call() + call() + call({0x99: b"\x3e"})
    size = np.full(3, len(call()), np.int64)
    digests = payload_digests(raw, np.arange(3) * len(call()), size)
    assert (digests.shape, digests.dtype) == ((3, 2), np.dtype(np.int64))
    assert digests[0].tolist() == digests[1].tolist() != digests[2].tolist()
    assert payload_digests(raw, np.zeros(0, np.int64), np.zeros(0, np.int64)).shape == (0, 2)
    with pytest.raises(Invalid, match="beyond the file"):
        payload_digests(raw, np.array([1]), np.array([len(raw)]))


def _decoded(record_no: list[int], record_count: int, nodes: tuple[str, ...] = ("",)) -> Decoded:
    columns = fill_columns(
        len(record_no), {"record_no": record_no, "part_no": [1] * len(record_no)}
    )
    return Decoded(FileHeader("msc"), columns, nodes, (), record_count)


def test_a_decoded_file_has_one_front_door() -> None:
    """Columns of other types, lengths or names, and records lost or counted twice, are refused."""
    whole = _decoded([1, 2], 2)
    assert whole.columns.keys() == COLUMNS.keys()
    for record_no, count in (([1, 2], 3), ([1, 1], 1), ([0, 1], 2)):
        with pytest.raises(Invalid, match="Each record belongs"):
            _decoded(record_no, count)
    with pytest.raises(Invalid, match="names a node"):
        _decoded([1], 1, nodes=())
    for change in (
        {"imsi": np.zeros(2, np.int32)},
        {"imsi": np.zeros(3, np.int64)},
        {"surprise": np.zeros(2, np.int64)},
    ):
        with pytest.raises(Invalid):
            Decoded(FileHeader("msc"), whole.columns | change, ("",), (), 2)
