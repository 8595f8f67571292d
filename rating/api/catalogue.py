"""The product catalogue in the shape of TMF620 v4, for reading, with the list rules of TMF630."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from http import HTTPStatus
from typing import Any
from zoneinfo import ZoneInfo

from flask import Response, jsonify, request
from flask.views import MethodView
from marshmallow import INCLUDE, Schema, fields, validate

from ledger.db import transaction
from ledger.errors import NotFound
from ledger.web import Blueprint, now, scope
from ledger.web.tmf630 import MAX_LIMIT, Resource, list_by_rules, trimmed
from rating import service
from rating.tmf620 import (
    BASE,
    Listed,
    catalogs,
    product_offering_prices,
    product_offerings,
    product_specifications,
)

blueprint = Blueprint(
    "rating-catalogue", __name__, url_prefix=BASE, description="TMF620 product catalogue, read-only"
)
_OSLO = ZoneInfo("Europe/Oslo")
_OURS = frozenset({"fields", "sort", "offset", "limit"})
Shape = Callable[[Sequence[Listed], date], Sequence[Resource]]


class FieldsQuery(Schema):
    """Which attributes are wanted."""

    fields_ = fields.String(
        load_default=None, data_key="fields",
        metadata={"description": "Attributes, by commas; `none` is id and href alone."},
    )  # fmt: skip


class ListQuery(FieldsQuery):
    """Which part of a list; any other parameter is a filter: `lifecycleStatus=Launched`."""

    offset = fields.Integer(load_default=0, validate=validate.Range(0))
    limit = fields.Integer(load_default=100, validate=validate.Range(1, MAX_LIMIT))
    sort = fields.String(load_default=None, metadata={"description": "`name`, or `-name`."})


class ResourceSchema(Schema):
    """What every resource has; the rest is as TMF620 v4 says, amounts as text."""

    class Meta:
        """A kind of resource has more attributes, and the documentation says so."""

        unknown = INCLUDE

    id = fields.String(required=True)
    href = fields.String(required=True)
    name = fields.String()
    version = fields.String()
    lifecycleStatus = fields.String(metadata={"example": "Launched"})  # noqa: N815 - TMF620
    lastUpdate = fields.String()  # noqa: N815 - TMF620
    validFor = fields.Dict()  # noqa: N815 - TMF620


def _listed() -> list[Listed]:
    with transaction() as session:
        versions = service.tariff_books(session)
    return [
        Listed(one.book.tariff, one.state, one.valid_to, one.judged_at or one.loaded_at)
        for one in versions
    ]


def _today() -> date:
    return now().astimezone(_OSLO).date()


def _list(shape: Shape, wanted: dict[str, Any]) -> Response:
    """Answer with a part of a list, as TMF630 has it."""
    found = list_by_rules(
        shape(_listed(), _today()),
        fields=wanted["fields_"], sort=wanted["sort"], offset=wanted["offset"],
        limit=wanted["limit"],
        filters={name: value for name, value in request.args.items() if name not in _OURS},
    )  # fmt: skip
    return _answer(found.resources, found.status, found.headers)


def _one(shape: Shape, identity: str, wanted: dict[str, Any]) -> Response:
    """Answer with one resource."""
    for resource in shape(_listed(), _today()):
        if resource["id"] == identity:
            return _answer(trimmed(resource, wanted["fields_"]), HTTPStatus.OK, {})
    raise NotFound(f"There is no {identity} here. Ask for the list to see what there is.")


def _answer(content: Any, status: HTTPStatus, headers: dict[str, str]) -> Response:
    answer = jsonify(content)
    answer.status_code = status
    answer.headers.update(headers)
    answer.add_etag()
    if status is HTTPStatus.OK:
        answer.make_conditional(request)
    return answer


def _resources(path: str, shape: Shape, what: str) -> None:
    """Add the list and the single resource of one kind."""

    class Many(MethodView):
        @scope("tariffs:read")
        @blueprint.arguments(ListQuery, location="query")
        @blueprint.response(HTTPStatus.OK, ResourceSchema(many=True))
        @blueprint.alt_response(HTTPStatus.PARTIAL_CONTENT, schema=ResourceSchema(many=True))
        def get(self, wanted: dict[str, Any]) -> Response:
            return _list(shape, wanted)

    class One(MethodView):
        @scope("tariffs:read")
        @blueprint.arguments(FieldsQuery, location="query")
        @blueprint.response(HTTPStatus.OK, ResourceSchema)
        def get(self, wanted: dict[str, Any], identity: str) -> Response:
            return _one(shape, identity, wanted)

    Many.__doc__ = f"{what} of all versions."
    Many.get.__doc__ = f"List {what[0].lower()}{what[1:]} by the rules of TMF630."
    One.__doc__ = f"One of: {what[0].lower()}{what[1:]}."
    One.get.__doc__ = f"Show one of the {what[0].lower()}{what[1:]}."
    blueprint.route(f"/{path}", endpoint=f"list_{path}")(Many)
    blueprint.route(f"/{path}/<path:identity>", endpoint=f"show_{path}")(One)


_resources("catalog", catalogs, "Catalogues")
_resources("productOffering", product_offerings, "Product offerings")
_resources("productOfferingPrice", product_offering_prices, "Prices of product offerings")
_resources("productSpecification", product_specifications, "Product specifications")
