"""Session cases through the kernel that bills, against fractions worked out by hand."""

from __future__ import annotations

import os
import random
from fractions import Fraction
from typing import Any

import pytest

from rating.cases import evaluate
from tests.rating.session_oracle import charges_by_hand

CASES = int(os.environ.get("HOVEDBOK_SESSION_CASES", "1000"))
PREFIXES = ("", "4", "47", "4790", "+47", "data", "d", "99")
BANDS = ("day", "night", "free")


def drawn_case(seed: int) -> dict[str, Any]:
    """Draw a session case: any zones, bands, steps and policy, a handful of events."""
    draw = random.Random(seed)
    return {
        "tariff": {"versions": _versions(draw)},
        "policy": {
            "band_split": draw.choice(["split", "split_carry", "start_band"]),
            "increment_price_rounding": None,
            "event_rounding": draw.choice([
                None,
                {"mode": draw.choice(["up", "down", "half_up", "half_even"]),
                 "scale": draw.choice([-1, 0, 2, 2, 3, 4])},
            ]),
        },
        "events": [_event(draw, number) for number in range(6)],
    }  # fmt: skip


def _versions(draw: random.Random) -> list[dict[str, Any]]:
    starts = [None, "2024-03-01", "2024-03-03T12:00:00"]
    return [_version(draw, start) for start in draw.sample(starts, draw.randint(1, 3))]


def _version(draw: random.Random, valid_from: str | None) -> dict[str, Any]:
    chosen = draw.sample(PREFIXES, draw.randint(1, 5))
    zones = {"A": chosen[::2], "B": chosen[1::2]}
    bands = [_band(draw) for _ in range(draw.choice([0, 1, 3, 5]))]
    starts: dict[Any, dict[str, Any]] = {(b["from"], b["priority"]): b for b in bands}
    bands = list(starts.values())
    names = sorted({band["id"] for band in bands})
    rates = [_rate(draw, zone, band) for zone in zones
             for band in draw.choice([names, [None], [*names, None], names[:1]])]  # fmt: skip
    return {"valid_from": valid_from, "zones": zones, "bands": bands, "rates": rates}


def _band(draw: random.Random) -> dict[str, Any]:
    return {
        "id": draw.choice(BANDS),
        "from": draw.choice(["00:00:00", "00:00:00", "08:00:00", "17:30:00", "23:59:00"]),
        "weekdays": draw.choice([None, None, [1, 2, 3, 4, 5], [6, 7]]),
        "months": draw.choice([None, None, None, [2], [2, 3]]),
        "month_days": draw.choice([None, None, None, [29, 1]]),
        "priority": draw.choice([0, 0, 10]),
    }


def _rate(draw: random.Random, zone: str, band: str | None) -> dict[str, Any]:
    froms = sorted(draw.sample(["30", "60", "90.5", "3600"], draw.choice([0, 0, 1, 3])), key=float)
    first = draw.choice(["0", "0", "0", "0", "10"])
    return {
        "zone": zone,
        "band": band,
        "setup_fee": draw.choice([None, "0", "0.49", "1.005"]),
        "max_charge": draw.choice([None, None, None, "2.5", "0.333"]),
        "step_mode": draw.choice([None, None, "whole"]),
        "steps": [_step(draw, start) for start in [first, *froms]],
    }


def _step(draw: random.Random, start: str) -> dict[str, Any]:
    return {
        "from": start,
        "price": draw.choice(["0", "0.01", "0.89", "12", "0.000123"]),
        "per": draw.choice(["1", "60", "7", "1024", "0.5"]),
        "increment": draw.choice([None, "1", "6", "60", "0.1", "100"]),
    }


def _event(draw: random.Random, number: int) -> dict[str, Any]:
    day = draw.choice(["2024-02-28", "2024-02-29", "2024-03-01", "2024-03-03"])
    clock = draw.choice(["00:00:00", "07:59:30", "12:00:00", "17:29:59.5", "23:58:59"])
    return {
        "id": f"e{number}",
        "start": f"{day}T{clock}",
        "quantity": draw.choice(["0", "1", "59", "60", "61", "125.25", "-90", "7200", "100000"]),
        "destination": draw.choice(["4790000001", "+4790", "data.no", "99", "", "x"]),
        "continuation": draw.choice([None, None, True]),
        "elapsed_before": draw.choice([None, None, "0", "45", "3599.5"]),
    }


@pytest.mark.parametrize("part", range(4))
def test_any_session_is_charged_as_by_hand(part: int) -> None:
    """Every policy, band, step, cap, rounding, refund and continuation; nothing differs."""
    rejected = charged = 0
    for seed in range(part, CASES, 4):
        given = drawn_case(seed)
        outcome = evaluate({"id": f"drawn-{seed}", "kind": "session", "given": given})
        assert outcome.error is None, (seed, outcome.error)
        assert outcome.result is not None
        charges = outcome.result["charges"]
        for charge, slow in zip(charges, charges_by_hand(given), strict=True):
            rejected += "rejected" in charge
            charged += "amount" in charge
            assert charge.keys() == slow.keys(), (seed, charge, slow)
            if "amount" in slow:
                assert close(charge["amount"], slow["amount"]), (seed, charge, slow)
    assert rejected
    assert charged


def close(written: str, exact: Fraction) -> bool:
    """Say whether a decimal is the fraction, or its 28 decimals where none ends."""
    return abs(Fraction(written) - exact) <= (0 if _ends(exact) else Fraction(1, 10**28))


def _ends(exact: Fraction) -> bool:
    rest = exact.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return rest == 1
