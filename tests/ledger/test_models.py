"""The typed models are the migrated tables, column by column."""

from __future__ import annotations

import pytest
from sqlalchemy import inspect
from sqlalchemy.orm import Session

from ledger import models
from ledger.db import Base


@pytest.mark.filterwarnings("ignore:Did not recognize type 'xid8'")
def test_models_are_the_migrated_tables(session: Session) -> None:
    """Names, nullability and kinds of the columns agree with the database."""
    seen = inspect(session.connection())
    tables = [
        mapper.local_table
        for mapper in Base.registry.mappers
        if mapper.class_.__module__ == models.__name__
    ]
    assert len(tables) == 11
    for table in tables:
        found = {column["name"]: column for column in seen.get_columns(table.name)}
        extra = {"recorded_at", "xid"} & set(found) - set(table.columns.keys())
        assert set(found) - extra == set(table.columns.keys()), table.name
        for name, column in table.columns.items():
            assert found[name]["nullable"] == bool(column.nullable), f"{table.name}.{name}"
            kinds = (found[name]["type"].python_type, column.type.python_type)
            assert kinds[0] == kinds[1], f"{table.name}.{name}: {kinds}"
