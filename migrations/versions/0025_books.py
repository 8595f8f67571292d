"""Keys of requests end, and tell whose they are; suspended usage has a day."""

from ledger.db import scripts

revision = "0025_books"
down_revision = "0024_few"


def upgrade() -> None:
    """Run the scripts of this revision."""
    scripts.run_all(revision)


def downgrade() -> None:
    """Undo them."""
    scripts.run(revision, "down.sql")
