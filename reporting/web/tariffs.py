"""Pages of tariffs: the versions, one of them in words, what it changes, and the verdict on it."""

from __future__ import annotations

from http import HTTPStatus

from flask import Flask, Response, redirect, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as BaseResponse

from ledger.db import transaction
from ledger.errors import Problem
from ledger.web import current_actor, scope
from rating import service
from rating.explain import kroner
from rating.faults import Fault
from rating.listing import tariff_lines
from rating.price_list import price_list, terms_for_all
from rating.service import APPROVED, PROPOSED, TariffVersion
from rating.tariff_diff import TariffDiff, tariff_diff
from rating.tariff_gaps import tariff_gaps
from reporting.web.arguments import number_argument


def add_pages(app: Flask) -> None:
    """Add these pages to the application."""
    for rule, name, view, methods in (
        ("/tariffs", "tariffs", _tariffs, ["GET"]),
        ("/tariffs/<name>/<int:version>", "tariff", _tariff, ["GET"]),
        ("/tariffs/<name>/<int:version>/file", "tariff_file", _file, ["GET"]),
        ("/tariffs/<name>/<int:version>/verdict", "tariff_judge", _judge, ["POST"]),
    ):
        app.add_url_rule(rule, f"desk.{name}", view, methods=methods)


@scope("tariffs:read")
def _tariffs() -> str:
    """List every version, newest first day on top; what waits for approval is marked."""
    with transaction() as session:
        versions = service.tariff_books(session)
    by_name: dict[str, list[TariffVersion]] = {}
    for one in sorted(versions, key=lambda v: (v.name, v.valid_from, v.version), reverse=True):
        by_name.setdefault(one.name, []).append(one)
    waiting = sum(one.state == PROPOSED for one in versions)
    return render_template("tariffs.html", tariffs=sorted(by_name.items()), waiting=waiting)


@scope("tariffs:read")
def _tariff(name: str, version: int) -> str:
    """Show a version: its price lists, and what it changes since another."""
    return _page(name, version)


@scope("tariffs:read")
def _file(name: str, version: int) -> Response:
    """Give the file as it was loaded."""
    with transaction() as session:
        found = service.find_tariff(session, f"{name}/{version}")
    answer = Response(found.source, content_type="application/toml; charset=utf-8")
    answer.headers.set(
        "Content-Disposition", "attachment", filename=f"{found.name}-{found.version}.toml"
    )
    return answer


@scope("tariffs:approve")
def _judge(name: str, version: int) -> BaseResponse | str | tuple[str, HTTPStatus]:
    """Approve or reject what was on the page, and come back to it."""
    judging = (
        service.approve_tariff if request.form.get("verdict") == APPROVED else service.reject_tariff
    )
    try:
        with transaction() as session:
            judging(
                session, f"{name}/{version}", request.form.get("content_hash", ""),
                judge=current_actor().reference, comment=request.form.get("comment", ""),
            )  # fmt: skip
    except Problem as refusal:
        return _page(name, version, refusal), refusal.status
    return redirect(url_for("desk.tariff", name=name, version=version), HTTPStatus.SEE_OTHER)


def _page(name: str, version: int, refusal: Problem | None = None) -> str:
    with transaction() as session:
        found = service.find_tariff(session, f"{name}/{version}")
        others = [
            one for one in service.tariff_books(session, name) if one.version != found.version
        ]
        since = _compared(session, found, others)
    actor = current_actor()
    tariff = found.book.tariff
    return render_template(
        "tariff.html", found=found, tariff=tariff, others=others, since=since, refusal=refusal,
        changes=_changes(since, found), gaps=_gaps(found), lines=tariff_lines(tariff),
        lists=[(offering, price_list(tariff, offering)) for offering in tariff.offerings],
        for_all=terms_for_all(tariff),
        own=actor.reference == found.loaded_by, money=_money,
        judges=found.state == PROPOSED and actor.may("tariffs:approve")
        and actor.reference != found.loaded_by,
    )  # fmt: skip


def _compared(
    session: Session, found: TariffVersion, others: list[TariffVersion]
) -> TariffVersion | None:
    """Choose what a version is compared with: as asked, else the approved one before it."""
    asked = number_argument("since")
    if asked is not None:
        return service.find_tariff(session, f"{found.name}/{asked}")
    before = [one for one in others if one.state == APPROVED and one.valid_from < found.valid_from]
    return max(before, key=lambda one: one.valid_from, default=None)


def _changes(since: TariffVersion | None, found: TariffVersion) -> TariffDiff | None:
    return None if since is None else tariff_diff(since.book.tariff, found.book.tariff, "nb")


def _gaps(found: TariffVersion) -> list[Fault]:
    """What is worth a look before approving; of an old version nobody needs to know."""
    return tariff_gaps(found.book.tariff) if found.state == PROPOSED else []


def _money(micro: int) -> str:
    """Write millionths as Norwegians do."""
    return kroner(micro, "nb")
