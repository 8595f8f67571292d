"""What comes late: suspense ends, a file gets more usage, a charge changes by less than an øre."""

from alembic import op

revision = "0007_late_usage"
down_revision = "0006_reporting"

_UPGRADE = (
    # What is suspended waits until a row here says how it ended.
    """
    CREATE TABLE suspense_release (
        suspense_id bigint CONSTRAINT pk_suspense_release PRIMARY KEY
            CONSTRAINT fk_suspense_release_suspense_id REFERENCES suspense,
        bucket text NOT NULL CONSTRAINT ck_suspense_release_bucket
            CHECK (bucket IN ('accepted', 'merged')),
        into_file_id bigint,
        into_record_no bigint,
        cause text NOT NULL,
        actor text NOT NULL,
        released_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        CONSTRAINT ck_suspense_release_into CHECK (
            (bucket = 'merged') = (into_file_id IS NOT NULL)
            AND (into_file_id IS NULL) = (into_record_no IS NULL))
    )
    """,
    "CALL ledger_guard_fact('suspense_release')",
    "GRANT SELECT, INSERT ON suspense_release TO hovedbok_service",
    "GRANT SELECT ON suspense_release TO hovedbok_auditor",
    # A record that was released may lose its price again: each time is a row of its own.
    """
    ALTER TABLE suspense ADD COLUMN turn integer NOT NULL DEFAULT 1
        CONSTRAINT ck_suspense_turn_positive CHECK (turn > 0),
        DROP CONSTRAINT uq_suspense_record,
        ADD CONSTRAINT uq_suspense_record UNIQUE (file_id, record_no, part_no, reason, turn)
    """,
    # Recycling adds an object to a file's usage of a month; none is ever replaced.
    """
    ALTER TABLE file_usage DROP CONSTRAINT pk_file_usage,
        ADD CONSTRAINT pk_file_usage PRIMARY KEY (file_id, period, sha256)
    """,
    # Usage that costs nothing, or less than an øre in all, has nothing that could be posted.
    "ALTER TABLE charge_delta ALTER COLUMN batch_id DROP NOT NULL",
    # The last run says where a period stands, also when it stands again where it did before.
    """
    ALTER TABLE rating_run DROP CONSTRAINT uq_rating_run_period_inputs_hash
    """,
    "CREATE INDEX ix_rating_run_period ON rating_run (period, run_id)",
)

_DOWNGRADE = (
    "DROP INDEX ix_rating_run_period",
    """
    ALTER TABLE rating_run
        ADD CONSTRAINT uq_rating_run_period_inputs_hash UNIQUE (period, inputs_hash)
    """,
    "ALTER TABLE charge_delta ALTER COLUMN batch_id SET NOT NULL",
    """
    ALTER TABLE file_usage DROP CONSTRAINT pk_file_usage,
        ADD CONSTRAINT pk_file_usage PRIMARY KEY (file_id, period)
    """,
    """
    ALTER TABLE suspense DROP CONSTRAINT uq_suspense_record,
        DROP COLUMN turn,
        ADD CONSTRAINT uq_suspense_record UNIQUE (file_id, record_no, part_no, reason)
    """,
    "DROP TABLE suspense_release",
)


def upgrade() -> None:
    """Make the table, widen the keys, and ask for less."""
    for statement in _UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    """Ask for what was asked before; refused where late usage has made use of the difference."""
    for statement in _DOWNGRADE:
        op.execute(statement)
