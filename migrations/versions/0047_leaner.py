"""The check of a stored batch sums once what is the same twice, and asks days, not entries."""

from ledger.db import scripts

revision = "0047_leaner"
down_revision = "0046_no_open_day"


def upgrade() -> None:
    """Run the scripts of this revision."""
    scripts.run_all(revision)


def downgrade() -> None:
    """Give the functions their earlier definitions back."""
    scripts.restore("0016_closing", "03_commit.sql", "ledger_check_stored_numbers")
    scripts.restore("0036_asked_once", "04_commit.sql", "ledger_stored_lines_are_sound")
