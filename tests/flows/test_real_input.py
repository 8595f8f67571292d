"""Files that this project did not make: each to the outcome that is written down for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from ledger.db import transaction
from ledger.vault import vault
from mediation import formats
from mediation.cli import mediation_cli
from mediation.service import control_totals, files, ingest_file, record_location, suspense
from mediation.service.ingest import FileOutcome

REFERENCE = "subscriptions.csv"
GATEWAY = {
    101: "OSLPGW1_-_101.20260329_-_1315+0200",
    102: "OSLPGW1_-_102.20260329_-_1330+0200",
    104: "OSLPGW1_-_104.20260329_-_1400+0200",
}
PLAIN, BLOCKS = "OSLMSC1_cs_plain.ber", "OSLMSC1_cs_ff512.ber"

# The classification speaks of each file when it comes. Later, 104 completes chain 7001 of 101.
SINCE_THEN = {
    (101, 1): "accepted",
    (101, 2): "merged PARTIAL",
    (104, 1): "merged PARTIAL",
}
# What the classification says in words, as bucket and reason.
IN_WORDS = {
    "held PARTIAL": "held PARTIAL",
    "accepted": "accepted",
    "filtered ZERO_USAGE": "filtered ZERO_USAGE",
    "filtered WHOLESALE": "filtered WHOLESALE",
    "suspended UNKNOWN_SUBSCRIBER": "suspended UNKNOWN_SUBSCRIBER",
    "suspended DUP_CONFLICT": "suspended DUP_CONFLICT",
    "suspended FUTURE_TIMESTAMP": "suspended FUTURE_TIMESTAMP",
    "duplicate of": "duplicate EXACT",
    "completes 7001": "merged PARTIAL",
}


@pytest.fixture(scope="module")
def synthetic(shared: Path) -> Path:
    """The folder of invented files in real formats."""
    return shared / "samples" / "synthetic"


@pytest.fixture(scope="module")
def people(shared: Path) -> Path:
    """The folder of real usage lists."""
    return shared / "samples" / "usage-bandicoot"


def _take(*paths: Path) -> list[FileOutcome]:
    """Take files in, one transaction each."""
    taken = []
    for path in paths:
        with transaction() as session:
            taken.append(ingest_file(session, vault(), path))
    return taken


def _became(file_id: int, count: int) -> list[str]:
    """Say what became of each record of a file, in words."""
    with transaction("auditor") as session:
        places = [record_location(session, vault(), file_id, n + 1) for n in range(count)]
    return [f"{place.bucket} {place.reason}".strip() for place in places]


def _totals(file_id: int) -> dict[str, Any]:
    with transaction("auditor") as session:
        return {total.measure: total for total in control_totals(session, file_id)}


def _assert_ties(path: Path, file_id: int) -> None:
    """Count the file's bytes again; every control account has just that, and ends in buckets."""
    raw = path.read_bytes()
    decoded = formats.decode(
        raw, formats.recognise(path.name, raw[: formats.HEAD_OCTETS], len(raw))
    )
    rows = decoded.columns
    held = {
        "records": decoded.record_count,
        "seconds": int(rows["duration_s"].sum()),
        "octets": int(rows["octets_up"].sum() + rows["octets_down"].sum()),
    }
    totals = _totals(file_id)
    assert {measure: totals[measure].received for measure in totals} == {
        measure: quantity for measure, quantity in held.items() if quantity
    }
    assert all(total.ties and total.ends == total.received for total in totals.values())


def test_gateway_files_end_as_their_classification_says(books: str, synthetic: Path) -> None:
    """Every record of 101, 102 and 104 in words: held, merged, copies, conflict, future."""
    told = json.loads((synthetic / "OSLPGW1.classification.json").read_text())["files"]
    reference, *taken = _take(
        synthetic / REFERENCE, *(synthetic / name for name in GATEWAY.values())
    )
    assert (reference.state, reference.records) == ("accepted", 4)
    ids = dict(zip(GATEWAY, [outcome.file_id for outcome in taken], strict=True))
    for number in (101, 104):
        listed = told[GATEWAY[number]]
        found = _became(ids[number], listed["in"])
        for record_no, (became, words) in enumerate(
            zip(found, listed["records"], strict=True), start=1
        ):
            start = next(start for start in IN_WORDS if words.startswith(start))
            want = SINCE_THEN.get((number, record_no), IN_WORDS[start])
            assert became == want, (number, record_no, words)
    for number, file_id in ids.items():
        _assert_ties(synthetic / GATEWAY[number], file_id)


def test_copies_and_conflicts_name_the_record_they_repeat(books: str, synthetic: Path) -> None:
    """104 repeats records 4 and 7 of 101, and contradicts its record 12.

    The classification counts them from zero: 101[3], 101[6], 101[11].
    """
    _, first, _, last = _take(
        synthetic / REFERENCE, *(synthetic / name for name in GATEWAY.values())
    )
    with transaction("auditor") as session:
        places = [record_location(session, vault(), last.file_id, n) for n in (3, 4, 5)]
        conflict = suspense(session, last.file_id)[0]
    assert [(place.of_file, place.of_record) for place in places] == [
        (first.file_id, 4), (first.file_id, 7), (first.file_id, 12),
    ]  # fmt: skip
    assert conflict.detail == (
        f"Has the key of record 12 of file {first.file_id} but other content. Compare the two."
    )


def test_the_merged_session_is_the_sum_of_its_parts(books: str, synthetic: Path) -> None:
    """Chain 7001, of two files: 4500 seconds, and octets by rating group as classified."""
    _, first, *_ = _take(synthetic / REFERENCE, *(synthetic / name for name in GATEWAY.values()))
    with transaction("auditor") as session:
        usage = record_location(session, vault(), first.file_id, 1).usage
    assert {row["rating_group"]: row["octets"] for row in usage} == {
        100: 6_000_000 + 150_000_000, 900: 5_000 + 40_000,
    }  # fmt: skip
    assert sum(int(str(row["seconds"])) for row in usage) == 4500


def test_a_file_that_miscounts_itself_waits_whole(books: str, synthetic: Path) -> None:
    """102 declares nine records and holds eight: all of them wait, and nothing is used."""
    _, taken = _take(synthetic / REFERENCE, synthetic / GATEWAY[102])
    assert (taken.state, taken.reason, taken.records) == ("suspended", "COUNT_MISMATCH", 8)
    assert taken.detail is not None
    assert GATEWAY[102] in taken.detail
    assert "declares 9 records at offset 18 and holds 8" in taken.detail
    totals = _totals(taken.file_id)
    assert {measure: total.suspended for measure, total in totals.items()} == {
        measure: total.received for measure, total in totals.items()
    }
    with transaction("auditor") as session:
        used = session.execute(text("SELECT count(*) FROM file_usage")).scalar_one()
    assert used == 0


def test_what_the_node_lost_raises_alarms_and_stops_nothing(books: str, synthetic: Path) -> None:
    """103 never came, and the node itself says that it lost two records."""
    *_, taken = _take(synthetic / REFERENCE, *(synthetic / name for name in GATEWAY.values()))
    assert taken.state == "accepted"
    alarms = dict(taken.alarms)
    assert alarms.keys() == {"SEQUENCE_GAP", "LOST_CDR"}
    assert "103 missing before 104" in alarms["SEQUENCE_GAP"]
    assert "lost 2 records (indicator 130)" in alarms["LOST_CDR"]
    with transaction("auditor") as session:
        assert dict(files(session)[-1].alarms) == alarms


@pytest.mark.parametrize("names", [(PLAIN, BLOCKS), (BLOCKS, PLAIN)], ids=["plain", "blocks"])
def test_a_switch_file_and_its_copy_in_blocks(
    names: tuple[str, str], books: str, synthetic: Path
) -> None:
    """Whichever framing comes first is used; the other is twelve exact copies."""
    _, first, second = _take(synthetic / REFERENCE, *(synthetic / name for name in names))
    assert _became(first.file_id, 12) == [
        "accepted", "filtered ZERO_USAGE", "accepted", "accepted", "accepted", "accepted",
        "accepted", "merged PARTIAL", "merged PARTIAL", "filtered TERMINATING", "accepted",
        "accepted",
    ]  # fmt: skip
    assert set(_became(second.file_id, 12)) == {"duplicate EXACT"}
    for name, taken in zip(names, (first, second), strict=True):
        _assert_ties(synthetic / name, taken.file_id)


def test_files_without_a_decoder_are_parked(books: str, shared: Path, synthetic: Path) -> None:
    """Roaming batches and notifications, IoT usage, content purchases: known, kept, not read."""
    paths = [
        *sorted(synthetic.glob("[CT]DDEUD1NORTM*")),
        *sorted((shared / "samples" / "tap-libxfsx").glob("*.ber")),
        *synthetic.glob("jasper*"),
        *synthetic.glob("strex*"),
    ]
    taken = _take(*paths)
    assert len(taken) == 13
    assert {(outcome.state, outcome.reason) for outcome in taken} == {("parked", "no_decoder")}
    known = {outcome.name: outcome.format for outcome in taken}
    assert {known[name] for name in known if "notification" in name or name.endswith("46")} == {
        "tap_notification"
    }
    assert known["TDDEUD1NORTM00007"] == "tap_transfer_batch"  # Test data is parked like the rest.
    assert sorted(set(known.values())) == [
        "jasper_usage", "strex_transactions", "tap_notification", "tap_transfer_batch",
    ]  # fmt: skip
    for path, outcome in zip(paths, taken, strict=True):
        with transaction("auditor") as session:
            sha256 = session.execute(
                text("SELECT sha256 FROM source_file WHERE file_id = :file_id"),
                {"file_id": outcome.file_id},
            ).scalar_one()
        assert vault().get(sha256) == path.read_bytes()


@pytest.mark.parametrize(
    ("name", "records", "outgoing"),
    [("demo_ego.csv", 314, 104), ("demo_A.csv", 42, 27), ("manual_A.csv", 7, 4)],
)
def test_usage_of_a_person_without_a_number(
    name: str, records: int, outgoing: int, books: str, people: Path
) -> None:
    """What came in costs nobody anything; what went out waits for somebody to say whose it is.

    See docs/decisions.md, "Real files".
    """
    (taken,) = _take(people / name)
    assert (taken.state, taken.format, taken.records) == ("accepted", "bandicoot", records)
    lines = (people / name).read_text().splitlines()[1:]
    assert len(lines) == records
    became = _became(taken.file_id, records)
    for line, found in zip(lines, became, strict=True):
        direction, duration = line.split(",")[1], line.split(",")[4]
        if direction == "in":
            assert found == "filtered TERMINATING"
        elif duration == "0":
            assert found == "filtered ZERO_USAGE"
        else:
            assert found == "suspended UNKNOWN_SUBSCRIBER"
    assert became.count("suspended UNKNOWN_SUBSCRIBER") == outgoing
    _assert_ties(people / name, taken.file_id)
    with transaction("auditor") as session:
        first = suspense(session, taken.file_id)[0]
    subject = name.removesuffix(".csv").rpartition("_")[2]
    assert f"named after '{subject}', which is no telephone number" in first.detail


def test_usage_of_a_person_with_a_number_is_theirs(
    books: str, people: Path, synthetic: Path, tmp_path: Path
) -> None:
    """The same list, named after a subscriber's number, is that subscriber's usage."""
    named = tmp_path / "manual_4790000001.csv"
    # Calls of 2014 are older than any agreement on the list, so they are moved into it.
    named.write_text((people / "manual_A.csv").read_text().replace("2014-", "2026-"))
    _, taken = _take(synthetic / REFERENCE, named)
    assert _totals(taken.file_id)["records"].accepted == 4
    assert _totals(taken.file_id)["records"].filtered == 3


def test_other_lists_beside_them_are_parked(books: str, people: Path, synthetic: Path) -> None:
    """Antennas, recharges and portings are no usage that we know: kept until a layout is added."""
    for outcome in _take(
        people / "demo_antennas.csv",
        people / "manual_recharges_A.csv",
        synthetic / "number_portability.csv",
    ):
        assert (outcome.state, outcome.reason, outcome.records) == ("parked", "unknown_format", 0)
        assert outcome.detail is not None
        assert outcome.name in outcome.detail
        assert "mediation/formats/layouts" in outcome.detail


def test_the_command_takes_a_folder_and_tells_each_file(books: str, synthetic: Path) -> None:
    """`mediation ingest`: one line a file with alarms below it; status 1 while a file waits."""
    paths = [str(synthetic / name) for name in (REFERENCE, *GATEWAY.values())]
    told = CliRunner().invoke(mediation_cli, ["ingest", *paths])
    assert told.exit_code == 1
    assert "subscriptions.csv: accepted, 4 records." in told.stdout
    assert f"{GATEWAY[101]}: accepted, 12 records." in told.stdout
    assert f"{GATEWAY[102]}: suspended, 8 records. COUNT_MISMATCH: " in told.stdout
    assert "  LOST_CDR: The node lost 2 records" in told.stdout
    again = CliRunner().invoke(mediation_cli, ["ingest", "--json", *paths])
    assert again.exit_code == 0
    states = [json.loads(line)["state"] for line in again.stdout.splitlines()]
    assert states == ["duplicate"] * 4


def test_parked_files_are_no_failure_of_the_command(books: str, synthetic: Path) -> None:
    """A file without a decoder is kept as asked: status 0, with the reason on the line."""
    told = CliRunner().invoke(mediation_cli, ["ingest", str(synthetic / "CDDEUD1NORTM00042")])
    assert told.exit_code == 0
    assert "CDDEUD1NORTM00042: parked, 0 records. no_decoder: Recognised as TAP 3" in told.stdout
