"""The seed: a chart with official grouping codes, and rules that name only its accounts."""

from __future__ import annotations

from ledger.service.books import read_seed

FAMILY = {"1500", "1505", "1510", "1515", "1540", "1549", "1571", "2900", "2991"}


def test_every_rule_names_an_account_of_the_chart() -> None:
    """A rule that points nowhere would only be found on the day it is needed."""
    numbers = {row["number"] for row in read_seed("accounts")}
    assert {row["account"] for row in read_seed("posting_rules")} <= numbers


def test_open_item_accounts_are_the_control_accounts_of_customers() -> None:
    """The receivable family and the two credit accounts, no others; all but 2991 need a party."""
    chart = read_seed("accounts")
    assert {row["number"] for row in chart if row["open_item"] == "1"} == FAMILY
    assert {r["number"] for r in chart if r["party_required"] == "1"} == FAMILY - {"2991"}


def test_every_account_has_its_class_and_grouping() -> None:
    """The class follows the first digit, and no account lacks its official grouping."""
    for row in read_seed("accounts"):
        classes = {"1": "A", "2": "LQ", "3": "I", "4": "E", "7": "E", "8": "IED"}
        assert row["class"] in classes[row["number"][0]], row["number"]
        assert row["grouping_category"], row["number"]
        assert row["grouping_code"], row["number"]


def test_vat_codes_are_saft_codes() -> None:
    """The house uses the standard codes as its own."""
    assert {row["code"] for row in read_seed("vat_codes")} == {"3", "31", "33", "5", "52", "6", "7"}
    assert all(row["code"] == row["saft_code"] for row in read_seed("vat_codes"))
