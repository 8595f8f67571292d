"""Period locks with exceptions, and reversals that mirror what they reverse."""

from ledger.db import scripts

revision = "0009_periods"
down_revision = "0008_posting"

# The routines of 0001_ledger that this revision changed, by the script that defines them.
_CHANGED = {
    "04_periods.sql": ("ledger_period_level", "ledger_keep_hard_lock", "ledger_lock_period"),
    "06_checks.sql": ("ledger_check_periods", "ledger_check_series"),
    "08_commit.sql": ("ledger_check_stored_numbers",),
}


def upgrade() -> None:
    """Run the scripts of this revision."""
    scripts.run_all(revision)


def downgrade() -> None:
    """Bring back what 0001_ledger defined, then remove what is of this revision only."""
    for name, routines in _CHANGED.items():
        scripts.restore("0001_ledger", name, *routines)
    scripts.run(revision, "down.sql", "down_grants.sql")
