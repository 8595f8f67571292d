"""What was charged is explained, and what was charged too much is credited by a document."""

from ledger.db import scripts

revision = "0027_explained"
down_revision = "0026_rollover"


def upgrade() -> None:
    """Run the scripts of this revision."""
    scripts.run_all(revision)


def downgrade() -> None:
    """Undo them."""
    scripts.run(revision, "down.sql")
