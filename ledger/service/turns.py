"""Turns: whatever two may want to change at once is changed by one after the other."""

from sqlalchemy import text
from sqlalchemy.orm import Session


def take_turn(session: Session, thing: str) -> None:
    """Have a thing, named as in 'draft/17', alone until the transaction ends.

    It keeps out those who take turns too: read what the change depends on only after it.
    """
    session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:thing, 0))"), {"thing": thing}
    )
