"""Where no later day is open, a refusal says to open a period instead of naming no day."""

from ledger.db import scripts

revision = "0046_no_open_day"
down_revision = "0045_doors"


def upgrade() -> None:
    """Run the scripts of this revision."""
    scripts.run_all(revision)


def downgrade() -> None:
    """Undo them."""
    scripts.restore("0016_closing", "02_doors.sql", "ledger_require_open")
