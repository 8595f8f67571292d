"""Every record of a file ends in exactly one bucket, and chains are merged across files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mediation.formats import HEAD_OCTETS, decode, payload_digests, recognise
from mediation.kept import waiting_columns
from mediation.outcomes import REASONS, Bucket
from mediation.policy import policy_on
from mediation.records import Columns, Int64
from mediation.screening import KeyBlock
from mediation.sorting import Known, Sorted, sort_file


@dataclass(frozen=True)
class Everyone:
    """Agreements in which some cards have been subscriptions for ever."""

    cards: dict[int, int]
    offering_names: tuple[str, ...] = ("MOBILE",)

    def find(self, kind: str, values: Int64, instants: Int64) -> Int64:  # noqa: ARG002
        """Look the card up."""
        return np.array([self.cards.get(value, -1) for value in values.tolist()], np.int64)

    def offerings_at(
        self,
        subscriptions: Int64,
        instants: Int64,  # noqa: ARG002
    ) -> NDArray[np.int32]:
        """Give everybody the one offering."""
        return np.zeros(len(subscriptions), np.int32)

    def payers_at(self, subscriptions: Int64, instants: Int64) -> Int64:  # noqa: ARG002
        """Let everybody pay for themselves."""
        return subscriptions


CARDS = Everyone({242010000000001: 1, 242010000000002: 2, 242010000000003: 3})


def _sort(
    path: Path, file_id: int, earlier: list[KeyBlock], waiting: Columns | None = None
) -> tuple[Sorted, object]:
    raw = path.read_bytes()
    decoded = decode(raw, recognise(path.name, raw[:HEAD_OCTETS], len(raw)))
    rows = decoded.columns
    first = rows["part_no"] == 1
    digests = payload_digests(raw, rows["offset"][first], rows["length"][first])
    closed = decoded.header.last_append
    closed_at = closed.near(int(np.median(rows["started_at"]))) if closed else None
    known = Known(KeyBlock.join(earlier), CARDS, policy_on(date(2026, 3, 29)))
    return (
        sort_file(
            decoded, digests, file_id, closed_at, known,
            waiting_columns([]) if waiting is None else waiting,
        ),
        decoded,
    )  # fmt: skip


def _said(done: Sorted) -> list[str]:
    return [
        f"{Bucket(int(bucket)).label} {REASONS[reason]}".strip()
        for bucket, reason in zip(done.outcomes.bucket, done.outcomes.reason, strict=True)
    ]


def test_the_gateway_files_end_as_their_classification_says(shared: Path) -> None:
    """Partials, copies, conflicts, visitors, the future and the clock change: each as expected."""
    folder = shared / "samples" / "synthetic"
    expected = json.loads((folder / "OSLPGW1.classification.json").read_text())["files"]
    first, fourth = sorted(folder.glob("OSLPGW1_-_10[14].*"))
    done, _ = _sort(first, 101, [])
    for said, record in zip(_said(done), expected[first.name]["records"], strict=True):
        assert record.upper().startswith(said.upper()), (said, record)
    later, _ = _sort(fourth, 104, [done.keys], done.held)
    assert _said(later) == [
        "merged PARTIAL",
        "held PARTIAL",
        "duplicate EXACT",
        "duplicate EXACT",
        "suspended DUP_CONFLICT",
        "accepted",
        "accepted",
        "accepted",
        "suspended FUTURE_TIMESTAMP",
        "accepted",
    ]
    assert [(one.record_no, one.bucket, one.into_record_no) for one in later.released] == [
        (1, Bucket.ACCEPTED, 1),
        (2, Bucket.MERGED, 1),
    ]
    merged = later.usage["record_no"] == 1
    assert (later.usage["file_id"][merged] == 101).all()
    assert dict(
        zip(later.usage["rating_group"][merged].tolist(), later.usage["octets"][merged].tolist(),
            strict=True)
    ) == {100: 156_000_000, 900: 45_000}  # fmt: skip
    assert int(later.usage["seconds"][merged].sum()) == 4500


def test_the_order_of_files_does_not_change_the_usage(shared: Path) -> None:
    """Read in the other order, the same events come out under the same keys."""
    folder = shared / "samples" / "synthetic"
    first, fourth = sorted(folder.glob("OSLPGW1_-_10[14].*"))

    def keys(*paths: Path) -> set[tuple[int, int]]:
        earlier: list[KeyBlock] = []
        waiting, found = None, set()
        for number, path in enumerate(paths, 1):
            done, _ = _sort(path, number, earlier, waiting)
            earlier.append(done.keys)
            waiting = done.held
            found |= set(
                zip(done.usage["event_key"].tolist(), done.usage["quantity"].tolist(), strict=True)
            )
        return found

    forwards, backwards = keys(first, fourth), keys(fourth, first)
    # The conflicting pair is the exception: whoever came first is the one that is believed.
    assert len(forwards ^ backwards) <= 2
    assert len(forwards & backwards) >= 10


def test_a_switch_file_and_its_copy_in_blocks(shared: Path) -> None:
    """A call in three parts becomes one; the same records in blocks are exact copies."""
    folder = shared / "samples" / "synthetic"
    plain, _ = _sort(folder / "OSLMSC1_cs_plain.ber", 1, [])
    assert _said(plain) == [
        "accepted",
        "filtered ZERO_USAGE",
        "accepted",
        "accepted",
        "accepted",
        "accepted",
        "accepted",
        "merged PARTIAL",
        "merged PARTIAL",
        "filtered TERMINATING",
        "accepted",
        "accepted",
    ]
    long_call = plain.usage["record_no"] == 7
    assert plain.usage["quantity"][long_call].tolist() == [7325]
    blocks, _ = _sort(folder / "OSLMSC1_cs_ff512.ber", 2, [plain.keys])
    assert set(_said(blocks)) == {"duplicate EXACT"}
