"""SQL scripts of a migration: migrations/sql/<revision>/, run by name in the order given."""

from typing import Any

from alembic import op

from ledger.db.migrate import MIGRATIONS


def run_all(revision: str) -> None:
    """Run the numbered scripts of a revision, topic by topic, in the order of their names."""
    folder = MIGRATIONS / "sql" / revision
    run(revision, *(script.name for script in sorted(folder.glob("[0-9]*.sql"))))


def run(revision: str, *names: str) -> None:
    """Run scripts of a revision; a way down may so bring an earlier definition back."""
    connection: Any = op.get_bind().connection.driver_connection
    for name in names:
        connection.execute((MIGRATIONS / "sql" / revision / name).read_text())
