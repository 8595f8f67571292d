"""The front door of usage: what a caller may not do, refused once and early."""

from __future__ import annotations

import numpy as np
import pytest

from rating.usage import COLUMN_TYPES, UsageInvalid, check_usage


def columns(length: int = 3) -> dict[str, np.ndarray]:
    """Columns that pass."""
    made = {name: np.zeros(length, kind) for name, kind in COLUMN_TYPES.items()}
    made["event_key"] = np.arange(length)
    return made


def test_sound_columns_become_a_batch_that_nobody_can_change() -> None:
    """The batch is a view: nothing is copied, and nothing can be written through it."""
    made = columns()
    batch = check_usage(**made)
    assert len(batch) == 3
    assert np.shares_memory(batch.quantity, made["quantity"])
    with pytest.raises(ValueError, match="read-only"):
        batch.quantity[0] = 1


@pytest.mark.parametrize(
    ("name", "column", "told"),
    [
        ("quantity", np.zeros(3), "Column quantity must be .3,. int64, not .3,. float64"),
        ("quantity", np.zeros(3, np.uint64), "uint64"),
        ("quantity", np.zeros(2, np.int64), "not .2,. int64"),
        ("quantity", np.zeros((3, 1), np.int64), "not .3, 1. int64"),
        ("subscription", np.array([0, -1, 0], np.int32), "Row 1 has subscription code -1"),
        ("event_key", np.array([7, 8, 7], np.int64), "Event key 7 occurs more than once"),
        ("event_key", np.array([7, 7, 8], np.int64), "Event key 7 occurs more than once"),
        ("colour", np.zeros(3, np.int64), "Columns missing or unknown: colour"),
    ],
)
def test_columns_that_cannot_be_rated_are_refused(name: str, column: np.ndarray, told: str) -> None:
    """Another type, shape or length, a float above all; keys that repeat."""
    with pytest.raises(UsageInvalid, match=told):
        check_usage(**{**columns(), name: column})


def test_an_empty_batch_is_a_batch() -> None:
    """Nothing to rate is nothing wrong."""
    assert len(check_usage(**columns(0))) == 0
