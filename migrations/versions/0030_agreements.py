"""Frame agreements: which accounts are under which, and from when."""

from ledger.db import scripts

revision = "0030_agreements"
down_revision = "0029_settled"


def upgrade() -> None:
    """Run the scripts of this revision."""
    scripts.run_all(revision)


def downgrade() -> None:
    """Undo them."""
    scripts.run(revision, "down.sql")
