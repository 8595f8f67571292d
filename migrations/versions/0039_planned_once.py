"""Whether a month is open is planned once in a session, not by every statement that asks."""

from ledger.db import scripts

revision = "0039_planned_once"
down_revision = "0038_row_corrections"


def upgrade() -> None:
    """Run the scripts of this revision."""
    scripts.run_all(revision)


def downgrade() -> None:
    """Give the functions their earlier definitions back."""
    scripts.restore("0009_periods", "01_exceptions.sql", "ledger_period_level")
    scripts.restore("0016_closing", "01_year.sql", "ledger_period_admits")
    scripts.run(revision, "down.sql")
