"""Files that are taken back as a whole: who asked, why, and what was withdrawn."""

from ledger.db import scripts

revision = "0019b_file_reversals"
down_revision = "0019_rerating"


def upgrade() -> None:
    """Run the scripts of this revision."""
    scripts.run_all(revision)


def downgrade() -> None:
    """Undo them; refused while a file is taken back."""
    scripts.run(revision, "down.sql")
