"""Decoding 3GPP records in columns beside an independent reader of the whole standard, pycrate.

    python -m benchmarks.bench_decode

The files are a day or two of the demo month: records of a mobile switch (TS 32.298, BER back to
back) and of a packet gateway (TS 32.297 files). Ours is the whole road from octets to columns,
framing and time stamps and numbers included; pycrate is given each record cut out and gives a
Python value. pycrate is not in the lock (156 MB). Where it cannot be imported, the peer is our own
reader of one record at a time, `mediation.formats.ber`, which only finds the values' places.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import alternate, tell, tell_ratio
from mediation.demo.month import make_month
from mediation.demo.plan import make_plan
from mediation.formats import decode, recognise
from mediation.formats.ber import Group, read_record
from mediation.formats.msc import MSC
from mediation.formats.pgw import PGW

SUBSCRIBERS, DAYS, SEED = 2_000, 2, 1
SAMPLE = 1_000  # Records of each kind that the slow readers are given.
Record = tuple[bytes, int, int]


def main() -> None:
    """Make the files, decode them both ways alternating, and print the ratios."""
    with tempfile.TemporaryDirectory() as folder:
        month = Path(folder) / "month"
        make_month(make_plan("2026-03", SUBSCRIBERS, DAYS, SEED), month, lambda _: None)
        files = [(path.name, path.read_bytes()) for path in sorted((month / "usage").iterdir())]
    print(
        f"decode: {len(files)} files of the demo, {SUBSCRIBERS} subscribers, {DAYS} days; one core"
    )
    for title, prefix, grammar in (
        ("switch (MSC)", "OSLMSC", MSC.grammar.file),
        ("gateway (PGW)", "OSLPGW", PGW.grammar.file),
    ):
        _compare(title, [file for file in files if file[0].startswith(prefix)], grammar)


def _compare(title: str, files: list[tuple[str, bytes]], grammar: Group) -> None:
    """Measure one family of files against the peer that is here."""
    records = sum(_decode(name, raw).record_count for name, raw in files)
    octets = sum(len(raw) for _, raw in files)
    sample = _cut(files, SAMPLE)
    peers: list[tuple[str, Callable[[], object]]] = [
        ("our slow reader, places only", lambda: _walk(sample, grammar))
    ]
    if known := _pycrate(sample):
        peers.insert(0, ("pycrate", known))
    works: list[tuple[int, Callable[[], object]]] = [
        (records, lambda: [_decode(name, raw) for name, raw in files])
    ]
    ours, *theirs = alternate([*works, *((len(sample), work) for _, work in peers)])
    print(f" {title}: {records:,} records in {octets:,} octets")
    tell("in columns, octets to values", ours, "records/s")
    for (name, _), rates in zip(peers, theirs, strict=True):
        tell(name, rates, "records/s")
        tell_ratio(f"ratio to {name}", ours, rates)
    if not known:
        print(
            "  pycrate cannot be imported; pip install pycrate beside the lock to compare with it."
        )


def _decode(name: str, raw: bytes) -> object:
    return decode(raw, recognise(name, raw[:4096], len(raw)))


def _cut(files: list[tuple[str, bytes]], count: int) -> list[Record]:
    """Give evenly chosen records as (file, start, end)."""
    places = []
    for name, raw in files:
        columns = _decode(name, raw).columns
        first = columns["part_no"] == 1
        spans = zip(
            columns["offset"][first].tolist(), columns["length"][first].tolist(), strict=True
        )
        places += [(raw, at, at + length) for at, length in spans]
    return places[:: max(1, len(places) // count)][:count]


def _walk(sample: list[Record], grammar: Group) -> None:
    for raw, start, end in sample:
        read_record(raw, start, end, grammar)


def _pycrate(sample: list[Record]) -> Callable[[], object] | None:
    """Give the work of pycrate over the sample, None where it is not installed."""
    try:
        from pycrate_asn1dir import CDR  # noqa: PLC0415 - outside the lock
    except ImportError:
        return None
    calls = CDR.CSChargingDataTypes
    # The switch's records are alternatives of a choice: each reader wants the record's own tag.
    readers = {0xA0: calls.MOCallRecord, 0xA1: calls.MTCallRecord, 0xA6: calls.MOSMSRecord,
               0xA7: calls.MTSMSRecord}  # fmt: skip
    packets = CDR.GPRSChargingDataTypes.GPRSRecord
    cut = []
    for raw, start, end in sample:
        own = readers.get(raw[start])
        cut.append(
            (own or packets, (b"\x31" if own else raw[start : start + 1]) + raw[start + 1 : end])
        )

    def read() -> None:
        for reader, octets in cut:
            reader.from_ber(octets)
            reader.get_val()

    return read


if __name__ == "__main__":
    main()
