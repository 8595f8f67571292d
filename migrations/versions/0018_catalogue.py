"""Tariff versions are proposals until another person has approved them."""

from ledger.db import scripts

revision = "0018_catalogue"
down_revision = "0017_book_scopes"


def upgrade() -> None:
    """Run the scripts of this revision."""
    scripts.run_all(revision)


def downgrade() -> None:
    """Undo them."""
    scripts.run(revision, "down.sql")
