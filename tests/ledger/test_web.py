"""The plumbing of the web: headers, problems, the gate, CSRF, probes, and what logs may hold."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
import structlog
from flask import Flask, render_template_string, request
from flask.testing import FlaskClient
from marshmallow import Schema

from ledger import db as ledger_db
from ledger import web
from ledger.access import ROLES, SCOPES, TooManyAttempts
from ledger.db import transaction
from ledger.errors import Conflict, Problem
from ledger.service import access
from ledger.web.fields import Money
from ledger.web.gate import route_scopes, session_cookie

PAGE = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


class AmountSchema(Schema):
    """A body with an amount."""

    amount = Money(required=True)


@cache
def make_app() -> Flask:
    """An application with the plumbing and a few routes that try it."""
    app = Flask("trial", static_folder=None)
    app.config["SECRET_KEY"] = "only for this test"
    api = web.install(app)
    blueprint = web.Blueprint("trial", __name__, url_prefix="/api/v1")

    @blueprint.route("/amounts", methods=["POST"])
    @web.scope("ledger:post")
    @blueprint.arguments(AmountSchema)
    @blueprint.response(200, AmountSchema)
    def amounts(body: dict[str, int]) -> dict[str, int]:
        """Echo an amount."""
        return body

    api.register_blueprint(blueprint)

    @web.scope("ledger:read")
    def refuses() -> None:
        raise Conflict("The period is closed. Use April.", period="2026-03", status="ignored")

    @web.scope("ledger:read")
    def breaks() -> None:
        raise RuntimeError("select * from staff where username = 'berit'")

    @web.public
    def slow_down() -> None:
        raise TooManyAttempts("Wait.", retry_after_s=7)

    @web.public
    def form() -> str:
        if request.method == "POST":
            return "taken"
        return render_template_string("{{ csrf_token() }}")

    def forgotten() -> str:
        return "nobody said who may see this"

    for rule, view in (
        ("/refuses", refuses), ("/breaks", breaks), ("/slow", slow_down), ("/forgotten", forgotten),
    ):  # fmt: skip
        app.add_url_rule(rule, view_func=view)
    app.add_url_rule("/form", view_func=form, methods=["GET", "POST"])
    return app


@pytest.fixture
def logged() -> Iterator[list[dict[str, Any]]]:
    """The log events of a test, with their context."""
    events: list[dict[str, Any]] = []

    def keep(_logger: Any, _name: str, event: Any) -> Any:
        events.append(dict(event))
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, keep])
    yield events
    structlog.configure(**before)


@pytest.fixture
def client(db: str, logged: list[dict[str, Any]]) -> FlaskClient:
    """A client of the trial application, over a fresh database."""
    return make_app().test_client()


def bearer(*scopes: str) -> dict[str, str]:
    """The header of a new API client that has some scopes."""
    with transaction() as session:
        name = f"client-{len(access.audit_log(session))}"
        token = access.add_client(session, name, scopes, actor="test", now=datetime.now(UTC))
    return {"Authorization": f"Bearer {token}"}


def log_in(client: FlaskClient, *roles: str) -> None:
    """Give the client's browser the session of a new member of staff."""
    now = datetime.now(UTC)
    with transaction() as session:
        name = f"staff-{len(access.audit_log(session))}"
        staff_id = access.add_staff(
            session, name, roles, "long enough words", actor="test", now=now
        )
        token = access.open_session(session, staff_id, now=now)
    with client.application.app_context():
        client.set_cookie(session_cookie(), token)


def problem(response: Any, status: int, code: str) -> dict[str, Any]:
    """Check that an answer is a problem of the catalogue's shape, and give its body."""
    assert response.status_code == status
    assert response.content_type == "application/problem+json"
    body: dict[str, Any] = json.loads(response.data)
    assert body["type"] == f"/problems/{code}"
    assert (body["code"], body["status"]) == (code, status)
    assert body["retryable"] == (status in {429, 500, 503} or "retry_after_s" in body)
    assert {"title", "detail", "instance", "request_id"} <= body.keys()
    assert response.headers["X-Request-Id"] == body["request_id"]
    return body


def test_every_answer_carries_strict_headers(client: FlaskClient) -> None:
    """A page, an error and a probe are all protected, and none may be framed or cached."""
    for path in ("/healthz", "/nowhere", "/api/v1/docs", "/form"):
        headers = client.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe-inline" not in policy
        assert "unsafe-eval" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cache-Control"] == "no-store"


def test_https_is_remembered_only_over_https(client: FlaskClient) -> None:
    """Browsers are told to insist on HTTPS where it was used."""
    assert "Strict-Transport-Security" not in client.get("/healthz").headers
    secure = client.get("/healthz", base_url="https://localhost")
    assert secure.headers["Strict-Transport-Security"] == "max-age=31536000"


@pytest.mark.parametrize(
    ("proxies", "address"), [(0, "127.0.0.1"), (1, "10.0.0.7"), (2, "198.51.100.1")]
)
def test_where_a_request_comes_from_is_what_our_own_proxies_say(proxies: int, address: str) -> None:
    """Failed logins are counted by it: nobody chooses one, nor are all of them the proxy's."""
    app = Flask("trial", static_folder=None)
    web.believe_proxies(app, proxies)
    app.add_url_rule("/", view_func=lambda: str(request.remote_addr))
    told = {"X-Forwarded-For": "203.0.113.9, 198.51.100.1, 10.0.0.7"}
    assert app.test_client().get("/", headers=told).text == address


def test_swagger_ui_runs_its_one_script_by_nonce(client: FlaskClient) -> None:
    """The nonce of the header is the nonce of the script, and another one each time."""
    first, second = client.get("/api/v1/docs"), client.get("/api/v1/docs")
    policy = first.headers["Content-Security-Policy"]
    nonce = policy.partition("'nonce-")[2].partition("'")[0]
    assert f'nonce="{nonce}"' in first.text
    assert nonce not in second.headers["Content-Security-Policy"]
    assert "https://" not in first.text


def test_the_request_id_is_the_callers_where_it_is_well_formed(client: FlaskClient) -> None:
    """A caller can follow its request; an id that could forge a log line is replaced."""
    given = client.get("/healthz", headers={"X-Request-Id": "order-4711-abc"})
    assert given.headers["X-Request-Id"] == "order-4711-abc"
    forged = client.get("/healthz", headers={"X-Request-Id": 'a" level="error'})
    assert forged.headers["X-Request-Id"] != 'a" level="error'


def test_an_unknown_address_is_a_problem(client: FlaskClient) -> None:
    """404 by the framework reads like every other problem."""
    problem(client.get("/nowhere"), 404, "not-found")


def test_a_wrong_method_keeps_its_allow_header(client: FlaskClient) -> None:
    """405 says which methods there are."""
    response = client.delete("/healthz")
    problem(response, 405, "method-not-allowed")
    assert "GET" in response.headers["Allow"]


def test_a_refusal_carries_its_facts(client: FlaskClient) -> None:
    """Facts stand beside the members of RFC 9457 and cannot take their place."""
    body = problem(client.get("/refuses", headers=bearer("ledger:read")), 409, "conflict")
    assert body["detail"] == "The period is closed. Use April."
    assert body["period"] == "2026-03"


def test_a_fault_of_ours_tells_nothing_but_its_id(
    client: FlaskClient, logged: list[dict[str, Any]]
) -> None:
    """The answer holds no cause; the log has it under the same id."""
    response = client.get("/breaks", headers=bearer("ledger:read"))
    body = problem(response, 500, "internal-fault")
    assert "berit" not in response.text
    fault = next(event for event in logged if event["event"] == "fault")
    assert (fault["kind"], fault["request_id"]) == ("RuntimeError", body["request_id"])


def test_a_problem_that_passes_says_when(client: FlaskClient) -> None:
    """429 carries Retry-After."""
    response = client.get("/slow")
    problem(response, 429, "too-many-attempts")
    assert response.headers["Retry-After"] == "7"


def test_fields_that_do_not_fit_are_listed_with_pointers(client: FlaskClient) -> None:
    """422 lists each field with a JSON pointer into the request."""
    sent = client.post("/api/v1/amounts", json={"sum": "1"}, headers=bearer("ledger:post"))
    body = problem(sent, 422, "schema-mismatch")
    assert {error["pointer"] for error in body["errors"]} == {"/json/amount", "/json/sum"}


@pytest.mark.parametrize("number", [12.5, 12, 0.1, True])
def test_an_amount_as_a_json_number_has_its_own_problem(client: FlaskClient, number: Any) -> None:
    """A number has been a float somewhere: it is refused whatever its value."""
    sent = client.post("/api/v1/amounts", json={"amount": number}, headers=bearer("ledger:post"))
    assert problem(sent, 422, "amount-not-a-string")["field"] == "amount"


def test_an_amount_as_a_string_comes_back_as_it_went(client: FlaskClient) -> None:
    """Decimal kroner in and out, øre within."""
    headers = bearer("ledger:post")
    for amount in ("0.00", "-1234.50", "99999999999.99"):
        sent = client.post("/api/v1/amounts", json={"amount": amount}, headers=headers)
        assert sent.json == {"amount": amount}


def test_broken_json_is_a_problem(client: FlaskClient) -> None:
    """400 with a name of its own: cut off, nested or written beyond reading, no UTF-8."""
    headers = {**bearer("ledger:post"), "Content-Type": "application/json"}
    for body in (b'{"amount": ', b"[" * 100_000, b"1" * 10_000):
        problem(client.post("/api/v1/amounts", data=body, headers=headers), 400, "json-unreadable")
    sent = client.post("/api/v1/amounts", data=b'{"amount": "\xff"}', headers=headers)
    assert problem(sent, 400, "not-utf8")["octet"] == 13


def test_a_body_that_is_not_called_json_is_refused(client: FlaskClient) -> None:
    """415, and not a list of missing fields."""
    sent = client.post("/api/v1/amounts", data={"amount": "1.00"}, headers=bearer("ledger:post"))
    problem(sent, 415, "unsupported-media-type")


def test_without_credentials_one_is_asked_for_them(client: FlaskClient) -> None:
    """401 names the scheme."""
    response = client.get("/refuses")
    problem(response, 401, "unauthorised")
    assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("value", ["Basic YTpi", "Bearer", "Bearer x", "Bearer hvb_0.guess"])
def test_wrong_credentials_are_refused(client: FlaskClient, value: str) -> None:
    """A wrong token is refused even where none would be needed."""
    for path in ("/refuses", "/healthz"):
        problem(client.get(path, headers={"Authorization": value}), 401, "token-invalid")


def test_a_route_that_names_no_scope_is_closed(client: FlaskClient) -> None:
    """Forgetting is safe: not even somebody with every scope may use it."""
    problem(client.get("/forgotten", headers=bearer(*SCOPES)), 403, "forbidden")


@pytest.mark.parametrize("role", ROLES)
def test_a_session_carries_its_roles_scopes(client: FlaskClient, role: str) -> None:
    """A cookie opens what the role allows and 403 answers the rest."""
    log_in(client, role)
    response = client.get("/refuses")
    if "ledger:read" in ROLES[role]:
        problem(response, 409, "conflict")
    else:
        assert problem(response, 403, "scope-missing")["scope"] == "ledger:read"


def test_a_cookie_alone_changes_nothing(client: FlaskClient) -> None:
    """A post with a session but without the form's token is 400, with or without HTML."""
    log_in(client, "accountant")
    problem(client.post("/api/v1/amounts", json={"amount": "1.00"}), 400, "csrf-token-missing")
    problem(client.post("/form"), 400, "csrf-token-missing")


def test_a_form_with_its_token_is_taken(client: FlaskClient) -> None:
    """The token of the page that was loaded opens the post; another one does not."""
    token = client.get("/form").text
    assert client.post("/form", data={"csrf_token": token}).text == "taken"
    problem(client.post("/form", data={"csrf_token": token[::-1]}), 400, "csrf-token-missing")


def test_a_bearer_token_needs_no_form_token(client: FlaskClient) -> None:
    """Browsers never send a bearer token by themselves, so nothing can be forged with it."""
    sent = client.post("/api/v1/amounts", json={"amount": "1.00"}, headers=bearer("ledger:post"))
    assert sent.status_code == 200


def test_the_log_holds_routes_and_no_secrets(
    client: FlaskClient, logged: list[dict[str, Any]]
) -> None:
    """One line a request: route, status, time, who by number; no token, query, path or name."""
    headers = bearer("ledger:read")
    log_in(client, "accountant")
    client.get("/refuses?name=Testkunde&kid=100000010000016", headers=headers)
    client.get("/problems/secret-name", headers={"Cookie": "hovedbok=secret-cookie"})
    lines = [event for event in logged if event["event"] == "request"]
    assert lines[0] == {
        "event": "request", "method": "GET", "route": "/refuses", "status": 409,
        "milliseconds": lines[0]["milliseconds"], "actor": "client:1",
        "request_id": lines[0]["request_id"],
    }  # fmt: skip
    told = repr(logged)
    secrets = ("Testkunde", "100000010000016", headers["Authorization"][7:], "secret-")
    assert not [secret for secret in secrets if secret in told]


def test_probes_say_alive_ready_and_how_much(client: FlaskClient) -> None:
    """Alive needs nothing; ready checks database, migrations and queue; metrics count."""
    assert client.get("/healthz").json == {"status": "ok"}
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json["checks"]) == (
        200, {"database": "ok", "migrations": "ok", "jobs": "ok"},
    )  # fmt: skip
    text = client.get("/metrics").text
    assert 'hovedbok_http_requests_total{method="GET",route="/healthz",status="200"}' in text


def test_without_a_database_the_process_is_alive_and_not_ready(
    client: FlaskClient, tmp_path: Any
) -> None:
    """A database that is away is 503 with a problem for callers, and no restart loop."""
    nowhere = f"postgresql+psycopg://nobody@/none?host={tmp_path}"
    headers = bearer("ledger:read")
    ledger_db.configure(lambda: ledger_db.Addresses(nowhere, nowhere + "&a=", nowhere))
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 503
    response = client.get("/refuses", headers=headers)
    problem(response, 503, "database-silent")
    assert response.headers["Retry-After"] == "5"


def test_only_listed_assets_are_served(client: FlaskClient) -> None:
    """A wheel's other files, and files outside it, cannot be fetched."""
    served = client.get("/assets/bootstrap/css/bootstrap.min.css?v=1")
    assert served.status_code == 200
    assert "immutable" in served.headers["Cache-Control"]
    for path in (
        "swagger/index.html",
        "bootstrap/../../__init__.py",
        "no/such",
        "htmx/ext/README.md",
    ):
        problem(client.get(f"/assets/{path}"), 404, "not-found")


def test_the_catalogue_describes_every_problem_once() -> None:
    """Each class has a code, a title, a meaning and a status; no two share a code."""
    entries = web.problem_catalogue(("ledger",))
    codes = [entry.code for entry in entries]
    assert codes == sorted(set(codes))
    assert {"not-found", "entry-not-balanced", "scope-missing", "amount-not-a-string"} <= set(codes)
    assert {"bad-request", "method-not-allowed"} <= set(codes)
    for entry in entries:
        assert 400 <= entry.status <= 599
        assert entry.title
        assert entry.meaning


def test_a_problems_type_can_be_looked_up(client: FlaskClient) -> None:
    """The address in `type` leads to its entry."""
    entry = client.get("/problems/scope-missing").json
    assert (entry["status"], entry["title"]) == (403, "Scope is missing")
    problem(client.get("/problems/no-such-thing"), 404, "not-found")


def test_every_route_says_who_may_use_it() -> None:
    """The plumbing's own routes are public on purpose; a forgotten one shows as None."""
    scopes = route_scopes(make_app())
    assert scopes.pop(("GET", "/forgotten")) is None
    assert all(scopes.values())


def test_problem_codes_are_kebab_case() -> None:
    """A code is part of an address."""

    class PeriodAlreadyClosed(Problem):
        """Only here."""

    assert PeriodAlreadyClosed.code() == "period-already-closed"
