"""What partners are owed, and whose the content of a month is, is explained like charges are."""

from ledger.db import scripts

revision = "0029_settled"
down_revision = "0028_job_lives"


def upgrade() -> None:
    """Run the scripts of this revision."""
    scripts.run_all(revision)


def downgrade() -> None:
    """Undo them."""
    scripts.run(revision, "down.sql")
