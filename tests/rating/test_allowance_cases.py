"""Cases about allowances, read as a product manager would write them."""

from __future__ import annotations

from typing import Any

import pytest

from rating.cases import evaluate

VOICE = {"v": {"steps": [{"from": "0", "price": "1", "per": "1", "increment": "1"}]}}


def result(kind: str, **given: Any) -> dict[str, Any]:
    """Evaluate a case."""
    done = evaluate({"id": "x", "kind": kind, "given": given})
    assert done.error is None, done.error
    assert done.result is not None
    return done.result


def served(buckets: list[dict[str, Any]], *events: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Serve events that are numbered in order."""
    numbered = [{"id": n, "rate": "v", **event} for n, event in enumerate(events, 1)]
    return result("allowance", buckets=buckets, events=numbered, **{"rates": VOICE, **more})


def free(answer: dict[str, Any]) -> list[str]:
    """Give what is free of each event."""
    return [event["free_quantity"] for event in answer["events"]]


def test_the_remainder_smaller_than_an_increment_stays() -> None:
    """Of 70 with increment 20 three are debited; 10 remain and cover nothing."""
    answer = served(
        [{"id": "a", "balance": "70", "priority": 1, "increment": "20"}],
        {"quantity": "61"},
        {"quantity": "5"},
    )
    assert free(answer) == ["60", "0"]
    assert [event["charge"] for event in answer["events"]] == ["1", "5"]
    assert (answer["remaining"], answer["uncovered"]) == ({"a": "10"}, "6")


def test_a_bucket_does_not_serve_the_instant_it_expires() -> None:
    """Half-open: the last second before is served; the one at the expiry is not."""
    answer = served(
        [{"id": "a", "balance": "9", "priority": 1, "expires": "2026-03-02T00:00:00"}],
        {"quantity": "1", "start": "2026-03-01T23:59:59"},
        {"quantity": "1", "start": "2026-03-02T00:00:00"},
    )
    assert free(answer) == ["1", "0"]


def test_equal_priorities_are_settled_by_expiry_and_then_by_id() -> None:
    """The bucket that expires first goes first; one that never expires goes last."""
    answer = served(
        [
            {"id": "c", "balance": "5", "priority": 1},
            {"id": "b", "balance": "5", "priority": 1, "expires": "2026-05-01T00:00:00"},
            {"id": "a", "balance": "5", "priority": 1, "expires": "2026-05-01T00:00:00"},
            {"id": "d", "balance": "5", "priority": 0},
        ],
        {"quantity": "12"},
    )
    assert answer["remaining"] == {"c": "5", "b": "3", "a": "0", "d": "0"}


def test_money_pays_for_whole_increments_but_for_no_fee() -> None:
    """Seven kroner pay for two increments of three; the rest and the fee are charged."""
    rates = {"v": {"steps": [{"from": "0", "price": "3", "per": "60", "increment": "60"}],
                   "setup_fee": "0.5"}}  # fmt: skip
    purse = {"id": "m", "unit": "money", "balance": "7", "priority": 1}
    answer = served([purse], {"quantity": "121"}, rates=rates)
    assert free(answer) == ["120"]
    assert (answer["events"][0]["charge"], answer["remaining"]) == ("3.5", {"m": "1"})


def test_a_price_that_no_decimal_holds_is_debited_exactly() -> None:
    """A third of a krone three times leaves nothing of one krone."""
    rates = {"v": {"steps": [{"from": "0", "price": "1", "per": "3", "increment": "1"}]}}
    purse = {"id": "m", "unit": "money", "balance": "1", "priority": 1}
    events = [{"quantity": "1"}] * 4
    answer = served([purse], *events, rates=rates)
    assert free(answer) == ["1", "1", "1", "0"]
    assert answer["remaining"] == {"m": "0"}


def test_the_set_up_fee_comes_with_overage_or_always() -> None:
    """A wholly covered event pays it only under setup_fee_always; no event, no fee."""
    bucket = {"id": "a", "balance": "10", "priority": 1}
    for always, charges in ((False, ["0", "0", "5.5"]), (True, ["0.5", "0", "5.5"])):
        rates = {"v": {**VOICE["v"], "setup_fee": "0.5", "setup_fee_always": always}}
        answer = served([bucket], {"quantity": "5"}, {"quantity": "0"}, {"quantity": "10"},
                        rates=rates)  # fmt: skip
        assert [event["charge"] for event in answer["events"]] == charges


def test_each_step_of_overage_is_rounded_up_on_its_own() -> None:
    """Of 45 five are free: 10 of the first step are a minute, the 30 behind it half a kilounit."""
    steps = [{"from": "0", "price": "1", "per": "60", "increment": "60"},
             {"from": "10", "price": "2", "per": "1000", "increment": "50"}]  # fmt: skip
    bucket = {"id": "a", "balance": "5", "priority": 1}
    answer = served([bucket], {"quantity": "45"}, rates={"v": {"steps": steps}})
    assert answer["events"][0]["charge"] == "1.1"
    arrivals = [{"id": "a", "start": "1", "quantity": "45"}]
    rate = {"steps": steps}
    told = result("rerate", bucket="5", old_rate=rate, new_rate=rate, arrivals=arrivals)
    assert told["rerated"][0]["charge"] == "1.1"


def test_a_money_limit_grants_whole_increments_after_the_fee() -> None:
    """Of 10 kroner the fee takes 1, and 9 grant two increments of four."""
    rates = {"v": {"steps": [{"from": "0", "price": "4", "per": "30", "increment": "30"}],
                   "setup_fee": "1"}}  # fmt: skip
    bucket = {"id": "a", "balance": "10", "priority": 1}
    answer = served([bucket], {"quantity": "100"}, {"quantity": "1"}, rates=rates, money_limit="10")
    assert answer["events"] == [
        {"event": 1, "free_quantity": "10", "charge": "9", "granted_quantity": "70"},
        {"event": 2, "free_quantity": "0", "charge": "0", "granted_quantity": "0"},
    ]


def test_who_may_use_a_bucket_is_said_by_rate_and_subscriber() -> None:
    """An empty purse, another rate and another subscriber get nothing."""
    buckets = [
        {"id": "a", "balance": "5", "priority": 1, "rates": ["d"]},
        {"id": "b", "balance": "5", "priority": 1, "subscribers": ["kari"]},
        {"id": "z", "balance": "0", "priority": 0},
        {"id": "y", "balance": "-3", "priority": 0},
    ]
    events = [
        {"quantity": "1", "subscriber": "ola"},
        {"quantity": "2", "subscriber": "kari"},
        {"quantity": "4", "rate": "d"},
    ]
    answer = served(buckets, *events)
    assert free(answer) == ["0", "2", "4"]
    assert answer["remaining"] == {"a": "1", "b": "3", "z": "0", "y": "-3"}
    assert answer["uncovered"] == "1"


def test_an_event_without_a_price_has_no_charge_and_a_refund_has_its_sign() -> None:
    """Null is not zero; a refund takes nothing from a bucket."""
    answer = served([{"id": "a", "balance": "5", "priority": 1}], {"quantity": "-3"},
                    {"quantity": "7", "rate": "unknown"}, {"quantity": "0"})  # fmt: skip
    assert [event["charge"] for event in answer["events"]] == ["-3", None, "0"]
    assert free(answer) == ["0", "5", "0"]


def test_figures_of_any_size_are_served_exactly() -> None:
    """Thirty digits and fractions of a unit."""
    answer = served([{"id": "a", "balance": "1e30", "priority": 1}], {"quantity": "1.5"})
    assert answer["remaining"] == {"a": "999999999999999999999999999998.5"}
    coarse = {"id": "a", "balance": "1", "priority": 1, "increment": "1e19"}
    assert free(served([coarse], {"quantity": "1"})) == ["0"]


def test_usage_and_fees_beyond_64_bits_are_priced_exactly() -> None:
    """Usage, a step and a fee that no column of int64 holds, when served and when rated again."""
    steps = [{"from": "0", "price": "2"}, {"from": "1e30", "price": "1"}]
    rate = {"steps": steps, "setup_fee": "1e20"}
    bucket = {"id": "a", "balance": "5", "priority": 1}
    answer = served([bucket], {"quantity": "5e18"}, {"quantity": "1e31"}, rates={"v": rate})
    charges = ["109999999999999999990", "11000000000100000000000000000000"]
    assert [event["charge"] for event in answer["events"]] == charges
    assert answer["uncovered"] == "10000000000004999999999999999995"
    arrivals = [{"id": n, "start": f"{n}", "quantity": q} for n, q in ((1, "5e18"), (2, "1e31"))]
    told = result("rerate", bucket="5", old_rate=rate, new_rate=rate, arrivals=arrivals)
    assert [row["charge"] for row in told["rerated"]] == charges
    assert [row["charge"] for row in told["deltas"]] == ["0", "0"]


@pytest.mark.parametrize(
    ("given", "after"),
    [
        ({"balance_before": "10"}, "10"),
        ({"balance_before": "10", "percent": "25"}, "2.5"),
        ({"balance_before": "10", "percent": "25", "min_rollover": "4"}, "4"),
        ({"balance_before": "10", "min_rollover": "20", "max_rollover": "5"}, "5"),
        ({"balance_before": "-10", "overage_carried": "3"}, "-3"),
        ({"balance_before": "10", "max_rollover": "0"}, "0"),
        # In units of 10^-17 the balance fits in 64 bits, and 33.3 per cent of it does not.
        ({"balance_before": "6.89928383005818598", "percent": "33.3"}, "2.29746151540937593134"),
        (
            {"balance_before": "1", "overage_carried": "4e18", "percent": "12.5"},
            "-3999999999999999999.875",
        ),
    ],
)
def test_what_rolls_over(given: dict[str, str], after: str) -> None:
    """At least the least, at most the most, less what was overdrawn."""
    assert result("rollover", **given) == {"balance_after_reset": after}


@pytest.mark.parametrize(
    ("before", "quantity", "billable"), [("0", "5", "0"), ("7", "5", "2"), ("20", "5", "5")]
)
def test_what_is_free_is_used_up_once(before: str, quantity: str, billable: str) -> None:
    """Ten are free in all."""
    answer = result("usage_discount", free_quantity="10", quantity_before=before, quantity=quantity)
    assert answer == {"billable_quantity": billable}


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        ({"buckets": [{"id": "a", "balance": "x"}], "events": []}, "/given/buckets/0/balance"),
        ({"buckets": [{"id": "a", "balance": "1", "rates": "v"}], "events": []}, "rates"),
        ({"buckets": [], "events": [], "rates": {"v": {"steps": []}}}, "/given/rates/v/steps"),
        ({"buckets": [{"id": "a", "balance": "1"}] * 2, "events": []}, "twice"),
    ],
)
def test_a_fault_names_its_place(given: dict[str, Any], pointer: str) -> None:
    """What is wrong is found by its pointer."""
    done = evaluate({"id": "x", "kind": "allowance", "given": given})
    assert done.error is not None
    assert pointer in done.error


def test_a_late_arrival_takes_from_the_bucket_what_it_was_owed() -> None:
    """By arrival the later call used the bucket first; by start the earlier one does."""
    arrivals = [
        {"id": "b", "start": "2026-03-01T10:00:00", "quantity": "80"},
        {"id": "a", "start": "2026-03-01T09:00:00", "quantity": "60"},
    ]
    answer = result("rerate", bucket="100", bucket_increment="1", old_rate=VOICE["v"],
                    new_rate="2", arrivals=arrivals)  # fmt: skip
    told = {
        name: [(row["event"], row["charge"]) for row in answer[name]]
        for name in ("first_rating", "rerated", "deltas")
    }
    assert told == {
        "first_rating": [("b", "0"), ("a", "40")],
        "rerated": [("a", "0"), ("b", "80")],
        "deltas": [("b", "80"), ("a", "-40")],
    }


def test_a_broken_kernel_breaks_the_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cases have no arithmetic of their own: what the kernel gets wrong shows."""
    monkeypatch.setattr("rating.buckets.in_increments", lambda wanted, *_: (wanted, wanted))
    answer = served([{"id": "a", "balance": "5", "priority": 1}], {"quantity": "9"})
    assert free(answer) == ["9"]
