"""Files that were refused for what lies with us are remembered until they are taken in."""

from ledger.db import scripts

revision = "0040_refused_files"
down_revision = "0039_planned_once"


def upgrade() -> None:
    """Run the scripts of this revision."""
    scripts.run_all(revision)


def downgrade() -> None:
    """Undo them."""
    scripts.run(revision, "down.sql")
