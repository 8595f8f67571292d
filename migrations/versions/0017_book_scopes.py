"""Access by book, and drafts that their makers withdraw."""

from ledger.db import scripts

revision = "0017_book_scopes"
down_revision = "0019b_file_reversals"


def upgrade() -> None:
    """Run the scripts of this revision."""
    scripts.run_all(revision)


def downgrade() -> None:
    """Undo them; a draft is held as before."""
    scripts.run(revision, "down.sql")
    scripts.restore("0011_drafts", "02_rules.sql", "ledger_hold_draft")
