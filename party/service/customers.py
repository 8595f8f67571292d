"""Find customers, and show one with accounts and subscriptions."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, or_, select, text
from sqlalchemy.orm import Session

from ledger.errors import NotFound
from party.models import BillingAccount, Party, SubscriptionAccount, SubscriptionIdentifier


class CustomerNotFound(NotFound):
    """No customer has that number or id."""

    title = "Customer not found"


@dataclass(frozen=True, slots=True)
class CustomerRow:
    """A customer as a list shows it."""

    party_id: int
    customer_no: str
    name: str
    kind: str  # person, organisation
    org_no: str | None


@dataclass(frozen=True, slots=True)
class AccountOfCustomer:
    """A billing account of a customer."""

    billing_account_id: int
    account_no: str
    segment: str  # consumer, business


@dataclass(frozen=True, slots=True)
class SubscriptionOfCustomer:
    """A subscription the customer pays or paid for, with the number and offering it had last."""

    subscription_id: int
    subscription_ref: str
    offering: str
    msisdn: str | None
    active_from: datetime
    active_to: datetime | None  # exclusive; None while it lasts


@dataclass(frozen=True, slots=True)
class CustomerFacts:
    """A customer as their own page shows them."""

    party_id: int
    customer_no: str
    name: str
    kind: str
    org_no: str | None
    email: str | None
    street: str
    postcode: str
    city: str
    country: str
    accounts: tuple[AccountOfCustomer, ...]
    subscriptions: tuple[SubscriptionOfCustomer, ...]


_SUBSCRIPTIONS = """
SELECT s.subscription_id, s.external_ref, o.offering, n.value::text, p.starts, p.ends
FROM (
    SELECT subscription_id, min(valid_from) AS starts,
        CASE WHEN bool_or(valid_to IS NULL) THEN NULL ELSE max(valid_to) END AS ends
    FROM subscription_account JOIN billing_account USING (billing_account_id)
    WHERE party_id = :party_id AND valid_to IS DISTINCT FROM valid_from
    GROUP BY subscription_id
) p
JOIN subscription s USING (subscription_id)
JOIN LATERAL (
    SELECT offering FROM subscription_offering
    WHERE subscription_id = s.subscription_id AND (p.ends IS NULL OR valid_from < p.ends)
        AND valid_to IS DISTINCT FROM valid_from
    ORDER BY valid_from DESC LIMIT 1
) o ON true
LEFT JOIN LATERAL (
    SELECT value FROM subscription_identifier
    WHERE kind = 'msisdn' AND subscription_id = s.subscription_id
        AND (p.ends IS NULL OR valid_from < p.ends) AND valid_to IS DISTINCT FROM valid_from
    ORDER BY valid_from DESC LIMIT 1
) n ON true
ORDER BY p.starts, s.subscription_id
"""


def search_customers(session: Session, wanted: str, limit: int = 50) -> list[CustomerRow]:
    """Find customers by a part of the name, the beginning of a number, or a phone number.

    Parameters
    ----------
    wanted : part of a name; the first digits of a customer number or billing account number; an
        organisation number; or an MSISDN, with or without +47, which finds whoever pays or paid
        for it. Empty: everybody.
    limit : at most so many, in order of name.
    """
    bare = wanted.strip()
    matches: list[ColumnElement[bool]] = [
        Party.name.icontains(bare, autoescape=True),
        Party.customer_no.istartswith(bare, autoescape=True),
        Party.party_id.in_(
            select(BillingAccount.party_id).where(
                BillingAccount.number.startswith(bare, autoescape=True)
            )
        ),
    ]
    if (digits := "".join(bare.split())).isascii() and digits.isdigit():
        matches.append(Party.org_no == digits)
    if phones := _phones(bare):
        matches.append(Party.party_id.in_(_payers_of(phones)))
    query = select(Party).where(or_(*matches)).order_by(Party.name, Party.party_id).limit(limit)
    return [
        CustomerRow(p.party_id, p.customer_no, p.name, p.kind, p.org_no)
        for p in session.scalars(query)
    ]


def customer(session: Session, party_id: int) -> CustomerFacts:
    """Give one customer with accounts and subscriptions.

    Raises
    ------
    CustomerNotFound : there is none with that id.
    """
    party = session.get(Party, party_id)
    if party is None:
        raise CustomerNotFound(f"There is no customer with party id {party_id}.", party_id=party_id)
    accounts = session.scalars(
        select(BillingAccount).filter_by(party_id=party_id).order_by(BillingAccount.number)
    )
    rows = session.execute(text(_SUBSCRIPTIONS), {"party_id": party_id})
    return CustomerFacts(
        party_id=party.party_id,
        customer_no=party.customer_no,
        name=party.name,
        kind=party.kind,
        org_no=party.org_no,
        email=party.email,
        street=party.street,
        postcode=party.postcode,
        city=party.city,
        country=party.country,
        accounts=tuple(
            AccountOfCustomer(a.billing_account_id, a.number, a.segment) for a in accounts
        ),
        subscriptions=tuple(SubscriptionOfCustomer(*row) for row in rows),
    )


def customer_by_number(session: Session, number: str) -> CustomerFacts:
    """Give one customer by customer number, or by the number of a billing account.

    Raises
    ------
    CustomerNotFound : nobody has that number.
    """
    query = select(Party.party_id).where(
        or_(
            Party.customer_no == number,
            Party.party_id.in_(select(BillingAccount.party_id).filter_by(number=number)),
        )
    )
    # Where the number is one customer's number and another's account, the customer number wins.
    by_number = (Party.customer_no == number).desc()
    found = session.scalars(query.order_by(by_number).limit(1)).first()
    if found is None:
        raise CustomerNotFound(
            f"No customer or billing account has the number {number}. "
            "Find it with hovedbok party search TEXT.",
            number=number,
        )
    return customer(session, found)


def _phones(wanted: str) -> list[int]:
    """Read a phone number as people write it: as it stands, and with Norway's code before it."""
    digits = wanted.replace(" ", "").removeprefix("+").removeprefix("00")
    if not (digits.isascii() and digits.isdigit() and 5 <= len(digits) <= 15):
        return []
    return [int(digits), int(f"47{digits}")] if len(digits) == 8 else [int(digits)]


def _payers_of(phones: list[int]) -> ColumnElement[int]:
    return (
        select(BillingAccount.party_id)
        .join(
            SubscriptionAccount,
            SubscriptionAccount.billing_account_id == BillingAccount.billing_account_id,
        )
        .join(
            SubscriptionIdentifier,
            SubscriptionIdentifier.subscription_id == SubscriptionAccount.subscription_id,
        )
        .where(SubscriptionIdentifier.kind == "msisdn", SubscriptionIdentifier.value.in_(phones))
        .scalar_subquery()
    )
