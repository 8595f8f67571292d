"""Few entries are looked at before they are inserted, so that what is refused leaves nothing."""

from ledger.db import scripts

revision = "0024_few"
down_revision = "0021_settling"


def upgrade() -> None:
    """Run the scripts of this revision."""
    scripts.run_all(revision)


def downgrade() -> None:
    """Undo them."""
    scripts.restore("0023_columns", "06_few.sql", "ledger_post_few")
