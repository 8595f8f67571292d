"""The tariff of the error gallery, and how its refusals are provoked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime

from sqlalchemy.orm import Session

from mediation.charging import Month
from mediation.service.quoting import quote_of
from mediation.service.reckoning import lock_period
from mediation.wallclock import ZONE
from party import service as party
from rating import service as rating
from rating.charges import ChargeKey
from rating.quoted_asking import Asked, Order
from tests.party.rows import order

TARIFF = """format = "hovedbok-tariff/1"
name = "TEST"
version = 1
valid_from = 2026-01-01
currency = "NOK"
time_zone = "Europe/Oslo"
[[band]]
id = "any"
from = "00:00"
[[component]]
id = "subscription"
text = "Abonnement"
revenue = "subscription"
vat = "3"
unit = "month"
[[offering]]
id = "MOBIL-5GB"
name = "Mobil 5 GB"
price_basis = "gross"
  [[offering.recurring]]
  component = "subscription"
  price = "299.00"
"""


def _judge(session: Session, read_hash: str = "", judge: str = "staff:jens") -> object:
    book = rating.propose_tariff(session, TARIFF.encode(), actor="staff:maja").book
    return rating.approve_tariff(session, book.label, read_hash or book.content_hash, judge=judge)


def _approve_what_was_rejected(session: Session) -> object:
    book = rating.propose_tariff(session, TARIFF.encode(), actor="staff:maja").book
    read_hash = book.content_hash
    rating.reject_tariff(session, book.label, read_hash, judge="staff:jens", comment="Too dear")
    return _judge(session)


CHARGED = ChargeKey(
    book_code="NO01", billing_account_id=10_000_001, party_id=7, subscription_id=3,
    component="voice", revenue_account="3010", vat_code="3", vat_rate_bp=2500,
    price_basis="gross", usage_period="2026-03", accounting_month="2026-03",
    billing_period="2026-03", kind="usage", text="Samtaler", unit="s",
)  # fmt: skip


def _rate_into_another_book(session: Session) -> None:
    """What was charged first says in which book usage is charged."""
    rating.ensure_charge_keys(session, [CHARGED])
    lock_period(session, Month("NO02", "2026-03"))


def _cease_before_it_began(session: Session) -> object:
    rating.load_tariff(session, TARIFF.encode())
    begun = int(datetime(2026, 3, 10, tzinfo=ZONE).timestamp())
    sold = order(1, "add", begun, offering="MOBIL-5GB")
    party.apply_orders(session, [sold], {"MOBIL-5GB"})
    asked = Asked("", "2026-03", orders=(Order("cease", date(2026, 3, 5)),))
    versions = rating.month_versions(session, "2026-03")
    return quote_of(session, asked, "en", "SUB1", versions, "NO01")


TARIFF_REFUSALS: Mapping[str, Callable[[Session], object]] = {
    "tariff-changed": lambda session: _judge(session, read_hash="0" * 64),
    "tariff-judged": _approve_what_was_rejected,
    "own-tariff": lambda session: _judge(session, judge="staff:maja"),
    "not-active": _cease_before_it_began,
    "rated-in-another-book": _rate_into_another_book,
}
