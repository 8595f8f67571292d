"""The database dates what the service records itself, and keeps a draft in its book."""

from ledger.db import scripts

revision = "0041_dated"
down_revision = "0040_refused_files"


def upgrade() -> None:
    """Run the scripts of this revision."""
    scripts.run_all(revision)


def downgrade() -> None:
    """Undo them."""
    scripts.restore("0011_drafts", "02_rules.sql", "ledger_keep_draft_order")
    scripts.run(revision, "down.sql")
