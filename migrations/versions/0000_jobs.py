"""The job queue: procrastinate's own schema, as its wheel carries it."""

from importlib.resources import files

from alembic import op

revision = "0000_jobs"
down_revision = None

_TABLES = (
    "procrastinate_jobs",
    "procrastinate_periodic_defers",
    "procrastinate_events",
    "procrastinate_workers",
)


def upgrade() -> None:
    """Install the queue and let the service work it; the auditor may look."""
    script = files("procrastinate").joinpath("sql", "schema.sql").read_text()
    connection = op.get_bind().connection.driver_connection
    connection.execute(script)
    tables = ", ".join(_TABLES)
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {tables} TO hovedbok_service")
    op.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO hovedbok_service")
    op.execute(f"GRANT SELECT ON {tables} TO hovedbok_auditor")


def downgrade() -> None:
    """Remove the queue with everything in it."""
    op.execute(
        """
        DO $$
        DECLARE victim record;
        BEGIN
            DROP TABLE procrastinate_events, procrastinate_periodic_defers,
                procrastinate_jobs, procrastinate_workers CASCADE;
            FOR victim IN
                SELECT p.oid::regprocedure AS name FROM pg_proc p
                WHERE p.proname LIKE 'procrastinate%' AND p.pronamespace = 'public'::regnamespace
            LOOP EXECUTE 'DROP FUNCTION ' || victim.name || ' CASCADE'; END LOOP;
            DROP TYPE procrastinate_job_to_defer_v1, procrastinate_job_status,
                procrastinate_job_event_type CASCADE;
        END $$
        """
    )
