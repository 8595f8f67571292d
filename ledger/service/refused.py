"""Turn what the database refuses into the Problem it means, with its sentence and facts."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy.exc import DBAPIError

from ledger.refusals import BY_CONSTRAINT, BY_SQLSTATE


@contextmanager
def translated() -> Iterator[None]:
    """Raise the Problem that a refusal of the posting functions stands for; pass on anything else.

    The transaction is over either way: the caller rolls back, as `ledger.db.transaction` does.
    """
    try:
        yield
    except DBAPIError as error:
        raise_meaning(error.orig)
        raise
    except psycopg.Error as error:
        raise_meaning(error)
        raise


def raise_meaning(error: BaseException | None) -> None:
    """Raise the Problem that a fault of the driver stands for; return where it stands for none."""
    if not isinstance(error, psycopg.Error):
        return
    diagnosis = error.diag
    by_state = BY_SQLSTATE.get(error.sqlstate or "")
    if by_state is not None:
        facts = json.loads(diagnosis.message_detail or "{}")
        raise by_state(diagnosis.message_primary or by_state.title, **facts) from error
    by_constraint = BY_CONSTRAINT.get(diagnosis.constraint_name or "")
    if by_constraint is not None:
        problem, sentence = by_constraint
        raise problem(sentence, database_says=diagnosis.message_detail) from error
