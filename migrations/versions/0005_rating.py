"""Tariff books, charge keys with their deltas, and the runs that made them: facts, all of them."""

from alembic import op

revision = "0005_rating"
down_revision = "0004b_payments"

_FACTS = ("tariff_book", "charge_key", "charge_delta", "rating_run")

_MONTH = "'^[0-9]{4}-(0[1-9]|1[0-2])$'"

_TARIFF_BOOK = """
CREATE TABLE tariff_book (
    tariff_book_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_tariff_book PRIMARY KEY,
    name text NOT NULL,
    version integer NOT NULL CONSTRAINT ck_tariff_book_version_positive CHECK (version > 0),
    valid_from date NOT NULL,
    content_hash text NOT NULL CONSTRAINT uq_tariff_book_content_hash UNIQUE
        CONSTRAINT ck_tariff_book_content_hash_is_sha256 CHECK (content_hash ~ '^[0-9a-f]{64}$'),
    source text NOT NULL,
    loaded_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT uq_tariff_book_name_version UNIQUE (name, version),
    CONSTRAINT uq_tariff_book_name_valid_from UNIQUE (name, valid_from)
)
"""

_CHARGE_KEY = f"""
CREATE TABLE charge_key (
    charge_key_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_charge_key PRIMARY KEY,
    book_code text NOT NULL,
    billing_account_id bigint NOT NULL,
    party_id bigint NOT NULL,
    subscription_id bigint NOT NULL,
    component text NOT NULL,
    revenue_account text NOT NULL,
    vat_code text NOT NULL,
    vat_rate_bp integer NOT NULL
        CONSTRAINT ck_charge_key_vat_rate_sane CHECK (vat_rate_bp BETWEEN 0 AND 10000),
    price_basis text NOT NULL
        CONSTRAINT ck_charge_key_price_basis_known CHECK (price_basis IN ('net', 'gross')),
    currency text NOT NULL CONSTRAINT ck_charge_key_currency_iso CHECK (currency ~ '^[A-Z]{{3}}$'),
    usage_period text NOT NULL
        CONSTRAINT ck_charge_key_usage_period_is_month CHECK (usage_period ~ {_MONTH}),
    accounting_month text NOT NULL
        CONSTRAINT ck_charge_key_accounting_month_is_month CHECK (accounting_month ~ {_MONTH}),
    billing_period text NOT NULL
        CONSTRAINT ck_charge_key_billing_period_is_month CHECK (billing_period ~ {_MONTH}),
    kind text NOT NULL
        CONSTRAINT ck_charge_key_kind_known CHECK (kind IN ('usage', 'recurring', 'one_off')),
    charge_ref text NOT NULL DEFAULT '',
    dimensions jsonb NOT NULL DEFAULT '{{}}',
    text text NOT NULL DEFAULT '',
    unit text NOT NULL DEFAULT 'piece',
    CONSTRAINT uq_charge_key_natural UNIQUE (
        book_code, billing_period, billing_account_id, subscription_id, component, kind, charge_ref,
        usage_period, accounting_month, party_id, revenue_account, vat_code, vat_rate_bp,
        price_basis, currency, dimensions
    )
)
"""

_CHARGE_DELTA = """
CREATE TABLE charge_delta (
    charge_delta_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_charge_delta PRIMARY KEY,
    batch_id bigint NOT NULL
        CONSTRAINT fk_charge_delta_batch_id REFERENCES posting_batch (batch_id),
    charge_key_id bigint NOT NULL
        CONSTRAINT fk_charge_delta_charge_key_id REFERENCES charge_key (charge_key_id),
    micro bigint NOT NULL,
    minor_net bigint NOT NULL,
    minor_gross bigint NOT NULL,
    events bigint NOT NULL,
    quantity bigint NOT NULL,
    CONSTRAINT uq_charge_delta_charge_key_id_batch_id UNIQUE (charge_key_id, batch_id)
);
CREATE INDEX ix_charge_delta_batch_id ON charge_delta (batch_id);
COMMENT ON COLUMN charge_delta.minor_gross IS
    'Zero on net keys: their VAT is computed per rate on the invoice.';
"""

_RATING_RUN = f"""
CREATE TABLE rating_run (
    run_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_rating_run PRIMARY KEY,
    period text NOT NULL CONSTRAINT ck_rating_run_period_is_month CHECK (period ~ {_MONTH}),
    inputs_hash text NOT NULL,
    tariff_hash text NOT NULL
        CONSTRAINT fk_rating_run_tariff_hash REFERENCES tariff_book (content_hash),
    batch_id bigint CONSTRAINT fk_rating_run_batch_id REFERENCES posting_batch (batch_id),
    rated_refs jsonb NOT NULL DEFAULT '[]',
    counts jsonb NOT NULL DEFAULT '{{}}',
    recorded_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT uq_rating_run_period_inputs_hash UNIQUE (period, inputs_hash)
)
"""

# A charge is what its deltas sum to: the projection of the facts, never a row of its own. Summed
# key by key, so that the charges of a few accounts never cost a scan of all deltas.
_CHARGE = """
CREATE VIEW charge AS
SELECT k.*, d.micro, d.minor_net, d.minor_gross, d.events, d.quantity
FROM charge_key k
CROSS JOIN LATERAL (
    SELECT sum(micro)::bigint AS micro, sum(minor_net)::bigint AS minor_net,
        sum(minor_gross)::bigint AS minor_gross, sum(events)::bigint AS events,
        sum(quantity)::bigint AS quantity
    FROM charge_delta WHERE charge_delta.charge_key_id = k.charge_key_id
    HAVING count(*) > 0
) d
"""

# Row locks need the right to update, which nobody has here. The function takes the locks alone,
# in order of id, so that two batches with the same keys wait for each other instead of deadlocking.
_LOCK = """
CREATE FUNCTION rating_lock_charge_keys(ids bigint[]) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT count(*) FROM (
        SELECT charge_key_id FROM public.charge_key WHERE charge_key_id = ANY (ids)
        ORDER BY charge_key_id FOR NO KEY UPDATE
    ) AS locked
$$;
REVOKE ALL ON FUNCTION rating_lock_charge_keys(bigint[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION rating_lock_charge_keys(bigint[]) TO hovedbok_service;
"""


def upgrade() -> None:
    """Make the tables, refuse change on each, and let the service add and everybody look."""
    for statement in (_TARIFF_BOOK, _CHARGE_KEY, _CHARGE_DELTA, _RATING_RUN, _CHARGE, _LOCK):
        op.execute(statement)
    for table in _FACTS:
        op.execute(f"CALL ledger_guard_fact('{table}')")
    tables = ", ".join(_FACTS)
    op.execute(f"GRANT SELECT, INSERT ON {tables} TO hovedbok_service")
    op.execute("GRANT SELECT ON charge TO hovedbok_service")
    op.execute(f"GRANT SELECT ON {tables}, charge TO hovedbok_auditor")


def downgrade() -> None:
    """Remove the tables with everything in them."""
    op.execute("DROP FUNCTION rating_lock_charge_keys(bigint[])")
    op.execute("DROP VIEW charge")
    for table in ("rating_run", "charge_delta", "charge_key", "tariff_book"):
        op.execute(f"DROP TABLE {table}")
