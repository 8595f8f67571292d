"""The ledger: books, facts, their guards, and the functions that alone may write them."""

from pathlib import Path

from alembic import op

revision = "0001_ledger"
down_revision = "0000_jobs"

_SQL = Path(__file__).resolve().parents[1] / "sql" / revision


def upgrade() -> None:
    """Build the ledger, topic by topic, in the order of the file names."""
    for script in sorted(_SQL.glob("[0-9]*.sql")):
        _run(script)


def downgrade() -> None:
    """Remove the ledger with everything in it."""
    _run(_SQL / "down.sql")


def _run(script: Path) -> None:
    op.get_bind().connection.driver_connection.execute(script.read_text())
