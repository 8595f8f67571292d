"""A worker is registered with the life of its process, so that its death is known at once."""

from alembic import op

revision = "0028_job_lives"
down_revision = "0027_explained"


def upgrade() -> None:
    """Let the queue remember lives; workers that are running have none, and are judged by age."""
    op.execute("ALTER TABLE procrastinate_workers ADD COLUMN life bigint")


def downgrade() -> None:
    """Forget them."""
    op.execute("ALTER TABLE procrastinate_workers DROP COLUMN life")
