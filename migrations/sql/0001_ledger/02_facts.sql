-- Facts: inserted once, by the posting functions, and never changed.
-- An entry's id is batch_id * 2^20 + its index in the batch; items and allocations are numbered likewise,
-- so that each row names its batch without a column, and a batch is one range of every index.

CREATE TABLE posting_batch (
    batch_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_posting_batch PRIMARY KEY,
    book_id smallint NOT NULL CONSTRAINT fk_posting_batch_book_id REFERENCES book,
    source_system text NOT NULL,
    source_ref text NOT NULL,
    request_hash bytea NOT NULL
        CONSTRAINT ck_posting_batch_request_hash CHECK (octet_length(request_hash) = 32),
    entry_count integer NOT NULL,
    line_count integer NOT NULL,
    item_count integer NOT NULL,
    allocation_count integer NOT NULL,
    debit_totals jsonb NOT NULL,
    first_date date NOT NULL,
    last_date date NOT NULL,
    created_by text NOT NULL,
    approved_by text,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    CONSTRAINT uq_posting_batch_source UNIQUE (source_system, source_ref),
    CONSTRAINT ck_posting_batch_four_eyes CHECK (approved_by <> created_by),
    CONSTRAINT ck_posting_batch_size CHECK (entry_count + allocation_count > 0
        AND entry_count <= 1048576 AND item_count <= 1048576 AND allocation_count <= 1048576)
);
-- The commit check writes here; from then on nothing can be added to the batch.
CREATE TABLE batch_closed (
    batch_id bigint CONSTRAINT pk_batch_closed PRIMARY KEY
        CONSTRAINT fk_batch_closed_batch_id REFERENCES posting_batch
);

-- No foreign key to series or book: the check of the batch proves the same without locking hot rows.
CREATE TABLE journal_entry (
    entry_id bigint CONSTRAINT pk_journal_entry PRIMARY KEY,
    voucher_no bigint NOT NULL CONSTRAINT ck_journal_entry_voucher_no CHECK (voucher_no > 0),
    reverses_entry_id bigint
        CONSTRAINT fk_journal_entry_reverses REFERENCES journal_entry
        CONSTRAINT uq_journal_entry_reverses UNIQUE,
    effective_date date NOT NULL,
    document_date date NOT NULL,
    book_id smallint NOT NULL,
    series_id smallint NOT NULL,
    fiscal_year smallint NOT NULL,
    line_count smallint NOT NULL CONSTRAINT ck_journal_entry_line_count CHECK (line_count > 0),
    entry_type text NOT NULL,
    source_system text NOT NULL,
    source_ref text NOT NULL,
    document_ref text,
    text text NOT NULL,
    leaf bytea NOT NULL CONSTRAINT ck_journal_entry_leaf CHECK (octet_length(leaf) = 32),
    CONSTRAINT uq_journal_entry_voucher UNIQUE (book_id, series_id, fiscal_year, voucher_no),
    CONSTRAINT uq_journal_entry_source UNIQUE (source_system, source_ref),
    CONSTRAINT ck_journal_entry_reversal
        CHECK ((entry_type = 'reversal') = (reverses_entry_id IS NOT NULL))
);

-- No foreign key to the entry: the check of the batch proves the same at a fraction of the cost.
CREATE TABLE journal_line (
    entry_id bigint NOT NULL,
    party_id bigint,
    amount_minor bigint NOT NULL,
    base_minor bigint NOT NULL,
    open_item_id bigint,
    tax_base_minor bigint,
    account_id integer NOT NULL,
    dim_set_id integer NOT NULL DEFAULT 0,
    effective_date date NOT NULL,
    line_no smallint NOT NULL,
    vat_code_id smallint,
    currency varchar(3) COLLATE "C" NOT NULL,
    text text,
    CONSTRAINT pk_journal_line PRIMARY KEY (entry_id, line_no, effective_date),
    CONSTRAINT ck_journal_line_amount CHECK (amount_minor <> 0 OR base_minor <> 0)
) PARTITION BY RANGE (effective_date);
CREATE INDEX ix_journal_line_party ON journal_line (party_id, effective_date)
    WHERE party_id IS NOT NULL;
CREATE INDEX ix_journal_line_account ON journal_line
    USING brin (effective_date, account_id, entry_id);

CREATE TABLE balance_delta (
    batch_id bigint NOT NULL,
    debit_minor bigint NOT NULL CONSTRAINT ck_balance_delta_debit CHECK (debit_minor >= 0),
    credit_minor bigint NOT NULL CONSTRAINT ck_balance_delta_credit CHECK (credit_minor >= 0),
    base_debit_minor bigint NOT NULL,
    base_credit_minor bigint NOT NULL,
    account_id integer NOT NULL,
    dim_set_id integer NOT NULL,
    effective_date date NOT NULL,
    line_count integer NOT NULL CONSTRAINT ck_balance_delta_line_count CHECK (line_count > 0),
    book_id smallint NOT NULL,
    currency varchar(3) COLLATE "C" NOT NULL
) PARTITION BY RANGE (effective_date);
CREATE INDEX ix_balance_delta_batch_id ON balance_delta (batch_id);
CREATE INDEX ix_balance_delta_account ON balance_delta (account_id, effective_date);

CREATE TABLE open_item (
    open_item_id bigint CONSTRAINT pk_open_item PRIMARY KEY,
    entry_id bigint NOT NULL,
    party_id bigint,
    original_minor bigint NOT NULL CONSTRAINT ck_open_item_original CHECK (original_minor <> 0),
    base_minor bigint NOT NULL,
    account_id integer NOT NULL,
    effective_date date NOT NULL,
    document_date date NOT NULL,
    due_date date NOT NULL,
    book_id smallint NOT NULL,
    line_no smallint NOT NULL,
    currency varchar(3) COLLATE "C" NOT NULL,
    kind text NOT NULL,
    document_ref text NOT NULL,
    kid text,
    CONSTRAINT uq_open_item_line UNIQUE (entry_id, line_no)
);
CREATE INDEX ix_open_item_party_id ON open_item (party_id) WHERE party_id IS NOT NULL;
CREATE INDEX ix_open_item_kid ON open_item (kid) WHERE kid IS NOT NULL;
CREATE INDEX ix_open_item_account ON open_item (account_id, effective_date);

-- The use of a credit item against a debit item. Undone by a row of the opposite amount, once.
CREATE TABLE allocation (
    allocation_id bigint CONSTRAINT pk_allocation PRIMARY KEY,
    credit_item_id bigint NOT NULL CONSTRAINT fk_allocation_credit_item_id REFERENCES open_item,
    debit_item_id bigint NOT NULL CONSTRAINT fk_allocation_debit_item_id REFERENCES open_item,
    amount_minor bigint NOT NULL,
    reverses_allocation_id bigint
        CONSTRAINT fk_allocation_reverses REFERENCES allocation
        CONSTRAINT uq_allocation_reverses UNIQUE,
    batch_id bigint NOT NULL CONSTRAINT fk_allocation_batch_id REFERENCES posting_batch,
    effective_date date NOT NULL,
    book_id smallint NOT NULL,
    rule text NOT NULL,
    CONSTRAINT ck_allocation_amount CHECK (
        amount_minor <> 0 AND (amount_minor > 0) = (reverses_allocation_id IS NULL))
);
CREATE INDEX ix_allocation_credit_item_id ON allocation (credit_item_id);
CREATE INDEX ix_allocation_debit_item_id ON allocation (debit_item_id);
CREATE INDEX ix_allocation_batch_id ON allocation (batch_id);

CREATE TABLE event_outbox (
    event_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_event_outbox PRIMARY KEY,
    batch_id bigint NOT NULL CONSTRAINT fk_event_outbox_batch_id REFERENCES posting_batch,
    event_type text NOT NULL,
    content jsonb NOT NULL
);
CREATE INDEX ix_event_outbox_batch_id ON event_outbox (batch_id);

CREATE TABLE audit_event (
    audit_event_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_audit_event PRIMARY KEY,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor text NOT NULL,
    action text NOT NULL,
    subject text NOT NULL,
    content jsonb NOT NULL DEFAULT '{}'
);

-- Not a fact: the state of a request, which ends as its stored answer.
CREATE TABLE idempotency_key (
    client_id text NOT NULL,
    key text NOT NULL,
    method_path text NOT NULL,
    request_hash bytea NOT NULL,
    state text NOT NULL CONSTRAINT ck_idempotency_key_state CHECK (state IN ('started', 'done')),
    status smallint,
    response jsonb,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL,
    CONSTRAINT pk_idempotency_key PRIMARY KEY (client_id, key)
);
