"""The list rules of TMF630, on resources of any kind."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import pytest

from ledger.errors import Invalid
from ledger.web.tmf630 import list_by_rules

THINGS: list[dict[str, Any]] = [
    {"id": str(n), "href": f"/{n}", "name": name, "price": {"value": value}, "tags": [{"t": name}]}
    for n, (name, value) in enumerate([("b", "1"), ("a", "2"), ("c", "2")])
]


def ids(**asked: Any) -> list[str]:
    """The ids that are listed."""
    return [thing["id"] for thing in list_by_rules(THINGS, **{"filters": {}} | asked).resources]


def test_a_part_of_a_list_says_how_much_there_is() -> None:
    """206 and the counts; the whole list is 200, and so is a list of nothing."""
    part = list_by_rules(THINGS, filters={}, offset=1, limit=1)
    assert (part.status, part.headers) == (
        HTTPStatus.PARTIAL_CONTENT, {"X-Total-Count": "3", "X-Result-Count": "1"},
    )  # fmt: skip
    assert list_by_rules(THINGS, filters={}).status is HTTPStatus.OK
    assert list_by_rules([], filters={"name": "x"}).status is HTTPStatus.OK


def test_filters_go_into_objects_and_take_alternatives() -> None:
    """Attributes by dots, also in lists; all filters hold together."""
    assert ids(filters={"price.value": "2"}) == ["1", "2"]
    assert ids(filters={"name": "a,c"}) == ["1", "2"]
    assert ids(filters={"tags.t": "c", "price.value": "2"}) == ["2"]
    with pytest.raises(Invalid, match=r"prise is no attribute here; there are .*price"):
        ids(filters={"prise": "2"})


def test_order_and_attributes_are_as_asked() -> None:
    """Id and href stay, whatever is asked for."""
    assert ids(sort="name") == ["1", "0", "2"]
    assert ids(sort="-name") == ["2", "0", "1"]
    first = list_by_rules(THINGS, filters={}, fields="name").resources[0]
    assert set(first) == {"id", "href", "name"}
    assert set(list_by_rules(THINGS, filters={}, fields="none").resources[0]) == {"id", "href"}
