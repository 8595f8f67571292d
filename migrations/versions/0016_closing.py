"""Closing: checklists with evidence, waivers, and the year-end entry."""

from ledger.db import scripts

revision = "0016_closing"
down_revision = "0022_folds"

# The routines that this revision changed, by the revision and script that defined them before.
_CHANGED = {
    ("0001_ledger", "04_periods.sql"): ("ledger_period_fence",),
    ("0001_ledger", "06_checks.sql"): ("ledger_staged_days",),
    ("0009_periods", "01_exceptions.sql"): ("ledger_period_admits", "ledger_keep_exception"),
    ("0009_periods", "02_locks.sql"): (
        "ledger_keep_hard_lock", "ledger_first_open_day", "ledger_require_open",
        "ledger_check_periods",
    ),
    ("0009_periods", "05_commit.sql"): ("ledger_check_stored_numbers",),
}  # fmt: skip


def upgrade() -> None:
    """Run the scripts of this revision."""
    scripts.run_all(revision)


def downgrade() -> None:
    """Bring back the earlier definitions, then remove what is of this revision only."""
    for (defined_by, name), routines in _CHANGED.items():
        scripts.restore(defined_by, name, *routines)
    scripts.run(revision, "down.sql")
