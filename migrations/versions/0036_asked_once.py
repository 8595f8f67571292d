"""What a stage and its allocations have to say is asked once, and kept for every check."""

from ledger.db import scripts

revision = "0036_asked_once"
down_revision = "0035_answers"


def upgrade() -> None:
    """Run the scripts of this revision."""
    scripts.run_all(revision)


def downgrade() -> None:
    """Undo them; what was replaced gets its earlier definition back."""
    scripts.restore("0001_ledger", "03_guards.sql", "ledger_require_own_batch")
    scripts.restore("0001_ledger", "05_stage.sql", "ledger_stage_names")
    scripts.restore("0009_periods", "03_reversals.sql", "ledger_check_series")
    scripts.restore("0016_closing", "02_doors.sql", "ledger_staged_days")
    scripts.restore("0016_closing", "03_commit.sql", "ledger_check_stored_numbers")
    scripts.restore("0023_columns", "02_stage.sql", "ledger_open_stage")
    scripts.restore("0033_resolved", "01_stage.sql", "ledger_make_stage")
    scripts.restore("0033_resolved", "02_posting.sql", "ledger_insert_lines", "ledger_post_staged")
    scripts.restore("0033_resolved", "03_commit.sql", "ledger_stored_lines_are_sound")
    scripts.restore("0033_resolved", "04_few.sql", "ledger_post_few")
    scripts.restore(
        "0033_resolved",
        "05_allocations.sql",
        "ledger_lock_items",
        "ledger_check_stored_allocations",
    )
    scripts.restore("0033_resolved", "06_periods.sql", "ledger_check_periods")
    scripts.run(revision, "down.sql")
