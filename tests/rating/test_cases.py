"""Every pricing case of the tree comes out as expected, through the function behind the command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rating.cases import evaluate, read_cases

CASES = [
    pytest.param(case, id=f"{path.stem}-{case['id']}")
    for path in sorted((Path(__file__).parent / "cases").glob("*.json"))
    for case in read_cases(path.read_bytes())
]


@pytest.mark.parametrize("case", CASES)
def test_a_case_is_as_computed_by_hand(case: dict[str, object]) -> None:
    """The result is what the case expects; no field of it is ignored."""
    told = evaluate(case)
    error = case.get("expected_error")
    if error is not None:
        assert told.error is not None
        assert str(error) in told.error
        return
    assert told.error is None
    assert told.differences == []
    assert told.ignored == []
    assert case["expected"], "a case without expectation proves nothing"
    json.dumps(told.result, allow_nan=False)
