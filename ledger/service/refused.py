"""Turn what the database refuses into the Problem it means, with its sentence and facts."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psycopg
from sqlalchemy.exc import DBAPIError

from ledger.refusals import BY_CONSTRAINT, BY_SQLSTATE, UnknownPeriod

_SOURCE_KEY = re.compile(
    r"Key \(source_system, source_ref\)=\((?P<source_system>.*?), (?P<source_ref>.*)\) already",
    re.DOTALL,
)


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
        sentence = diagnosis.message_primary or by_state.title
        if by_state is UnknownPeriod:
            sentence = _with_command(sentence, facts)
        raise by_state(sentence, **facts) from error
    by_constraint = BY_CONSTRAINT.get(diagnosis.constraint_name or "")
    if by_constraint is not None:
        problem, sentence = by_constraint
        raise problem(sentence, **_key_of_source(diagnosis.message_detail)) from error


def _key_of_source(detail: str | None) -> dict[str, str]:
    """Say which reference was posted before, of all that the database tells of a row.

    The rest of what it tells is whole rows, in names that no caller knows.
    """
    found = _SOURCE_KEY.match(detail or "")
    return {} if found is None else found.groupdict()


def _with_command(sentence: str, facts: Mapping[str, object]) -> str:
    """Say what opens the year that a refusal is about: the database knows no commands."""
    named = re.match(r"\d{4}", str(facts.get("effective_date") or facts.get("period") or ""))
    if named is None or "hovedbok" in sentence:
        return sentence
    # Where every day from a day on is closed, the year to be opened is not that of the day.
    year = "YEAR" if "next year" in sentence else named[0]
    return f"{sentence} The command is hovedbok ledger init --year {year}."
