"""Lists of subscriptions, and where their intervals end."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from mediation.formats import subscriptions_csv
from mediation.formats.problems import BrokenFile
from party.identifiers import decode_iccid

_HEAD = ",".join(subscriptions_csv.COLUMNS)


def _utc(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def _read(*rows: str, head: str = _HEAD) -> subscriptions_csv.SubscriptionFile:
    return subscriptions_csv.read("\n".join([head, *rows, ""]).encode(), "s.csv")


def test_the_sample_list_gives_a_number_one_holder_at_a_time(shared: Path) -> None:
    """4740000002 was SUB2OLD's through the last second of 2024, and is SUB2's from June 2025."""
    raw = (shared / "samples/synthetic/subscriptions.csv").read_bytes()
    assert subscriptions_csv.recognises(raw[:512])
    file = subscriptions_csv.read(raw, "subscriptions.csv")
    assert file.faults == ()
    held = {
        row.subscription_ref: (row.valid_from, row.valid_to)
        for row in file.rows
        if row.numbers.get("msisdn") == 4740000002
    }
    assert held == {
        "SUB2": (_utc("2025-05-31T22:00:00"), None),
        "SUB2OLD": (_utc("2019-12-31T23:00:00"), _utc("2024-12-31T23:00:00")),
    }
    cards = [decode_iccid(row.numbers["iccid"]) for row in file.rows if "iccid" in row.numbers]
    assert cards == ["89470000000000000018"]
    assert {row.segment for row in file.rows} == {"consumer"}


@pytest.mark.parametrize(
    ("written", "end"),
    [
        ("2026-01-31T23:59:59Z", "2026-02-01T00:00:00"),
        ("2026-01-31T12:30:59Z", "2026-01-31T12:31:00"),
        ("2026-02-01T00:00:00Z", "2026-02-01T00:00:00"),
        ("2026-01-31T23:59:58Z", "2026-01-31T23:59:58"),
    ],
)
def test_an_end_in_59_is_the_last_second_that_counts(written: str, end: str) -> None:
    """Any other end is the first instant that does not count."""
    (row,) = _read(f"S1,,4791000001,,P,BA-1,,,2026-01-01T00:00:00Z,{written}").rows
    assert row.valid_to == _utc(end)


def test_a_segment_may_be_given() -> None:
    """As one more column; where it is empty the account is a consumer's."""
    start = "2026-01-01T00:00:00Z"
    file = _read(
        f"S1,,4791000001,,P,BA-1,,,{start},,business",
        f"S2,,4791000002,,P,BA-2,,,{start},,",
        head=f"{_HEAD},segment\r",
    )
    assert [row.segment for row in file.rows] == ["business", "consumer"]


def test_bad_rows_are_faults_with_line_and_column() -> None:
    """The others go on."""
    start = "2026-01-01T00:00:00Z"
    file = _read(
        f"S1,24201,,,P,BA-1,,,{start},",
        f"S2,,,12,P,BA-1,,,{start},",
        f"S3,,,,P,BA-1,,,{start},{start}",
        f"S4,,,,,BA-1,,,{start},",
        f"S5,,,,P,BA-1,,,{start},",
    )
    assert [row.line_no for row in file.rows] == [6]
    assert [(fault.line_no, fault.column) for fault in file.faults] == [
        (2, "imsi"), (3, "iccid"), (4, "valid_to"), (5, "product")
    ]  # fmt: skip


def test_another_heading_is_another_file() -> None:
    """Columns are never guessed."""
    assert not subscriptions_csv.recognises(b"subscription_id,imsi\n")
    with pytest.raises(BrokenFile, match="line 1"):
        _read(head="subscription_id,imsi")
