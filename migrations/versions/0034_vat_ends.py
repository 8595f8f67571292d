"""A VAT code comes to an end through a function; nobody had the right to say that it does."""

from ledger.db import scripts

revision = "0034_vat_ends"
down_revision = "0033_resolved"


def upgrade() -> None:
    """Run the scripts of this revision."""
    scripts.run_all(revision)


def downgrade() -> None:
    """Undo them."""
    scripts.run(revision, "down.sql")
