"""What the rooms above read in bulk: agreements, payers, what was active, what was ordered."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import text
from sqlalchemy.orm import Session

from party.agreements import FOREVER, Agreements, Int64, Intervals
from party.service.loading import instant

NOT_AGREED = -1


@dataclass(frozen=True, slots=True)
class BillingAccountFacts:
    """A billing account and the customer who is liable for it."""

    billing_account_id: int
    number: str
    party_id: int
    segment: str  # consumer, business
    currency: str
    terms_days: int
    name: str
    org_no: str | None
    street: str
    postcode: str
    city: str
    country: str


@dataclass(frozen=True, slots=True, eq=False)
class ActiveIntervals:
    """Stretches in which a subscription had one offering and one payer; columns of equal length."""

    subscription_id: Int64
    billing_account_id: Int64
    offering: tuple[str, ...]
    valid_from: Int64  # UTC s, not before the span asked for
    valid_to: Int64  # UTC s, exclusive, not after the span asked for
    agreed_micro: Int64  # a price of its own; NOT_AGREED for the list price


@dataclass(frozen=True, slots=True)
class OrderCharge:
    """An applied order, as the reason for a one-off charge."""

    order_ref: str  # system/order id
    action: str  # add, change, addon, cease
    subscription_id: int
    billing_account_id: int
    offering: str
    effective_at: datetime
    agreed_price_micro: int | None


@dataclass(frozen=True, slots=True)
class SubscriptionIn:
    """A subscription as it was at the end of some time."""

    subscription_id: int
    billing_account_id: int
    offering: str


_ONE = """
SELECT s.subscription_id, p.billing_account_id, o.offering
FROM subscription s
JOIN subscription_offering o USING (subscription_id)
JOIN subscription_account p USING (subscription_id)
WHERE s.subscription_id = coalesce(
        (SELECT subscription_id FROM subscription WHERE external_ref = :reference),
        (SELECT subscription_id FROM subscription_identifier
            WHERE kind = 'msisdn' AND value::text = :number AND valid_from < :after
                AND (valid_to IS NULL OR valid_to > :first)
                AND valid_to IS DISTINCT FROM valid_from
            ORDER BY valid_from DESC LIMIT 1))
    AND NOT isempty(tstzrange(o.valid_from, o.valid_to) * tstzrange(p.valid_from, p.valid_to)
        * tstzrange(:first, :after))
ORDER BY o.valid_from DESC, p.valid_from DESC LIMIT 1
"""

_SPAN = (
    "extract(epoch FROM valid_from)::bigint,"
    f" coalesce(extract(epoch FROM valid_to)::bigint, {FOREVER})"
)
_IDENTIFIERS = (
    f"SELECT value, {_SPAN}, subscription_id FROM subscription_identifier WHERE kind = :kind"
)
_OFFERINGS = f"SELECT subscription_id, {_SPAN}, offering FROM subscription_offering"
_PAYERS = f"SELECT subscription_id, {_SPAN}, billing_account_id FROM subscription_account"

_ACCOUNTS = """
SELECT a.billing_account_id, a.number, a.party_id, a.segment, a.currency, a.terms_days,
    p.name, p.org_no, p.street, p.postcode, p.city, p.country
FROM billing_account a JOIN party p USING (party_id)
WHERE (CAST(:ids AS bigint[]) IS NULL OR a.billing_account_id = ANY (CAST(:ids AS bigint[])))
    AND (CAST(:numbers AS text[]) IS NULL OR a.number = ANY (CAST(:numbers AS text[])))
ORDER BY a.billing_account_id
"""

_ACTIVE = """
SELECT subscription_id, billing_account_id, offering,
    extract(epoch FROM lower(held))::bigint AS starts,
    extract(epoch FROM upper(held))::bigint AS ends,
    coalesce(agreed_price_micro, -1) AS agreed
FROM (
    SELECT o.subscription_id, p.billing_account_id, o.offering, o.agreed_price_micro,
        tstzrange(o.valid_from, o.valid_to) * tstzrange(p.valid_from, p.valid_to)
            * tstzrange(:first, :after) AS held
    FROM subscription_offering o JOIN subscription_account p USING (subscription_id)
    WHERE o.valid_from < :after AND (o.valid_to IS NULL OR o.valid_to > :first)
        AND (CAST(:accounts AS bigint[]) IS NULL OR o.subscription_id IN (
            SELECT subscription_id FROM subscription_account
            WHERE billing_account_id = ANY (CAST(:accounts AS bigint[])) AND valid_from < :after
                AND (valid_to IS NULL OR valid_to > :first)))
        AND (CAST(:ids AS bigint[]) IS NULL OR o.subscription_id = ANY (CAST(:ids AS bigint[])))
) spans
WHERE NOT isempty(held)
ORDER BY subscription_id, starts
"""

_HAD = """
SELECT subscription_id, offering, valid_from, valid_to FROM subscription_offering
WHERE subscription_id = ANY (CAST(:ids AS bigint[])) AND valid_to IS DISTINCT FROM valid_from
ORDER BY subscription_id, offering, valid_from
"""

_ORDERS = """
SELECT system || '/' || order_id, action, subscription_id, billing_account_id, offering,
    effective_at, agreed_price_micro
FROM applied_order WHERE effective_at >= :first AND effective_at < :after
    AND (CAST(:ids AS bigint[]) IS NULL OR subscription_id = ANY (CAST(:ids AS bigint[])))
ORDER BY effective_at, applied_order_id
"""

_LABELS = """
SELECT DISTINCT ON (subscription_id) subscription_id, value FROM subscription_identifier
WHERE kind = 'msisdn' AND subscription_id = ANY (CAST(:ids AS bigint[])) AND valid_from <= :at
    AND valid_to IS DISTINCT FROM valid_from
ORDER BY subscription_id, valid_from DESC
"""


# Rows are added and their ends are set: this tells both, of this database and no other.
_VERSION = (
    "SELECT concat_ws('|', (SELECT system_identifier FROM pg_control_system()),"
    " (SELECT oid FROM pg_database WHERE datname = current_database()), "
    + ", ".join(
        f"(SELECT concat_ws('/', count(*), max({table}_id),"
        f" sum(hashtextextended({table}_id || ' ' || extract(epoch FROM valid_to), 0)))"
        f" FROM {table})"
        for table in ("subscription_identifier", "subscription_offering", "subscription_account")
    )
    + ")"
)
_newest: dict[str, Agreements] = {}  # At most one, by version.


def load_agreements(session: Session) -> Agreements:
    """Read every agreement into arrays, for guiding usage to its payer.

    What this process read last is given again while no agreement was added or ended: files come by
    the hundred between two orders. Nobody may change the arrays.
    """
    version = str(session.scalar(text(_VERSION)))
    known = _newest.get(version)
    if known is None:
        known = _read_agreements(session)
        _newest.clear()
        _newest[version] = known
    return known


def _read_agreements(session: Session) -> Agreements:
    kinds = {}
    for kind in ("imsi", "msisdn", "iccid"):
        kinds[kind] = Intervals.of(*_columns(session.execute(text(_IDENTIFIERS), {"kind": kind})))
    offerings = session.execute(text(_OFFERINGS)).all()
    names = tuple(sorted({row[3] for row in offerings}))
    codes = {name: code for code, name in enumerate(names)}
    return Agreements(
        identifiers=kinds,
        offerings=Intervals.of(*_columns((*row[:3], codes[row[3]]) for row in offerings)),
        payers=Intervals.of(*_columns(session.execute(text(_PAYERS)))),
        offering_names=names,
    )


def billing_accounts(
    session: Session, ids: Iterable[int] | None = None, numbers: Iterable[str] | None = None
) -> list[BillingAccountFacts]:
    """Give billing accounts with their customers, in order of id: all, or those named."""
    wanted = {
        "ids": _listed(ids),
        "numbers": None if numbers is None else list(numbers),
    }
    return [BillingAccountFacts(*row) for row in session.execute(text(_ACCOUNTS), wanted)]


def active_intervals(
    session: Session, first_instant: int, after_instant: int, *,
    accounts: Iterable[int] | None = None, subscriptions: Iterable[int] | None = None,
) -> ActiveIntervals:  # fmt: skip
    """Give what was active in [first_instant, after_instant), cut to it. [UTC s]

    A stretch ends where the offering or the payer changes, so that each has one of both.

    Parameters
    ----------
    accounts : only subscriptions that one of these paid for at some time of it, with all their
        stretches; None for all.
    subscriptions : only these; None for all.
    """
    wanted = {
        "first": instant(first_instant), "after": instant(after_instant),
        "accounts": _listed(accounts), "ids": _listed(subscriptions),
    }  # fmt: skip
    rows = session.execute(text(_ACTIVE), wanted).all()
    numbers = [(row[0], row[1], row.starts, row.ends, row.agreed) for row in rows]
    subscription, account, start, end, agreed = _columns(numbers, 5)
    names = tuple(row.offering for row in rows)
    return ActiveIntervals(subscription, account, names, start, end, agreed)


def subscription_in(
    session: Session, reference: str, first_instant: int, after_instant: int
) -> SubscriptionIn | None:
    """Find a subscription that is active in [first_instant, after_instant). [UTC s]

    Parameters
    ----------
    reference : as the order systems name it, else an MSISDN: the last that had it then.

    Returns
    -------
    With the account that paid and the offering at the end of that time; None where there is none.
    """
    span = {"first": instant(first_instant), "after": instant(after_instant)}
    number = re.sub(r"[+\s]", "", reference)
    wanted = {"reference": reference, "number": number, **span}
    row = session.execute(text(_ONE), wanted).one_or_none()
    return None if row is None else SubscriptionIn(*row)


def order_charges(
    session: Session, first_instant: int, after_instant: int,
    subscriptions: Iterable[int] | None = None,
) -> list[OrderCharge]:  # fmt: skip
    """Give the orders that took effect in [first_instant, after_instant), in that order. [UTC s]

    Parameters
    ----------
    subscriptions : only those of these; None for all.
    """
    wanted = {
        "first": instant(first_instant), "after": instant(after_instant),
        "ids": _listed(subscriptions),
    }  # fmt: skip
    return [OrderCharge(*row) for row in session.execute(text(_ORDERS), wanted)]


def offerings_begun(
    session: Session, asked: Sequence[tuple[int, str, datetime]]
) -> list[datetime | None]:
    """Give since when subscriptions have had an offering without a break, up to an instant.

    Parameters
    ----------
    asked : subscription, offering, and the instant just before which it is had.

    Returns
    -------
    In the order of `asked`; None where the subscription did not have the offering then. A new
    price for the same offering is no break.
    """
    rows = session.execute(text(_HAD), {"ids": sorted({one for one, *_ in asked})}).all()
    had: dict[tuple[int, str], list[tuple[datetime, datetime | None]]] = {}
    for row in rows:
        had.setdefault((row[0], row[1]), []).append((row[2], row[3]))
    found: list[datetime | None] = []
    for subscription, offering, until in asked:
        begun: datetime | None = None
        for start, end in reversed(had.get((subscription, offering), [])):
            last = start < until and (end is None or end >= until)
            if last if begun is None else end == begun:
                begun = start
        found.append(begun)
    return found


def subscription_labels(session: Session, ids: Iterable[int], at: int) -> dict[int, str]:
    """Give what customers call subscriptions: the MSISDN at an instant, or the last one before.

    A subscription that never had a number by then has no label.
    """
    wanted = {"ids": [int(key) for key in ids], "at": instant(at)}
    return {key: str(value) for key, value in session.execute(text(_LABELS), wanted)}


def party_labels(session: Session, ids: Iterable[int]) -> dict[int, tuple[str, str]]:
    """Give customer number and name of parties; those that do not exist are left out."""
    rows = session.execute(
        text(
            "SELECT party_id, customer_no, name FROM party"
            " WHERE party_id = ANY (CAST(:ids AS bigint[]))"
        ),
        {"ids": [int(key) for key in ids]},
    )
    return {row.party_id: (row.customer_no, row.name) for row in rows}


def parties_of_numbers(session: Session, numbers: Iterable[str]) -> dict[str, int]:
    """Give the party of each customer number; those that nobody has are left out."""
    rows = session.execute(
        text("SELECT customer_no, party_id FROM party WHERE customer_no = ANY (:numbers)"),
        {"numbers": sorted(set(numbers))},
    )
    return {row.customer_no: row.party_id for row in rows}


def _listed(ids: Iterable[int] | None) -> list[int] | None:
    return None if ids is None else [int(key) for key in ids]


def _columns(rows: Iterable[Sequence[Any]], width: int = 4) -> tuple[Int64, ...]:
    """Turn rows of integers into int64 columns."""
    table = np.array([tuple(row) for row in rows], np.int64).reshape(-1, width)
    return tuple(np.ascontiguousarray(column) for column in table.T)
