"""Pricing cases: self-contained examples of a price, evaluated by the array functions that bill.

A case is a JSON object with id, kind, given and, if it is a check, expected. Each kind is a
function from `given` to a result, in a module of this package; it scales the decimals of the case
to integers in which all is exact, calls the kernel that bills, and writes decimals again. No
arithmetic of its own is done here. The kinds and their meaning: docs/pricing.md.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ledger.errors import Invalid, Problem
from rating.cases import (
    agreements,
    allowances,
    amounts,
    calendar,
    contracts,
    parts,
    periods,
    rerating,
    services,
    sessions,
    spend,
)
from rating.cases.fields import Noted, doubled, escape, unread
from rating.cases.numbers import parse_figure

Kind = Callable[[Mapping[str, Any]], dict[str, Any]]

# What each kind of case is evaluated by; a module of this package lists its own in KINDS.
KINDS: Mapping[str, Kind] = {
    **agreements.KINDS,
    **allowances.KINDS,
    **amounts.KINDS,
    **calendar.KINDS,
    **contracts.KINDS,
    **parts.KINDS,
    **periods.KINDS,
    **rerating.KINDS,
    **services.KINDS,
    **sessions.KINDS,
    **spend.KINDS,
}

_MAX_INTEGER_DIGITS = 100  # of a JSON number; longer ones are kept from slow conversion


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a result is not what the case expects."""

    pointer: str
    expected: Any
    got: Any


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What became of one case: a result or an error, and how it differs from what was expected."""

    id: Any
    result: dict[str, Any] | None = None
    error: str | None = None
    differences: list[Difference] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)  # pointers of fields no kind looks at

    @property
    def ok(self) -> bool:
        """Whether the case was evaluated and is as expected."""
        return self.error is None and not self.differences


def read_cases(text: bytes | str) -> list[Any]:
    """Read the cases of a file: one case, a list of them, or {"cases": [...]}.

    Raises
    ------
    Invalid : the text is no JSON, or none of these; the items are not checked here.
    """
    try:
        content = json.loads(text, object_pairs_hook=_object, parse_int=_integer)
    except (ValueError, RecursionError) as fault:
        raise Invalid(
            f"is not readable as JSON: {fault}. A file holds one case, a list of cases, or "
            '{"cases": [...]}'
        ) from None
    if isinstance(content, Noted) and "kind" not in content:
        if content.twice is not None:
            raise Invalid(f"has the key {content.twice!r} twice in its outermost object")
        if "cases" in content:
            content = content["cases"]
            if not isinstance(content, list):
                raise Invalid('needs a list under "cases"')
    return content if isinstance(content, list) else [content]


def evaluate(case: Any) -> Evaluated:
    """Evaluate one case; whatever is wrong with it becomes its error."""
    identity = None
    try:
        identity = _identity(case)
        _check_keys(case)
        result = _kind(case)(_given(case))
    except Problem as fault:
        return Evaluated(identity, error=str(fault))
    except OverflowError:
        told = "A figure is too large: this kind is computed in 64 bits, as it is billed."
        return Evaluated(identity, error=told)
    except Exception as fault:  # noqa: BLE001 - a mistake of ours in one kind hides no other case
        return Evaluated(identity, error=f"A mistake of the program: {fault!r}. Report the case.")
    expected = case.get("expected")
    differences = [] if expected is None else list(differ(expected, result, "/expected"))
    return Evaluated(identity, result, None, differences, unread(case["given"], "/given"))


def differ(expected: Any, got: Any, pointer: str) -> Iterator[Difference]:
    """Compare what was expected with what came out.

    Decimals are compared as numbers: "1.5" is "1.50". Of an object only the fields named in
    `expected` are compared; the order of a list counts.
    """
    if isinstance(expected, dict) and isinstance(got, dict):
        for key, value in expected.items():
            place = f"{pointer}/{escape(key)}"
            if key in got:
                yield from differ(value, got[key], place)
            else:
                yield Difference(place, value, None)
    elif isinstance(expected, list) and isinstance(got, list):
        if len(expected) != len(got):
            yield Difference(pointer, expected, got)
            return
        for number, (value, found) in enumerate(zip(expected, got, strict=True)):
            yield from differ(value, found, f"{pointer}/{number}")
    elif not _same(expected, got):
        yield Difference(pointer, expected, got)


def _same(expected: Any, got: Any) -> bool:
    if isinstance(expected, bool) or isinstance(got, bool) or expected is None or got is None:
        return expected is got
    try:
        return parse_figure(expected) == parse_figure(got)
    except Invalid:
        return type(expected) is type(got) and bool(expected == got)


def _identity(case: Any) -> str | int:
    if not isinstance(case, dict):
        raise Invalid("A case is an object with id, kind, given and expected.")
    found = case.get("id")
    if isinstance(found, str) or (isinstance(found, int) and not isinstance(found, bool)):
        return found
    raise Invalid(f"/id {'is missing' if found is None else 'needs a text'}.", pointer="/id")


def _check_keys(case: Any) -> None:
    if twice := doubled(case):
        raise Invalid(f"{twice} is given twice in one object.", pointer=twice)


def _kind(case: Mapping[str, Any]) -> Kind:
    found = case.get("kind")
    if not isinstance(found, str) or found not in KINDS:
        shown = "is missing" if found is None else f"is {found!r:.60}"
        raise Invalid(f"/kind {shown}; known are {', '.join(sorted(KINDS))}.", pointer="/kind")
    return KINDS[found]


def _given(case: Mapping[str, Any]) -> Mapping[str, Any]:
    found = case.get("given")
    if not isinstance(found, dict):
        shown = "is missing" if found is None else "needs an object"
        raise Invalid(f"/given {shown}.", pointer="/given")
    return found


def _object(pairs: list[tuple[str, Any]]) -> Noted:
    found = Noted(pairs)
    if len(found) != len(pairs):
        found.twice = next(key for at, (key, _) in enumerate(pairs) if key in dict(pairs[:at]))
    return found


def _integer(digits: str) -> int | float:
    """Read a JSON integer; one of absurd length becomes a float, which no field takes."""
    return int(digits) if len(digits) <= _MAX_INTEGER_DIGITS else float("inf")
