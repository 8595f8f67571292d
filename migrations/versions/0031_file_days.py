"""A usage file that waits as a whole says of which days its records are, where they can be read."""

from alembic import op

revision = "0031_file_days"
down_revision = "0030_agreements"


def upgrade() -> None:
    """Keep the first and the last day; both or none. Files that wait already may be of any."""
    op.execute(
        "ALTER TABLE source_file ADD COLUMN used_from date, ADD COLUMN used_to date,"
        " ADD CONSTRAINT ck_source_file_days_used CHECK ("
        "  (used_from IS NULL) = (used_to IS NULL) AND used_from <= used_to)"
    )


def downgrade() -> None:
    """Forget them."""
    op.execute("ALTER TABLE source_file DROP COLUMN used_from, DROP COLUMN used_to")
