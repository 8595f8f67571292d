"""Payments as the bank told them, one row per payment of a file, and what became of each."""

from alembic import op

revision = "0004b_payments"
down_revision = "0004_mediation"

_STATEMENTS = (
    """
    CREATE TABLE bank_payment (
        file_id bigint NOT NULL CONSTRAINT fk_bank_payment_file_id REFERENCES source_file,
        line_no integer NOT NULL,
        book text NOT NULL,
        transmission_no integer NOT NULL,
        assignment_line_no integer NOT NULL,
        assignment_no integer NOT NULL,
        agreement text NOT NULL,
        account text NOT NULL,
        kind smallint NOT NULL CONSTRAINT ck_bank_payment_kind CHECK (kind BETWEEN 10 AND 21),
        tx_no integer NOT NULL,
        settlement_date date NOT NULL,
        centre text NOT NULL,
        day_code text NOT NULL,
        part smallint NOT NULL,
        serial integer NOT NULL,
        form_no text NOT NULL,
        archive_ref text,
        kid text,
        amount_minor bigint NOT NULL,
        bank_date date,
        debit_account text,
        card_issuer text NOT NULL,
        text text,
        outcome text NOT NULL CONSTRAINT ck_bank_payment_outcome
            CHECK (outcome IN ('exact', 'part', 'overpaid', 'unallocated', 'not_booked')),
        reason text,
        party_id bigint,
        batch_id bigint,
        entry_id bigint,
        allocated_minor bigint NOT NULL,
        unallocated_minor bigint NOT NULL,
        claim_item_ids bigint[] NOT NULL,
        payment_item_ids bigint[] NOT NULL,
        unallocated_item_id bigint,
        recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        CONSTRAINT pk_bank_payment PRIMARY KEY (file_id, line_no),
        CONSTRAINT ck_bank_payment_reason
            CHECK ((outcome IN ('exact', 'part')) = (reason IS NULL)),
        CONSTRAINT ck_bank_payment_booked CHECK (
            (outcome = 'not_booked') = (entry_id IS NULL)
            AND (batch_id IS NULL) = (entry_id IS NULL)),
        CONSTRAINT ck_bank_payment_amounts CHECK (
            allocated_minor >= 0 AND allocated_minor + unallocated_minor
            = CASE WHEN entry_id IS NULL THEN 0 ELSE amount_minor END),
        CONSTRAINT ck_bank_payment_unallocated
            CHECK ((unallocated_minor <> 0) = (unallocated_item_id IS NOT NULL))
    )
    """,
    # Money is booked once, however many files tell of it. The bank's key alone does not tell two
    # payments of one file apart: transactions are numbered anew in each assignment.
    """
    CREATE UNIQUE INDEX uq_bank_payment_booked ON bank_payment (settlement_date, account, centre,
        day_code, part, serial, tx_no, form_no, kid, amount_minor, book)
        NULLS NOT DISTINCT WHERE entry_id IS NOT NULL
    """,
    "CREATE INDEX ix_bank_payment_kid ON bank_payment (kid) WHERE kid IS NOT NULL",
    "CREATE INDEX ix_bank_payment_entry_id ON bank_payment (entry_id) WHERE entry_id IS NOT NULL",
    """
    CREATE INDEX ix_bank_payment_unallocated_item_id ON bank_payment (unallocated_item_id)
        WHERE unallocated_item_id IS NOT NULL
    """,
    """
    CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON bank_payment
        FOR EACH ROW EXECUTE FUNCTION ledger_refuse_change()
    """,
    """
    CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON bank_payment
        FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change()
    """,
    "GRANT SELECT, INSERT ON bank_payment TO hovedbok_service",
    "GRANT SELECT ON bank_payment TO hovedbok_auditor",
)


def upgrade() -> None:
    """Make the table; its rows are facts."""
    for statement in _STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Remove the payments."""
    op.execute("DROP TABLE bank_payment")
