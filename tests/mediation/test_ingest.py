"""Files through the real database: copies, chains, gaps and crashes, in any order of arrival."""

from __future__ import annotations

from datetime import date
from itertools import permutations
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.db import transaction
from ledger.vault import vault
from mediation.service import accepted_usage, control_totals, ingest_file, record_location, suspense
from mediation.service.ingest import FileOutcome
from mediation.wallclock import day_used
from tests.mediation.octets import EPOCH, TIME, container, integer, pgw, tgpp_file

REFERENCE = (
    "subscription_id,imsi,msisdn,iccid,product,billing_account,usage_split_account,user_party,"
    "valid_from,valid_to\n"
    "SUB1,242010000000001,4790000001,,MOBILE,BA-1,,P-1,2024-01-01T00:00:00+01:00,\n"
)
VOLUME = container(100, integer(40), integer(60))
OPENED, SEQUENCE, COUNT = 0x8D, 0x91, 22  # tags, and where a file says its own number
CHARGING_ID, CAUSE = 0x85, 0x8F
VOLUME_LIMIT, NORMAL = b"\x10", b"\0"


def _session(charging_id: int, volume: bytes = VOLUME, **changes: bytes) -> bytes:
    """Encode a whole session under a charging id."""
    return pgw({CHARGING_ID: integer(charging_id), **_tags(changes)}, volume)


def _part(charging_id: int, place: int, *, last: bool = False) -> bytes:
    """Encode a part of a session, opened half an hour after the part before."""
    opened = TIME[:3] + bytes([0x12 + place]) + TIME[4:]
    cause = NORMAL if last else VOLUME_LIMIT
    return _session(charging_id, opened=opened, sequence=integer(place), cause=cause)


def _tags(changes: dict[str, bytes]) -> dict[int, bytes]:
    names = {"opened": OPENED, "sequence": SEQUENCE, "cause": CAUSE}
    return {names[name]: value for name, value in changes.items()}


def _write(folder: Path, number: int, *records: bytes) -> Path:
    raw = tgpp_file(records)
    path = folder / f"OSLPGW1_-_{number}.20260329_-_1200+0200"
    path.write_bytes(raw[:COUNT] + number.to_bytes(4, "big") + raw[COUNT + 4 :])
    return path


def _take(session: Session, *paths: Path) -> list[FileOutcome]:
    return [ingest_file(session, vault(), path) for path in paths]


def _became(session: Session, outcome: FileOutcome) -> list[str]:
    places = [
        record_location(session, vault(), outcome.file_id, n + 1) for n in range(outcome.records)
    ]
    return [f"{place.bucket} {place.reason}".strip() for place in places]


def _used(session: Session) -> list[tuple[int, ...]]:
    """Give all accepted usage without the places it came from."""
    table = accepted_usage(session, vault(), "2026-03")
    names = ("event_key", "subscription_id", "started_at", "rating_group", "seconds", "octets")
    columns = [table[name].to_pylist() for name in names] if table.num_rows else []
    return sorted(zip(*columns, strict=True))


@pytest.fixture(name="known")
def _known(session: Session, tmp_path: Path) -> Session:
    """A session in which SUB1 has its card and its number."""
    path = tmp_path / "subscriptions.csv"
    path.write_text(REFERENCE)
    (taken,) = _take(session, path)
    assert taken.state == "accepted"
    return session


# Copies ------------------------------------------------------------------------------------------


def test_copies_name_the_first_of_them_across_files(known: Session, tmp_path: Path) -> None:
    """Copies of two earlier files, a contradiction, a copy within the file, and a new record."""
    first, second, third = _take(
        known,
        _write(tmp_path, 1, _session(1), _session(2)),
        _write(tmp_path, 2, _session(3)),
        _write(
            tmp_path, 3, _session(3), _session(2), _session(1, container(100, b"\1", b"\1")),
            _session(4), _session(4),
        ),
    )  # fmt: skip
    assert _became(known, third) == [
        "duplicate EXACT", "duplicate EXACT", "suspended DUP_CONFLICT", "accepted",
        "duplicate EXACT",
    ]  # fmt: skip
    places = [record_location(known, vault(), third.file_id, n) for n in (1, 2, 3, 5)]
    assert [(place.of_file, place.of_record) for place in places] == [
        (second.file_id, 1), (first.file_id, 2), (first.file_id, 1), (third.file_id, 4),
    ]  # fmt: skip
    assert "Compare the two" in suspense(known, third.file_id)[0].detail


def test_a_copy_is_found_in_a_file_that_spans_a_month(known: Session, tmp_path: Path) -> None:
    """A late record makes its file span a month; the days between them do not hide its copies."""
    late = TIME[:1] + b"\x02\x27" + TIME[3:]
    between = TIME[:1] + b"\x03\x12" + TIME[3:]
    _take(
        known,
        _write(tmp_path, 1, _session(1, opened=late)),
        _write(tmp_path, 2, _session(2, opened=between)),
        _write(tmp_path, 3, _session(3)),
    )
    (mixed,) = _take(
        known,
        _write(tmp_path, 4, _session(3), _session(1, opened=late), _session(2, opened=between)),
    )
    assert _became(known, mixed) == ["duplicate EXACT"] * 3
    again = _take(known, _write(tmp_path, 5, _session(2, opened=between), _session(9)))
    assert _became(known, again[0]) == ["duplicate EXACT", "accepted"]


def test_damaged_keys_stop_the_next_file(known: Session, tmp_path: Path) -> None:
    """Whether a record is new cannot be told from a damaged block: nothing of the file is taken."""
    _take(known, _write(tmp_path, 1, _session(1)))
    name = known.execute(
        text("SELECT keys_sha256 FROM source_file WHERE keys_sha256 IS NOT NULL")
    ).scalar_one()
    block = vault().path(name)
    assert block is not None
    block.chmod(0o600)
    block.write_bytes(block.read_bytes()[:-1] + b"?")
    (taken,) = _take(known, _write(tmp_path, 2, _session(1)))
    assert (taken.state, taken.reason, taken.file_id) == ("refused", "VAULT_CORRUPT", 0)
    assert taken.detail is not None
    assert name in taken.detail


# Chains and order of arrival ---------------------------------------------------------------------


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_any_order_of_files_gives_the_same_usage(
    order: tuple[int, ...], known: Session, tmp_path: Path
) -> None:
    """A chain over three files, beside whole sessions and a copy: the same events and sums."""
    paths = [
        _write(tmp_path, 1, _part(70, 1), _session(1)),
        _write(tmp_path, 2, _part(70, 2), _session(2), _session(1)),
        _write(tmp_path, 3, _part(70, 3, last=True), _part(80, 2, last=True)),
    ]
    with known.begin_nested() as straight:
        taken = _take(known, *paths)
        expected = _used(known)
        assert [_became(known, outcome) for outcome in taken] == [
            ["accepted", "accepted"],
            ["merged PARTIAL", "accepted", "duplicate EXACT"],
            ["merged PARTIAL", "held PARTIAL"],
        ]
        straight.rollback()
    assert _used(known) == []
    _take(known, *(paths[n] for n in order))
    assert _used(known) == expected
    assert [row[-1] for row in expected].count(300) == 1
    totals = control_totals(known)
    assert all(total.ties for total in totals)
    records = [total for total in totals if total.measure == "records"][1:]
    sums = [sum(getattr(total, name) for total in records) for name in ("accepted", "merged")]
    assert sums == [3, 2]
    assert [sum(getattr(total, name) for total in records) for name in ("held", "duplicate")] == [
        1, 1,
    ]  # fmt: skip


def test_a_held_part_moves_in_the_account_of_its_own_file(known: Session, tmp_path: Path) -> None:
    """The file that ends a chain releases parts of others: held there, then accepted there."""
    first, last = _take(
        known,
        _write(tmp_path, 1, _part(70, 1)),
        _write(tmp_path, 2, _part(70, 2, last=True)),
    )
    moves = known.execute(
        text(
            "SELECT file_id, from_bucket, to_bucket, quantity, cause FROM control_move"
            " WHERE measure = 'octets' ORDER BY control_move_id"
        )
    ).all()
    assert [tuple(move) for move in moves] == [
        (first.file_id, "received", "held", 100, f"file {first.file_id}"),
        (last.file_id, "received", "merged", 100, f"file {last.file_id}"),
        (first.file_id, "held", "accepted", 100, f"file {last.file_id}"),
    ]
    (event,) = record_location(known, vault(), last.file_id, 1).usage
    assert (event["file_id"], event["record_no"], event["octets"]) == (first.file_id, 1, 200)


# Gaps --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ([1, 4], [None, "2 to 3 missing before 4"]),
        ([4, 1], [None, "2 to 3 missing before 4"]),
        ([1, 4, 3, 2], [None, "2 to 3 missing before 4", None, None]),
        ([3, 2, 1], [None, None, None]),
    ],
    ids=str,
)
def test_a_gap_is_told_once_it_shows(
    order: list[int], said: list[str | None], known: Session, tmp_path: Path
) -> None:
    """Whichever file comes first, what lies between two numbers is missed; nothing is held up."""
    taken = _take(known, *(_write(tmp_path, n, _session(n)) for n in order))
    assert {outcome.state for outcome in taken} == {"accepted"}
    alarms = [dict(outcome.alarms).get("SEQUENCE_GAP") for outcome in taken]
    assert [alarm and alarm.split(": ")[1].rstrip(".") for alarm in alarms] == said


def test_a_missing_order_file_is_told(known: Session, tmp_path: Path) -> None:
    """Order systems number their files too: without one of them its subscribers are strangers."""
    columns = (
        "order_id,action,effective_at,customer_no,customer_kind,name,org_no,street,postcode,city,"
        "country,email,billing_account,segment,subscription_id,offering,msisdn,imsi,agreed_price"
    )
    paths = []
    for system, number in (("MOOX", 1), ("FKM", 7), ("MOOX", 3)):
        paths.append(tmp_path / f"{system}_{number}.csv")
        paths[-1].write_text(f"HDR,{system},{number},2026-03-31\n{columns}\nTRL,0\n")
    with known.begin_nested():
        _load_a_tariff(known)
        taken = _take(known, *paths)
    assert [outcome.state for outcome in taken] == ["accepted"] * 3
    assert [outcome.alarms for outcome in taken] == [
        (), (), (("SEQUENCE_GAP", "MOOX: 2 missing before 3."),),
    ]  # fmt: skip


def _load_a_tariff(session: Session) -> None:
    from mediation.demo.tariff import tariff_text
    from rating import service as rating

    rating.load_tariff(session, tariff_text().encode())


@pytest.mark.parametrize("names", [("calls_20260331.csv", "calls_20260402.csv"),
                                   ("usage_90000001.csv", "usage_90000005.csv")])  # fmt: skip
def test_a_number_in_the_name_of_a_list_counts_no_files(
    names: tuple[str, str], known: Session, tmp_path: Path
) -> None:
    """It is a date or somebody's telephone: no gap between the two, and no conflict."""
    head = "interaction,direction,correspondent_id,datetime,call_duration\n"
    for day, name in enumerate(names, 1):
        path = tmp_path / name
        path.write_text(head + f"call,out,4790000009,2026-03-0{day} 10:00:00,60\n")
        (taken,) = _take(known, path)
        assert (taken.state, taken.alarms) == ("accepted", ())


# One transaction ---------------------------------------------------------------------------------


def test_a_crash_before_the_commit_leaves_no_row(db: str, tmp_path: Path) -> None:
    """All rows of a file are there or none; taken in again, the file is as good as new."""
    assert db
    path = _write(tmp_path, 1, _session(1), _part(70, 1))

    def crash() -> None:
        with transaction() as session:
            assert ingest_file(session, vault(), path).state == "accepted"
            raise InterruptedError

    with pytest.raises(InterruptedError):
        crash()
    with transaction("auditor") as session:
        for table in ("source_file", "control_move", "suspense", "held_part", "file_usage"):
            assert session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() == 0
    with transaction() as session:
        assert ingest_file(session, vault(), path).state == "accepted"
    with transaction() as session:
        assert ingest_file(session, vault(), path).state == "duplicate"


def _days(session: Session, outcome: FileOutcome) -> list[tuple[int, str, str | None]]:
    """Give the suspended records of a file with their reason and the day of use."""
    rows = session.execute(
        text(
            "SELECT record_no, reason, used_on FROM suspense WHERE file_id = :file"
            " ORDER BY record_no"
        ),
        {"file": outcome.file_id},
    )
    return [(number, reason, day and day.isoformat()) for number, reason, day in rows]


@pytest.mark.parametrize("instant", [0, -1, 2**40, 2**63 - 1])
def test_a_time_that_is_none_is_no_day(instant: int) -> None:
    """It would put usage into a month that nobody closes any more."""
    assert day_used(instant) is None
    assert day_used(EPOCH) == date(2026, 3, 29)


def test_what_is_suspended_has_the_day_it_was_used(session: Session, tmp_path: Path) -> None:
    """In Oslo, also for parts of a chain that an earlier file brought; nobody has a card here."""
    late = TIME[:2] + b"\x29\x23\x30\x00\x2b\x00\x00"  # 23:30 UTC is the next day in Oslo.
    future = TIME[:2] + b"\x31" + TIME[3:]  # Two days after its file: nobody knows when it was.
    records = (_session(1), _session(2, opened=late), _part(3, 1), _session(4, opened=future))
    (first,) = _take(session, _write(tmp_path, 1, *records))
    (second,) = _take(session, _write(tmp_path, 2, _part(3, 2, last=True)))
    assert _days(session, first) == [
        (1, "UNKNOWN_SUBSCRIBER", "2026-03-29"), (2, "UNKNOWN_SUBSCRIBER", "2026-03-30"),
        (3, "UNKNOWN_SUBSCRIBER", "2026-03-29"), (4, "FUTURE_TIMESTAMP", None),
    ]  # fmt: skip
    assert _days(session, second) == [(1, "UNKNOWN_SUBSCRIBER", "2026-03-29")]
