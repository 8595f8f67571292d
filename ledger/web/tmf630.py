"""The list rules of TMF630: which resources of a list, which of their attributes, in what order.

Source: TM Forum TMF630 REST API Design Guidelines v4.2, part 1: `fields`, `offset`, `limit`,
`sort`, filters by attribute, X-Total-Count and X-Result-Count, 206 for a part of a list.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from ledger.errors import Invalid

Resource = Mapping[str, Any]
MAX_LIMIT = 1000
# What is always there, whatever is asked for: without it nobody could ask again.
_ALWAYS = ("id", "href")


@dataclass(frozen=True, slots=True)
class Listed:
    """A part of a list, with the status and headers that say so."""

    resources: list[Resource]
    total: int
    status: HTTPStatus

    @property
    def headers(self) -> dict[str, str]:
        """Give how many there are, and how many of them these are."""
        return {
            "X-Total-Count": str(self.total),
            "X-Result-Count": str(len(self.resources)),
        }


def list_by_rules(
    resources: Sequence[Resource],
    *,
    filters: Mapping[str, str],
    fields: str | None = None,
    sort: str | None = None,
    offset: int = 0,
    limit: int = 100,
) -> Listed:
    """Select, order, cut and trim a list.

    Parameters
    ----------
    filters : attribute to wanted value; dots go into objects, commas part values of which one will
        do: `lifecycleStatus=Launched,Active`.
    fields : attributes to keep, by commas; `none` keeps id and href alone.
    sort : an attribute, with a minus for descending order.

    Raises `Invalid` for an attribute that no resource has.
    """
    known = {name for resource in resources for name in _names(resource)}
    for name in (*filters, *([sort.lstrip("+-")] if sort else [])):
        if resources and name not in known:
            raise Invalid(f"{name} is no attribute here; there are {', '.join(sorted(known))}.")
    found = [
        resource
        for resource in resources
        if all(
            not set(wanted.split(",")).isdisjoint(_values(resource, name))
            for name, wanted in filters.items()
        )
    ]
    if sort:
        found.sort(
            key=lambda resource: sorted(_values(resource, sort.lstrip("+-"))),
            reverse=sort.startswith("-"),
        )
    page = found[offset : offset + limit]
    status = HTTPStatus.OK if len(page) == len(found) else HTTPStatus.PARTIAL_CONTENT
    return Listed([trimmed(one, fields) for one in page], len(found), status)


def trimmed(resource: Resource, fields: str | None) -> Resource:
    """Keep the attributes that were asked for, besides id and href."""
    if not fields:
        return resource
    kept = {*_ALWAYS, *fields.split(",")}
    return {name: value for name, value in resource.items() if name in kept}


def _names(value: Any, path: str = "") -> Iterator[str]:
    if path:
        yield path
    if isinstance(value, Mapping):
        for name, below in value.items():
            yield from _names(below, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for one in value:
            if isinstance(one, Mapping):
                yield from _names(one, path)


def _values(value: Any, path: str) -> set[str]:
    """Give the values at a path, as texts; a list has those of all its members."""
    if isinstance(value, list):
        return {found for one in value for found in _values(one, path)}
    if not path:
        return {str(value).lower() if isinstance(value, bool) else str(value)}
    name, _, rest = path.partition(".")
    if not isinstance(value, Mapping) or name not in value:
        return set()
    return _values(value[name], rest)
