"""Bills and documents: runs, invoices with lines and the charges they cover, rendered files."""

from alembic import op

revision = "0006_reporting"
down_revision = "0005_rating"

_TABLES = ("bill_run", "invoice", "invoice_line", "invoice_charge", "document")

_BILL_RUN = """
CREATE TABLE bill_run (
    bill_run_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_bill_run PRIMARY KEY,
    book varchar(16) NOT NULL,
    period varchar(7) NOT NULL
        CONSTRAINT ck_bill_run_period_is_month CHECK (period ~ '^[0-9]{4}-(0[1-9]|1[0-2])$'),
    invoice_date date NOT NULL,
    credit_days smallint
        CONSTRAINT ck_bill_run_credit_days_sane CHECK (credit_days BETWEEN 0 AND 365),
    actor varchar NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT uq_bill_run_book_period_invoice_date UNIQUE (book, period, invoice_date)
)
"""

_INVOICE = """
CREATE TABLE invoice (
    invoice_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_invoice PRIMARY KEY,
    bill_run_id bigint NOT NULL
        CONSTRAINT fk_invoice_bill_run_id REFERENCES bill_run (bill_run_id),
    book varchar(16) NOT NULL,
    billing_account_id bigint NOT NULL,
    account_no varchar(8) NOT NULL
        CONSTRAINT ck_invoice_account_digits CHECK (account_no ~ '^[0-9]{8}$'),
    party_id bigint NOT NULL,
    bill_seq integer NOT NULL,
    kid varchar(15) NOT NULL CONSTRAINT ck_invoice_kid_digits CHECK (kid ~ '^[0-9]{15}$'),
    entry_id bigint NOT NULL CONSTRAINT uq_invoice_entry_id UNIQUE
        CONSTRAINT fk_invoice_entry_id REFERENCES journal_entry (entry_id),
    open_item_id bigint NOT NULL CONSTRAINT uq_invoice_open_item_id UNIQUE
        CONSTRAINT fk_invoice_open_item_id REFERENCES open_item (open_item_id),
    voucher_year smallint NOT NULL,
    voucher_no bigint NOT NULL,
    invoice_date date NOT NULL,
    due_date date NOT NULL,
    period_start date NOT NULL,
    period_end date NOT NULL,
    basis varchar(5) NOT NULL
        CONSTRAINT ck_invoice_basis_known CHECK (basis IN ('gross', 'net')),
    net_minor bigint NOT NULL,
    vat_minor bigint NOT NULL,
    gross_minor bigint NOT NULL
        CONSTRAINT ck_invoice_gross_positive CHECK (gross_minor > 0),
    snapshot jsonb NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT uq_invoice_book_kid UNIQUE (book, kid),
    CONSTRAINT uq_invoice_book_billing_account_id_bill_seq
        UNIQUE (book, billing_account_id, bill_seq),
    CONSTRAINT uq_invoice_book_voucher_year_voucher_no UNIQUE (book, voucher_year, voucher_no),
    CONSTRAINT ck_invoice_totals_add_up CHECK (net_minor + vat_minor = gross_minor),
    CONSTRAINT ck_invoice_period_not_empty CHECK (period_start < period_end),
    CONSTRAINT ck_invoice_due_after_invoice CHECK (due_date >= invoice_date)
)
"""

_INVOICE_LINE = """
CREATE TABLE invoice_line (
    invoice_id bigint NOT NULL
        CONSTRAINT fk_invoice_line_invoice_id REFERENCES invoice (invoice_id),
    line_no integer NOT NULL CONSTRAINT ck_invoice_line_line_no_from_one CHECK (line_no > 0),
    subscription_id bigint,
    component varchar NOT NULL,
    text varchar NOT NULL,
    unit varchar NOT NULL,
    quantity bigint,
    vat_code varchar(9) NOT NULL,
    vat_rate_bp integer NOT NULL,
    amount_minor bigint NOT NULL,
    net_minor bigint NOT NULL,
    CONSTRAINT pk_invoice_line PRIMARY KEY (invoice_id, line_no)
)
"""

_INVOICE_CHARGE = """
CREATE TABLE invoice_charge (
    charge_key_id bigint CONSTRAINT pk_invoice_charge PRIMARY KEY
        CONSTRAINT fk_invoice_charge_charge_key_id REFERENCES charge_key (charge_key_id),
    invoice_id bigint NOT NULL,
    line_no integer NOT NULL,
    amount_minor bigint NOT NULL,
    net_minor bigint NOT NULL,
    CONSTRAINT fk_invoice_charge_invoice_id_line_no FOREIGN KEY (invoice_id, line_no)
        REFERENCES invoice_line (invoice_id, line_no)
)
"""

_DOCUMENT = """
CREATE TABLE document (
    document_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_document PRIMARY KEY,
    invoice_id bigint NOT NULL
        CONSTRAINT fk_document_invoice_id REFERENCES invoice (invoice_id),
    kind varchar(16) NOT NULL CONSTRAINT ck_document_kind_known CHECK (kind IN ('pdf')),
    sha256 varchar(64) NOT NULL
        CONSTRAINT ck_document_sha256_hex CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    media_type varchar NOT NULL,
    size bigint NOT NULL CONSTRAINT ck_document_size_positive CHECK (size > 0),
    recorded_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT uq_document_invoice_id_kind UNIQUE (invoice_id, kind)
)
"""

# What an invoice has billed is settled: a later delta would stand on 1530 and never be invoiced.
# Billing and rating lock the key before they look, so that neither can slip past the other.
_BILLED_IS_CLOSED = """
CREATE FUNCTION reporting_refuse_billed_charge() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    IF EXISTS (
        SELECT FROM public.invoice_charge c WHERE c.charge_key_id = NEW.charge_key_id
    ) THEN
        RAISE EXCEPTION USING ERRCODE = 'HB101', MESSAGE = format(
            'Charge key %s is on an invoice. Put what is late on a key of a later billing period.',
            NEW.charge_key_id);
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER charge_delta_not_billed BEFORE INSERT ON charge_delta
    FOR EACH ROW EXECUTE FUNCTION reporting_refuse_billed_charge();
"""


def upgrade() -> None:
    """Make the tables, guard them against change, and let the service add and the auditor look."""
    for statement in (_BILL_RUN, _INVOICE, _INVOICE_LINE, _INVOICE_CHARGE, _DOCUMENT):
        op.execute(statement)
    op.execute("CREATE INDEX ix_invoice_party_id_invoice_date ON invoice (party_id, invoice_date)")
    op.execute(
        "CREATE INDEX ix_invoice_charge_invoice_id_line_no ON invoice_charge (invoice_id, line_no)"
    )
    op.execute(_BILLED_IS_CLOSED)
    for table in _TABLES:
        op.execute(
            f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION ledger_refuse_change()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change()"
        )
        op.execute(f"GRANT SELECT, INSERT ON {table} TO hovedbok_service")
        op.execute(f"GRANT SELECT ON {table} TO hovedbok_auditor")


def downgrade() -> None:
    """Remove the tables with everything in them."""
    op.execute("DROP TRIGGER charge_delta_not_billed ON charge_delta")
    op.execute("DROP FUNCTION reporting_refuse_billed_charge()")
    op.execute(f"DROP TABLE {', '.join(reversed(_TABLES))}")
