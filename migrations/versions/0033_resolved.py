"""The stage holds ids beside names, and what is posted is judged once, as it is stored."""

from ledger.db import scripts

revision = "0033_resolved"
down_revision = "0032_zero_bills"


def upgrade() -> None:
    """Run the scripts of this revision."""
    scripts.run_all(revision)


def downgrade() -> None:
    """Undo them; what was replaced gets its earlier definition back."""
    scripts.restore("0016_closing", "02_doors.sql", "ledger_check_periods")
    scripts.restore("0023_columns", "02_stage.sql", "ledger_make_stage")
    scripts.restore(
        "0023_columns", "04_posting.sql", "ledger_insert_lines", "ledger_insert_headers",
        "ledger_check_allocations", "ledger_post_staged",
    )  # fmt: skip
    scripts.restore(
        "0023_columns", "05_commit.sql",
        "ledger_stored_lines_are_sound", "ledger_check_stored_allocations",
        "ledger_check_outstanding", "ledger_check_batch",
    )  # fmt: skip
    scripts.restore("0024_few", "01_few.sql", "ledger_post_few")
    scripts.run("0021_settling", "01_settling.sql")
    scripts.run(revision, "down.sql")
