"""Lines carry dimensions that are registered; one without a list of values takes any value."""

from ledger.db import scripts

revision = "0037_dimensions"
down_revision = "0036_asked_once"


def upgrade() -> None:
    """Run the scripts of this revision."""
    scripts.run_all(revision)


def downgrade() -> None:
    """Undo them."""
    scripts.run(revision, "down.sql")
    scripts.restore("0012_structure", "03_dimensions.sql", "ledger_require_dimensions")
