"""The desk's door: logging in and out, the overview, and the staff list."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlsplit

from flask import (
    Flask,
    current_app,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask_wtf.csrf import ValidationError, validate_csrf
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.wrappers import Response as BaseResponse

from ledger import service as ledger
from ledger.access import TooManyAttempts
from ledger.db import transaction
from ledger.errors import Invalid
from ledger.service import access, book_access
from ledger.web import now, public, scope
from ledger.web.gate import (
    current_actor,
    require_book_access,
    session_cookie,
    set_session_cookie,
)
from ledger.web.problems import http_error, wants_page
from reporting.web import (
    books,
    chart,
    customers,
    feeds,
    frame,
    journals,
    overview,
    periods,
    quotes,
    tariffs,
    trails,
)
from reporting.web.arguments import number_argument
from reporting.web.clocks import reading

_ACTS_SHOWN = 100
_ROOMS = (books, chart, customers, feeds, journals, periods, quotes, tariffs, trails)


def register(app: Flask) -> None:
    """Add the desk's pages to the application; `ledger.web.install` has been called."""
    frame.install(app)
    app.config["LOGGED_OUT"] = _logged_out
    app.register_error_handler(MethodNotAllowed, _lead_to_form)
    for room in _ROOMS:
        room.add_pages(app)
    for rule, name, view, methods in (
        ("/login", "login", _login, ["GET", "POST"]),
        ("/logout", "logout", _logout, ["POST"]),
        ("/", "home", _home, ["GET"]),
        ("/access", "access", _access, ["GET"]),
        ("/book", "choose_book", _choose_book, ["POST"]),
    ):
        app.add_url_rule(rule, f"desk.{name}", view, methods=methods)
    app.register_blueprint(frame.desk)


@public
def _login() -> BaseResponse | str:
    """Show the form, or check what was typed and open a session."""
    if request.method != "POST":
        return render_template("login.html", next=_own_path(request.args.get("next")))
    username = request.form.get("username", "")
    with transaction() as session:
        login = access.log_in(
            session, username, request.form.get("password", ""),
            address=request.remote_addr or "unknown", now=now(),
        )  # fmt: skip
    target = _own_path(request.form.get("next"))
    if login.token is not None:
        response = make_response(redirect(target or url_for("desk.home"), HTTPStatus.SEE_OTHER))
        set_session_cookie(response, login.token)
        frame.choose_book(None)  # Somebody else may have chosen it.
        return response
    status, fault = HTTPStatus.UNAUTHORIZED, "User name or password is wrong."
    if login.retry_after_s:
        status = TooManyAttempts.status
        minutes = -(-login.retry_after_s // 60)
        fault = f"Too many failed logins. Try again in {minutes} minutes."
    page = render_template("login.html", next=target, username=username, fault=fault)
    response = make_response(page, status)
    if login.retry_after_s:
        response.headers["Retry-After"] = str(login.retry_after_s)
    return response


def _logged_out() -> BaseResponse:
    """Answer a form of somebody whose session has ended: nothing is done, and nothing is lost.

    Only a form of our own comes back: another site must not have its words sent by a person.
    """
    typed = [pair for pair in request.form.items(multi=True) if pair[0] != "csrf_token"]
    try:
        validate_csrf(request.form.get("csrf_token"))
    except ValidationError:
        typed = []
    if not typed or request.endpoint in frame.OF_NO_BOOK:
        return redirect(url_for("desk.login"), HTTPStatus.SEE_OTHER)
    page = render_template(
        "logged_out.html", typed=typed, target=request.full_path.rstrip("?"),
        files=any(file.filename for file in request.files.values()),
    )  # fmt: skip
    return make_response(page, HTTPStatus.UNAUTHORIZED)


def _lead_to_form(refused: MethodNotAllowed) -> BaseResponse:
    """Lead whoever opens the address of a form to the page that the form stands on.

    A form that was refused leaves its own address in the browser, where people load it again.
    """
    if request.method in {"GET", "HEAD"} and wants_page():
        adapter = current_app.create_url_adapter(request)
        assert adapter is not None, "a request has an address"
        endpoint, values = adapter.match(method="POST")
        if (page := frame.page_of_form(endpoint)) is not None:
            (rule,) = current_app.url_map.iter_rules(page)
            told = {name: value for name, value in values.items() if name in rule.arguments}
            return redirect(url_for(page, **told), HTTPStatus.SEE_OTHER)
    return http_error(refused)


@scope("desk:read")
def _logout() -> BaseResponse:
    """End the session on the server, then in the browser."""
    with transaction() as session:
        access.revoke_session(session, request.cookies.get(session_cookie(), ""), now=now())
    response = make_response(redirect(url_for("desk.login"), HTTPStatus.SEE_OTHER))
    response.delete_cookie(session_cookie(), path="/")
    frame.choose_book(None)
    return response


@scope("desk:read")
def _choose_book() -> BaseResponse:
    """Show another book from now on, and first the page of the menu that its reader was on."""
    code = request.values.get("book", "")
    if not code:
        raise Invalid("No book was chosen. Choose one of those that are offered.", field="book")
    require_book_access(code)
    with transaction() as session:
        ledger.require_book(session, code)
    frame.choose_book(code)
    page = request.form.get("page", "")
    target = page if page in frame.MENU_PAGES else "desk.home"
    return redirect(url_for(target, book=code), HTTPStatus.SEE_OTHER)


@scope("desk:read")
def _home() -> str:
    """Show the state of the books, as far as the actor's roles reach."""
    with reading(newest=True) as read:
        state = overview.state_of(read, current_actor())
    return render_template("home.html", state=state, read=read)


@scope("access:read")
def _access() -> str:
    """List the staff and the privileged acts, the newest first, page by page."""
    before = number_argument("before")
    with transaction() as session:
        staff = access.list_staff(session)
        events = access.audit_log(session, _ACTS_SHOWN + 1, before=before)
        books = {
            member.username: book_access.books_of(session, f"staff:{member.username}", now=now())
            for member in staff
        }
    return render_template(
        "access.html", staff=staff, events=events[:_ACTS_SHOWN], books=books, before=before,
        more=len(events) > _ACTS_SHOWN,
    )  # fmt: skip


def _own_path(target: str | None) -> str | None:
    """Accept only a path of our own to go on to: a login page must not send people elsewhere."""
    if not target or "\\" in target or not target.startswith("/") or target.startswith("//"):
        return None
    parts = urlsplit(target)
    return target if not parts.scheme and not parts.netloc else None
