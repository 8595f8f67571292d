"""The REST API's frame: flask-smorest, documenting what is really sent (OpenAPI 3.1)."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote_to_bytes

import flask_smorest
from flask import Flask, Request, Response, current_app, render_template, request, url_for
from marshmallow import INCLUDE, Schema, fields
from webargs import missing
from webargs.flaskparser import FlaskParser, is_json_request
from werkzeug.exceptions import UnsupportedMediaType

from ledger.access import SCOPES
from ledger.errors import Problem
from ledger.strict_json import NameTwice, read_strictly
from ledger.unstorable import check_utf8
from ledger.web.assets import asset_url
from ledger.web.fields import Money
from ledger.web.gate import public, view_of
from ledger.web.problems import MEDIA_TYPE, SchemaMismatch, http_error

PREFIX = "/api/v1"
_QUERY = "_hovedbok_query"  # Where a view keeps the names that its query may say.


class ProblemSchema(Schema):
    """RFC 9457 problem details; facts of the case stand beside these members."""

    class Meta:
        """Facts differ from case to case."""

        unknown = INCLUDE

    type = fields.String(required=True, metadata={"description": "Address of the kind of problem."})
    code = fields.String(required=True, metadata={"description": "Its name in docs/errors.md."})
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True, metadata={"description": "What, where, what to do."})
    instance = fields.String(required=True)
    request_id = fields.String(required=True)
    retryable = fields.Boolean(
        required=True,
        metadata={"description": "Nothing was decided: send the same again, with the same key."},
    )
    errors = fields.List(
        fields.Dict(keys=fields.String(), values=fields.String()),
        metadata={"description": "Per field: a JSON pointer into the request, and the fault."},
    )


class JsonUnreadable(Problem):
    """The body of the request is not JSON, or is nested or written beyond reading.

    Raise as: "The body is not JSON. Nothing was changed.".
    """

    status = HTTPStatus.BAD_REQUEST
    title = "Body is not JSON"


class JsonParser(FlaskParser):
    """Reads a JSON body, or refuses it by a name of its own."""

    def _raw_load_json(self, req: Request) -> Any:
        if not is_json_request(req) and req.get_data(cache=True):
            raise UnsupportedMediaType("Send the body as application/json.")
        if not is_json_request(req):
            return missing
        try:
            return read_strictly(req.get_data(cache=True).decode())
        except NameTwice as fault:
            raise JsonUnreadable(f"{fault}. Nothing was changed; say each name once.") from None
        except (ValueError, RecursionError) as fault:
            # An empty body is left to the schema, which says what is missing.
            if getattr(fault, "doc", None) == "":
                raise
            check_utf8(req.get_data(cache=True), "the body")
            raise JsonUnreadable("The body is not JSON. Nothing was changed.") from None


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]
    """A blueprint whose lists are paged by cursors in the body, not by headers."""

    ARGUMENTS_PARSER = JsonParser()
    PAGINATION_HEADER_NAME = None

    def arguments(self, schema: type[Schema] | Schema, **options: Any) -> Any:
        """Take arguments by a schema that is made once; webargs would make it for every request."""
        made = schema if isinstance(schema, Schema) else schema()
        if options.get("location", "json") == "json":
            _take_whole_numbers(made)
        take = super().arguments(made, **options)
        if options.get("location") != "query":
            return take
        names = {field.data_key or name for name, field in made.load_fields.items()}

        def take_query(view: Any) -> Any:
            """Let the gate know which names the query may say."""
            known = getattr(view, _QUERY, frozenset()) | names
            taken = take(view)
            setattr(taken, _QUERY, known)
            return taken

        return take_query


def _take_whole_numbers(schema: Schema) -> None:
    """Let the integers of a JSON body be integers: 1.5 would else be read as 1, and posted so."""
    waiting: list[Any] = [*schema.load_fields.values()]
    while waiting:
        field = waiting.pop()
        if isinstance(field, fields.Integer):
            field.strict = True
        elif isinstance(field, fields.List):
            waiting.append(field.inner)
        elif isinstance(field, fields.Nested):
            waiting += field.schema.load_fields.values()
        elif isinstance(field, fields.Mapping):
            waiting.append(field.value_field)


class Api(flask_smorest.Api):  # type: ignore[misc]
    """The API; errors are rendered by `ledger.web.problems` and documented as such."""

    ERROR_SCHEMA = ProblemSchema

    def handle_http_exception(self, error: Any) -> Response:
        """Answer as everywhere else in the application."""
        return http_error(error)

    def _register_responses(self) -> None:
        """Document errors as problem+json; flask-smorest would say plain JSON."""
        content = {MEDIA_TYPE: {"schema": ProblemSchema}}
        for status in HTTPStatus:
            response: dict[str, Any] = {"description": status.phrase}
            if status >= HTTPStatus.BAD_REQUEST:
                response["content"] = content
            self.spec.components.response(status.name, response, lazy=True)
        default = {"description": "The request is refused", "content": content}
        self.spec.components.response(self.DEFAULT_ERROR_RESPONSE_NAME, default, lazy=True)

    @public
    def _openapi_json(self) -> Response:
        response: Response = super()._openapi_json()
        return response

    @public
    def _openapi_swagger_ui(self) -> str:
        """Serve Swagger UI from its wheel; the one inline script carries the nonce."""
        return render_template(
            "openapi.html",
            title=self.spec.title,
            spec_url=url_for("api-docs.openapi_json"),
            icon=asset_url("swagger", "favicon-32x32.png"),
            styles=asset_url("swagger", "swagger-ui.css"),
            script=asset_url("swagger", "swagger-ui-bundle.js"),
        )


def install(app: Flask) -> Api:
    """Make the API and serve its description and the pages to try it."""
    app.before_request(_check_query)
    app.config.update(
        API_TITLE="Hovedbok",
        API_VERSION="v1",
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX=PREFIX,
        OPENAPI_JSON_PATH="openapi.json",
        OPENAPI_SWAGGER_UI_PATH="docs",
        OPENAPI_SWAGGER_UI_URL="/assets/swagger/",
        API_SPEC_OPTIONS={"info": {"description": _DESCRIPTION}, "servers": [{"url": "/"}]},
    )
    api = Api()
    api.register_field(Money, "string", "decimal")
    api.init_app(app)
    api.spec.components.security_scheme(
        "bearer",
        {"type": "http", "scheme": "bearer", "description": f"Scopes: {', '.join(SCOPES)}."},
    )
    return api


def known_query(view: Callable[..., Any], method: str) -> frozenset[str]:
    """Give the names that the query of a view may say."""
    known: frozenset[str] = getattr(view_of(view, method), _QUERY, frozenset())
    return known


def _check_query() -> None:
    """Refuse what the query of an API address does not know, or says twice.

    A misspelt clock or book would else be answered with other figures than those asked for. Other
    standards' addresses, and pages, have rules of their own.
    """
    rule = request.url_rule
    if not request.args or rule is None or not rule.rule.startswith(f"{PREFIX}/"):
        return
    # Flask puts a mark in the place of what is no text: nothing is called so, nothing is found.
    check_utf8(unquote_to_bytes(request.query_string), "the query")
    known = known_query(current_app.view_functions[rule.endpoint], request.method)
    faults = [
        {"pointer": f"/query/{name}",
         "detail": "It is said more than once." if name in known
         else f"Unknown argument. This address knows {', '.join(sorted(known)) or 'none'}."}
        for name, said in request.args.lists()
        if name not in known or len(said) > 1
    ]  # fmt: skip
    if faults:
        raise SchemaMismatch(
            f"{len(faults)} argument(s) of the query are not as documented; see errors.",
            errors=faults,
        )


_DESCRIPTION = (
    "The books over REST. Amounts are strings of decimal kroner; errors are problem+json; every "
    "POST takes an Idempotency-Key; every figure takes effective_as_of and echoes it. Lists are "
    "CSV or Excel where Accept prefers it and the list has it; whatever else Accept says, the "
    "answer is what the address has, mostly JSON, and never 406: look at its Content-Type."
)
