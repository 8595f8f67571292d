"""The frame of every page: the blueprint, the menu by scope, the book, how figures are written."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, g, has_request_context, request
from flask import session as browser_session
from markupsafe import Markup
from sqlalchemy.exc import SQLAlchemyError

from ledger.db import transaction
from ledger.errors import Problem
from ledger.refusals import UnknownBook
from ledger.service.statements import BookName, read_books
from ledger.web.assets import add_library
from ledger.web.fields import DEFAULT_BOOK
from ledger.web.gate import require_book_access
from reporting import norwegian
from reporting.web.arguments import check_address, day_argument
from reporting.web.dates import OSLO

_FOLDER = Path(__file__).parent
desk = Blueprint("desk", __name__, template_folder="templates")

# Heading, and per item: endpoint, label, the scope its page needs.
_MENU = (
    ("", (("home", "Overview", "desk:read"),)),
    (
        "Books",
        (
            ("trial_balance", "Trial balance", "ledger:read"),
            ("chart", "Chart of accounts", "ledger:read"),
            ("journals", "Manual journals", "ledger:read"),
            ("periods", "Periods and closing", "ledger:read"),
            ("aging", "Aging list", "receivables:read"),
            ("unallocated", "Unmatched payments", "receivables:read"),
        ),
    ),
    (
        "Customers",
        (
            ("customers", "Customers", "party:read"),
            ("invoices", "Invoices", "documents:read"),
        ),
    ),
    (
        "Operations",
        (
            ("feeds", "Feeds", "mediation:read"),
            ("suspense", "Suspense", "mediation:read"),
            ("tariffs", "Tariffs", "tariffs:read"),
        ),
    ),
    ("Access", (("access", "Staff and audit log", "access:read"),)),
)

MENU_PAGES = frozenset(f"desk.{name}" for _, items in _MENU for name, _, _ in items)
# Addresses that lead to nothing of a book.
OF_NO_BOOK = frozenset({"desk.login", "desk.logout", "desk.choose_book"})
_CHOICE = "book"  # Its name in the browser's signed cookie, which ends with the browser.

# A page below a menu item keeps that item marked.
_PARENTS = {
    "account": "trial_balance",
    "account_excel": "trial_balance",
    "entry": "trial_balance",
    **dict.fromkeys(
        (
            "period",
            "period_look",
            "period_close",
            "period_reopen",
            "period_except",
            "period_waive",
            "year_close",
        ),
        "periods",
    ),
    "entry_proof": "trial_balance",
    "quote": "tariffs",
    "tariff": "tariffs",
    "tariff_judge": "tariffs",
    "journal": "journals",
    "journal_new": "journals",
    "journal_edit": "journals",
    "journal_judge": "journals",
    "journal_submit": "journals",
    "journal_attach": "journals",
    "journal_withdraw": "journals",
    "customer": "customers",
    "invoice": "invoices",
    "invoices_excel": "invoices",
    "feed": "feeds",
    "suspense_rows": "suspense",
    "trace_voucher": "trial_balance",
    "trace_invoice": "invoices",
    "trace_record": "feeds",
}

# The pages that forms stand on; the address of a form is no page.
_FORMS = {
    **dict.fromkeys(
        ("period_look", "period_close", "period_reopen", "period_except", "period_waive"), "period"
    ),
    "year_close": "periods",
    "journal_sum": "journal_new",
    **dict.fromkeys(
        ("journal_submit", "journal_judge", "journal_post", "journal_withdraw", "journal_attach"),
        "journal",
    ),
    "suspense_rows": "suspense",
    "tariff_judge": "tariff",
    "choose_book": "home",
    "logout": "home",
}


def page_of_form(endpoint: str) -> str | None:
    """Name the page that a form stands on, by the endpoint that takes it; None where none does."""
    page = _FORMS.get(endpoint.removeprefix("desk."))
    return None if page is None else f"desk.{page}"


def install(app: Flask) -> None:
    """Give templates their filters, the menu, and the desk's own styles."""
    add_library("desk", _FOLDER / "static")
    app.config["LOGIN_ENDPOINT"] = "desk.login"
    app.jinja_env.filters.update(
        kroner=norwegian.kroner,
        figures_in=norwegian.figures_in,
        whole=norwegian.whole_number,
        day=_day,
        moment=_moment,
        quantity=norwegian.quantity,
        rate=norwegian.rate,
        phone=norwegian.phone_number,
        organisation=norwegian.organisation_number,
        person=_person,
    )
    app.before_request(check_address)
    app.url_defaults(_same_book)
    app.context_processor(
        lambda: {
            "navigation": navigation,
            "here": _here(),
            "frame_books": books,
            "frame_book": shown_book,
        }
    )
    # Trimmed blocks keep a page of a thousand rows small.
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True


def _same_book(endpoint: str, values: dict[str, Any]) -> None:
    """Let the links of a page lead to the book, and what was known, that its reader asked for.

    Whoever may see several books has the book in every address: a form that was left open in one
    window must not end in the book that was chosen in another.
    """
    if not endpoint.startswith("desk.") or not has_request_context() or endpoint in OF_NO_BOOK:
        return
    if len(books()) > 1 and (shown := shown_book()):
        values.setdefault("book", shown.book)
    for name in ("book", "known_as_of"):
        if request.args.get(name):
            values.setdefault(name, request.args[name])


def navigation() -> list[tuple[str, list[tuple[str, str]]]]:
    """List the menu's sections and the items that the actor may open."""
    actor = g.get("actor")
    if actor is None:
        return []
    sections = []
    for heading, items in _MENU:
        allowed = [(f"desk.{name}", label) for name, label, needed in items if actor.may(needed)]
        if allowed:
            sections.append((heading, allowed))
    return sections


def book() -> str:
    """Name the legal entity whose books are shown: one that the reader may see.

    It is the one that the address names, else the one that was chosen; a choice that is not theirs
    any more is as none. Raises `BookNotPermitted` or `UnknownBook` for what else is named: a book
    that is not there would read as one in which nothing is.
    """
    chosen = browser_session.get(_CHOICE)
    if chosen is not None and not g.actor.may_see(chosen):
        chosen = None
    named = request.args.get("book")
    wanted = require_book_access(named or chosen or _first_book())
    if named and books() and all(one.book != named for one in books()):
        raise UnknownBook(f"There is no book {named!r}. Correct the address.", book=named)
    return wanted


def choose_book(code: str | None) -> None:
    """Show this book from now on wherever an address names none; None forgets the choice."""
    if code is None:
        browser_session.pop(_CHOICE, None)
    else:
        browser_session[_CHOICE] = code


def books() -> list[BookName]:
    """List the books that the reader may see, read once in a request; none for a stranger."""
    if "desk_books" not in g:
        g.desk_books = _books()
    found: list[BookName] = g.desk_books
    return found


def _books() -> list[BookName]:
    actor = g.get("actor")
    if actor is None:
        return []
    try:
        with transaction() as session:
            return [one for one in read_books(session) if actor.may_see(one.book)]
    except (Problem, SQLAlchemyError):
        return []  # The page that says that the database is silent has a frame too.


def show_book(code: str) -> None:
    """Let the frame name the book of what is shown, where that says it by itself."""
    g.desk_book = code


def shown_book() -> BookName | None:
    """Give the book that the page shows; None where it may not be seen, or there is none."""
    if g.get("actor") is None:
        return None
    try:
        code = g.get("desk_book") or book()
    except Problem:
        return None
    return next((one for one in books() if one.book == code), None)


def _first_book() -> str:
    """Give the book of who names none: the usual one, else the first that is theirs."""
    theirs = g.actor.books
    return DEFAULT_BOOK if theirs is None or DEFAULT_BOOK in theirs else min(theirs, default="")


def wanted_day() -> date | None:
    """Read the day that the page is asked for; None when it is left open.

    Raises `Invalid` for anything that is not a date.
    """
    return day_argument("effective_as_of")


def _here() -> str:
    name = (request.endpoint or "").removeprefix("desk.")
    return f"desk.{_PARENTS.get(name, name)}"


def _day(value: date | None) -> str | Markup:
    """Write a date, or the local date of an instant, as Norwegians do; machines read ISO."""
    if value is None:
        return "–"
    if isinstance(value, datetime):
        value = value.astimezone(OSLO).date()
    return Markup('<time datetime="{}">{}</time>').format(
        value.isoformat(), norwegian.long_date(value)
    )


def _person(reference: str) -> str:
    """Name a member of staff as colleagues do; programs keep their kind."""
    return reference.removeprefix("staff:")


def _moment(value: datetime | None) -> str:
    return value.astimezone(OSLO).strftime("%d.%m.%Y %H:%M") if value else "–"
