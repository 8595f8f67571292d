"""Lines are judged as they are resolved, a batch once, as stored; few entries are one call."""

from ledger.db import scripts

revision = "0023_columns"
down_revision = "0016_closing"


def upgrade() -> None:
    """Run the scripts of this revision."""
    scripts.run_all(revision)


def downgrade() -> None:
    """Undo them; what was replaced gets its earlier definition back."""
    scripts.run(revision, "down.sql")
    scripts.restore("0001_ledger", "05_stage.sql", "ledger_make_stage", "ledger_open_stage")
    scripts.restore(
        "0001_ledger", "07_posting.sql",
        "ledger_insert_lines", "ledger_insert_headers", "ledger_insert_allocations",
        "ledger_check_allocations", "ledger_check_outstanding",
    )  # fmt: skip
    scripts.restore(
        "0001_ledger", "08_commit.sql", "ledger_check_stored_allocations", "ledger_check_batch"
    )
    scripts.restore("0009_periods", "05_commit.sql", "ledger_check_stored_days")
    scripts.restore("0008_posting", "07_posting.sql", "ledger_post_staged")
