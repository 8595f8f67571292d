"""The typed tables are the migrated ones, and the database keeps the rules by itself."""

from __future__ import annotations

import pytest
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from ledger.db import engine
from party import models, service
from tests.party.rows import OFFERINGS, day, order

_MODELS = (
    models.Party, models.BillingAccount, models.Subscription, models.SubscriptionIdentifier,
    models.SubscriptionOffering, models.SubscriptionAccount, models.AppliedOrder,
    models.Agreement, models.AccountAgreement,
)  # fmt: skip


@pytest.mark.usefixtures("db")
def test_the_models_match_the_migrated_database() -> None:
    """Every column a model names exists with the same nullability, and no column is forgotten."""
    found = inspect(engine())
    for model in _MODELS:
        table = model.__table__
        stored = {c["name"]: c["nullable"] for c in found.get_columns(table.name)}
        assert stored == {c.name: c.nullable for c in table.columns}, table.name


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE applied_order SET offering = 'OTHER'",
        "DELETE FROM applied_order",
        "TRUNCATE applied_order",
        "UPDATE party SET name = 'Other'",
        "UPDATE billing_account SET number = '12345678'",
        "UPDATE subscription_offering SET offering = 'OTHER'",
        "UPDATE subscription_identifier SET valid_from = now()",
        "DELETE FROM subscription_account",
        "UPDATE agreement SET name = 'Other'",
        "UPDATE account_agreement SET valid_from = now()",
        "DELETE FROM account_agreement",
    ],
)
def test_the_service_cannot_rewrite_what_was_recorded(session: Session, statement: str) -> None:
    """Only the end of an interval may be set."""
    service.apply_orders(session, [order(1, "add", day(1))], OFFERINGS)
    with pytest.raises(DBAPIError, match=r"permission denied|append-only|refuse"):
        session.execute(text(statement))


@pytest.mark.parametrize("role", ["service", "owner"])
@pytest.mark.parametrize("end", ["NULL", "'2026-01-20Z'"])
@pytest.mark.parametrize(
    "table", ["subscription_identifier", "subscription_offering", "subscription_account"]
)
def test_an_end_is_set_once(session: Session, table: str, end: str, role: str) -> None:
    """Usage was guided by it: nobody reopens an interval or moves its end."""
    service.apply_orders(session, [order(1, "add", day(1)), order(2, "cease", day(10))], OFFERINGS)
    session.commit()
    with (
        Session(engine(role)) as other,  # type: ignore[arg-type]
        pytest.raises(DBAPIError, match=f"A row of {table} has its end already"),
    ):
        other.execute(text(f"UPDATE {table} SET valid_to = {end}"))


def test_not_even_the_owner_changes_an_applied_order(session: Session) -> None:
    """The trigger holds where privileges do not."""
    service.apply_orders(session, [order(1, "add", day(1))], OFFERINGS)
    session.commit()
    with (
        Session(engine("owner")) as owner,
        pytest.raises(DBAPIError),
    ):
        owner.execute(text("UPDATE applied_order SET offering = 'OTHER'"))


@pytest.mark.parametrize(
    "statement",
    [
        """INSERT INTO subscription_identifier (subscription_id, kind, value, valid_from)
        SELECT subscription_id, kind, value, '2026-02-01Z' FROM subscription_identifier""",
        """INSERT INTO subscription_offering (subscription_id, offering, valid_from)
        SELECT subscription_id, 'LARGE', '2026-02-01Z' FROM subscription_offering""",
        """INSERT INTO subscription_account (subscription_id, billing_account_id, valid_from)
        SELECT subscription_id, billing_account_id, '2026-02-01Z' FROM subscription_account""",
    ],
)
def test_the_database_refuses_overlaps(session: Session, statement: str) -> None:
    """One holder of a number, one offering and one payer of a subscription at an instant."""
    service.apply_orders(session, [order(1, "add", day(1))], OFFERINGS)
    with pytest.raises(DBAPIError, match="no_overlap"):
        session.execute(text(statement))
