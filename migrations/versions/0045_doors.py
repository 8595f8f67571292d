"""A missing number is explained by whoever may, and a posting rule begins in no closed month."""

from ledger.db import scripts

revision = "0045_doors"
down_revision = "0041_dated"


def upgrade() -> None:
    """Run the scripts of this revision."""
    scripts.run_all(revision)


def downgrade() -> None:
    """Undo them."""
    scripts.run(revision, "down.sql")
