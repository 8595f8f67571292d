"""Every form that the API demands of a text holds for the whole text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import Schema, ValidationError, fields, validate

from ledger.errors import Invalid
from ledger.web.fields import Day, Whole
from reporting.web.arguments import read_day
from tests.reporting.test_desk import make_app

make_app()  # Loads the resources of all rooms, and so every schema there is.


def _schemas(of: type[Schema] = Schema) -> Iterator[type[Schema]]:
    """Every schema of the rooms, and of what they build on."""
    for schema in of.__subclasses__():
        yield schema
        yield from _schemas(schema)


def _inner(field: Any) -> Iterator[fields.Field[Any]]:
    """A field and those within it: members of lists, keys and values of objects."""
    yield field
    for name in ("inner", "key_field", "value_field"):
        if isinstance(found := getattr(field, name, None), fields.Field):
            yield from _inner(found)


def _forms() -> dict[str, Any]:
    """Each validator that holds an expression against a text, by where it stands."""
    found = {}
    for schema in _schemas():
        for name, declared in schema._declared_fields.items():
            for field in _inner(declared):
                for one in field.validators:
                    members = one.validators if isinstance(one, validate.And) else [one]
                    for validator in members:
                        if isinstance(getattr(validator, "regex", None), re.Pattern):
                            found[f"{schema.__module__}.{schema.__name__}.{name}"] = validator
    return found


FORMS = _forms()


def test_the_walk_finds_the_forms() -> None:
    """Of every room that has some, in lists as well; a walk that finds nothing proves nothing."""
    rooms = {place.partition(".")[0] for place in FORMS}
    assert rooms >= {"ledger", "rating", "reporting"}
    assert "ledger.api.structure.AccountSchema.number" in FORMS


@pytest.mark.parametrize("place", FORMS)
@given(data=st.data())
def test_what_is_right_is_wrong_with_a_newline(place: str, data: st.DataObject) -> None:
    """At its end, where `$` would let it pass, and at its beginning; so are foreign digits."""
    form = FORMS[place]
    good = data.draw(st.from_regex(form.regex, fullmatch=True).filter(lambda s: "\n" not in s))
    assert form(good) == good
    for bad in (f"{good}\n", f"\n{good}", f"{good}\r\n", f"{good}\0"):
        with pytest.raises(ValidationError):
            form(bad)
    for foreign in ("٣", "３"):  # Arabic-Indic and fullwidth: digits, but not of an account.
        if good:
            with pytest.raises(ValidationError):
                form(foreign + good[1:])


def test_a_form_is_described_as_others_write_it() -> None:
    """The description of the API has anchors that every language knows."""
    spec = make_app().test_client().get("/api/v1/openapi.json").json
    described = spec["components"]["schemas"]["Account"]["properties"]["account"]
    assert described["pattern"] == "^[0-9]{4,10}$"
    with pytest.raises(ValidationError, match="does not match expected pattern"):
        Whole("^[a-z]+$")("abc\n")


def test_every_day_of_the_api_is_written_in_one_way() -> None:
    """Python's own reader takes days of weeks too, which batches and files refuse."""
    dates = {
        f"{schema.__module__}.{schema.__name__}.{name}": inner
        for schema in _schemas()
        for name, field in schema._declared_fields.items()
        for inner in _inner(field)
        if isinstance(inner, fields.Date)
    }
    assert len(dates) > 40
    assert {where for where, field in dates.items() if not isinstance(field, Day)} == set()
    with pytest.raises(ValidationError, match="Not a valid date"):
        Day().deserialize("2026-W14-2")


@pytest.mark.parametrize("written", ["31.03.2026x", "131.03.2026", "31.03.2026 1", "2026-W14-2"])
def test_a_date_of_the_desk_is_a_whole_date(written: str) -> None:
    """What is no date by itself is not made one; white space around it is nothing typed."""
    assert read_day(" 31.03.2026\n", "day") == date(2026, 3, 31)
    with pytest.raises(Invalid, match="not a date"):
        read_day(written, "day")
