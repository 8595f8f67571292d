"""Between the tables and the register of a batch: read at once what rows concern, write at once."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.db import driver_connection
from party.orders import Customer
from party.register import ACCOUNT, OFFERING, Account, Register, Span, Subscriber

_TABLES = {OFFERING: "subscription_offering", ACCOUNT: "subscription_account"}
_IDENTIFIERS = "subscription_identifier"

_SUBSCRIPTIONS = """
SELECT subscription_id, external_ref FROM subscription
WHERE external_ref = ANY (CAST(:refs AS text[]))
"""
_NUMBERS = """
SELECT i.subscription_identifier_id, s.external_ref, i.kind, i.value,
    extract(epoch FROM i.valid_from)::bigint, extract(epoch FROM i.valid_to)::bigint, NULL
FROM subscription_identifier i JOIN subscription s USING (subscription_id)
WHERE i.subscription_id = ANY (CAST(:ids AS bigint[]))
    OR (i.kind, i.value) IN (
        SELECT * FROM unnest(CAST(:kinds AS text[]), CAST(:values AS bigint[])))
"""
_OFFERINGS = """
SELECT o.subscription_offering_id, s.external_ref, 'offering', o.offering,
    extract(epoch FROM o.valid_from)::bigint, extract(epoch FROM o.valid_to)::bigint,
    o.agreed_price_micro
FROM subscription_offering o JOIN subscription s USING (subscription_id)
WHERE subscription_id = ANY (CAST(:ids AS bigint[]))
"""
_PAYERS = """
SELECT p.subscription_account_id, s.external_ref, 'account', a.external_ref,
    extract(epoch FROM p.valid_from)::bigint, extract(epoch FROM p.valid_to)::bigint, NULL
FROM subscription_account p JOIN subscription s USING (subscription_id)
    JOIN billing_account a USING (billing_account_id)
WHERE subscription_id = ANY (CAST(:ids AS bigint[]))
"""
_ACCOUNTS = """
SELECT a.external_ref, p.customer_no, a.segment, a.number, a.billing_account_id
FROM billing_account a JOIN party p USING (party_id)
WHERE a.external_ref = ANY (CAST(:refs AS text[])) OR a.number = ANY (CAST(:refs AS text[]))
"""
_CUSTOMERS = """
SELECT customer_no, kind, name, org_no, street, postcode, city, country, email FROM party
WHERE customer_no = ANY (CAST(:numbers AS text[]))
"""
_ORDERS = """
SELECT system, order_id, content_hash FROM applied_order
WHERE (system, order_id) IN (
    SELECT * FROM unnest(CAST(:systems AS text[]), CAST(:order_ids AS text[])))
"""


def lock(session: Session) -> None:
    """Let one batch at a time change the register; the next reads what this one wrote."""
    session.execute(text("SELECT pg_advisory_xact_lock(hashtext('party_register'))"))


def load(
    session: Session,
    subscription_refs: Iterable[str],
    numbers: Iterable[tuple[str, int]],
    account_refs: Iterable[str],
    customer_nos: Iterable[str],
    order_names: Iterable[tuple[str, str]] = (),
) -> Register:
    """Read everything that rows naming all this may depend on."""
    register = Register()
    found = session.execute(text(_SUBSCRIPTIONS), {"refs": list(set(subscription_refs))})
    subscribers = {row.external_ref: row.subscription_id for row in found}
    # A number's holder may be a subscription that no row names: it is known by its spans only.
    register.subscribers = {ref: Subscriber(ref, key) for ref, key in subscribers.items()}
    wanted = sorted(set(numbers))
    given = {
        "ids": list(subscribers.values()),
        "kinds": [kind for kind, _ in wanted],
        "values": [value for _, value in wanted],
    }
    for query in (_NUMBERS, _OFFERINGS, _PAYERS):
        for key, ref, what, value, start, end, agreed in session.execute(text(query), given):
            register.hold(Span(ref, what, value, start, end, key, agreed))
    payers = {str(span.value) for span in register.spans() if span.what == ACCOUNT}
    refs = list({*account_refs, *payers})
    for row in session.execute(text(_ACCOUNTS), {"refs": refs}):
        account = Account(*row)
        register.accounts[account.ref] = account
        register.accounts.setdefault(row.number, account)
    for row in session.execute(text(_CUSTOMERS), {"numbers": list(set(customer_nos))}):
        register.customers[row.customer_no] = Customer(*row)
    names = sorted(set(order_names))
    known = {"systems": [s for s, _ in names], "order_ids": [o for _, o in names]}
    for system, order_id, content_hash in session.execute(text(_ORDERS), known):
        register.orders[system, order_id] = bytes(content_hash)
    return register


def store(session: Session, register: Register, file_id: int | None) -> None:
    """Write what became new or ended in a register."""
    _store_customers(session, register)
    accounts = _store_accounts(session, register)
    subscriptions = _store_subscriptions(session, register)
    _end_spans(session, register)
    _store_spans(session, register, accounts, subscriptions)
    _copy(
        session,
        "applied_order (system, order_id, content_hash, action, subscription_id, offering,"
        " billing_account_id, effective_at, file_id, line_no, agreed_price_micro)",
        [
            (
                done.order.system, done.order.order_id, done.order.content_hash, done.order.action,
                subscriptions[done.order.subscription_ref], done.offering,
                accounts[done.account_ref], instant(done.order.effective_at), file_id,
                done.order.line_no, done.order.agreed_price_micro,
            )
            for done in register.applied
        ],
    )  # fmt: skip


def instant(seconds: int) -> datetime:
    """Give UTC seconds as the database takes them."""
    return datetime.fromtimestamp(seconds, UTC)


def _store_customers(session: Session, register: Register) -> None:
    """Add the customers that are not there yet."""
    rows = [
        (c.customer_no, c.kind, c.name, c.org_no, c.street, c.postcode, c.city, c.country, c.email)
        for c in register.customers.values()
    ]
    known = session.execute(text(_CUSTOMERS), {"numbers": [row[0] for row in rows]})
    there = {row.customer_no for row in known}
    _copy(
        session,
        "party (customer_no, kind, name, org_no, street, postcode, city, country, email)",
        [row for row in rows if row[0] not in there],
    )


def _store_accounts(session: Session, register: Register) -> dict[str, int]:
    """Add the new billing accounts; gives the id of each reference."""
    accounts = {account.ref: account for account in register.accounts.values()}
    new = [account for account in accounts.values() if account.stored_id is None]
    # First those that bring a number along, so that no number is made which one of them has.
    for account in new:
        if len(account.ref) == 8 and account.ref.isascii() and account.ref.isdigit():
            account.number = account.ref
    taken = {account.number for account in new}
    unnumbered = [account for account in new if account.number is None]
    numbers = _free_numbers(session, len(unnumbered), taken)
    for account, number in zip(unnumbered, numbers, strict=True):
        account.number = number
    wanted = {"numbers": [account.customer_no for account in new]}
    found = session.execute(
        text("SELECT customer_no, party_id FROM party WHERE customer_no = ANY (:numbers)"), wanted
    )
    parties = {row.customer_no: row.party_id for row in found}
    _copy(
        session,
        "billing_account (number, external_ref, party_id, segment)",
        [(a.number, a.ref, parties[a.customer_no], a.segment) for a in new],
    )
    rows = session.execute(text(_ACCOUNTS), {"refs": list(accounts)})
    return {row.external_ref: row.billing_account_id for row in rows}


def _free_numbers(session: Session, count: int, taken: set[str | None]) -> list[str]:
    """Draw account numbers that nobody has."""
    numbers: list[str] = []
    while len(numbers) < count:
        drawn = session.scalars(
            text("SELECT nextval('billing_account_number')::text FROM generate_series(1, :n)"),
            {"n": count - len(numbers)},
        ).all()
        used = session.scalars(
            text("SELECT number FROM billing_account WHERE number = ANY (:numbers)"),
            {"numbers": list(drawn)},
        ).all()
        numbers += [number for number in drawn if number not in {*used, *taken}]
    return numbers


def _store_subscriptions(session: Session, register: Register) -> dict[str, int]:
    """Add the new subscriptions; gives the id of each reference."""
    new = {span.subscription_ref for span in register.spans() if span.stored_id is None}
    fresh = [ref for ref in new if register.subscribers[ref].stored_id is None]
    _copy(session, "subscription (external_ref)", [(ref,) for ref in sorted(fresh)])
    refs = [*new, *(done.order.subscription_ref for done in register.applied)]
    rows = session.execute(text(_SUBSCRIPTIONS), {"refs": refs})
    return {row.external_ref: row.subscription_id for row in rows}


def _end_spans(session: Session, register: Register) -> None:
    """Set the end of stored intervals that a row ended."""
    ended: dict[str, list[Span]] = {}
    for span in register.spans():
        if span.ended_here and span.stored_id is not None:
            ended.setdefault(_TABLES.get(span.what, _IDENTIFIERS), []).append(span)
    for table, spans in ended.items():
        session.execute(
            text(
                f"UPDATE {table} t SET valid_to = to_timestamp(g.ends) FROM"
                f" unnest(CAST(:ids AS bigint[]), CAST(:ends AS bigint[])) AS g(id, ends)"
                f" WHERE t.{table}_id = g.id"
            ),
            {"ids": [span.stored_id for span in spans], "ends": [span.end for span in spans]},
        )


def _store_spans(
    session: Session, register: Register, accounts: dict[str, int], subscriptions: dict[str, int]
) -> None:
    """Add the new intervals."""
    numbers: list[tuple[Any, ...]] = []
    offerings: list[tuple[Any, ...]] = []
    payers: list[tuple[Any, ...]] = []
    for span in register.spans():
        if span.stored_id is not None:
            continue
        end = None if span.end is None else instant(span.end)
        held = (subscriptions[span.subscription_ref], instant(span.start), end)
        if span.what == OFFERING:
            offerings.append((*held, span.value, span.agreed_price_micro))
        elif span.what == ACCOUNT:
            payers.append((*held, accounts[str(span.value)]))
        else:
            numbers.append((*held, span.what, span.value))
    held_columns = "subscription_id, valid_from, valid_to"
    _copy(session, f"subscription_identifier ({held_columns}, kind, value)", numbers)
    _copy(
        session, f"subscription_offering ({held_columns}, offering, agreed_price_micro)", offerings
    )
    _copy(session, f"subscription_account ({held_columns}, billing_account_id)", payers)


def _copy(session: Session, target: str, rows: Sequence[tuple[Any, ...]]) -> None:
    if not rows:
        return
    with (
        driver_connection(session).cursor() as cursor,
        cursor.copy(f"COPY {target} FROM STDIN") as copy,
    ):
        for row in rows:
            copy.write_row(row)
