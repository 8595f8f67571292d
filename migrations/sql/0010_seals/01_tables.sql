-- Seals: which batches are known, in which order, under whose signature. Every row is a fact.

-- Public halves only: the private key never comes near the database.
CREATE TABLE signing_key (
    key_id text COLLATE "C" CONSTRAINT pk_signing_key PRIMARY KEY,
    public_key bytea NOT NULL CONSTRAINT uq_signing_key_public_key UNIQUE
        CONSTRAINT ck_signing_key_public_key CHECK (octet_length(public_key) = 32),
    valid_from timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- A block is an explicit set of batches, not a range of batch ids: each member is listed.
CREATE TABLE seal_block (
    block_no bigint CONSTRAINT pk_seal_block PRIMARY KEY
        CONSTRAINT ck_seal_block_block_no CHECK (block_no > 0),
    first_position bigint NOT NULL,
    last_position bigint NOT NULL,
    entry_count bigint NOT NULL,
    line_count bigint NOT NULL,
    batch_count integer NOT NULL,
    master_count integer NOT NULL,
    debit_totals jsonb NOT NULL,
    sealed_columns jsonb NOT NULL,
    horizon xid8 NOT NULL,
    signed_at timestamptz NOT NULL,
    key_id text COLLATE "C" NOT NULL CONSTRAINT fk_seal_block_key_id REFERENCES signing_key,
    prev_hash bytea NOT NULL,
    member_root bytea NOT NULL,
    master_root bytea NOT NULL,
    block_hash bytea NOT NULL CONSTRAINT uq_seal_block_block_hash UNIQUE,
    signature bytea NOT NULL,
    CONSTRAINT ck_seal_block_hashes CHECK (octet_length(prev_hash) = 32
        AND octet_length(member_root) = 32 AND octet_length(master_root) = 32
        AND octet_length(block_hash) = 32 AND octet_length(signature) = 64),
    CONSTRAINT ck_seal_block_positions CHECK (first_position > 0 AND batch_count >= 0
        AND master_count >= 0 AND batch_count = last_position - first_position + 1)
);
-- A position is what "known as of" means: everything up to it was sealed, in this order.
CREATE TABLE seal_member (
    position bigint CONSTRAINT pk_seal_member PRIMARY KEY
        CONSTRAINT ck_seal_member_position CHECK (position > 0),
    batch_id bigint NOT NULL CONSTRAINT uq_seal_member_batch_id UNIQUE
        CONSTRAINT fk_seal_member_batch_id REFERENCES posting_batch,
    block_no bigint NOT NULL CONSTRAINT fk_seal_member_block_no REFERENCES seal_block,
    batch_root bytea NOT NULL CONSTRAINT ck_seal_member_batch_root
        CHECK (octet_length(batch_root) = 32)
);
CREATE INDEX ix_seal_member_block_no ON seal_member (block_no);
-- Master data as it was when it was sealed, column by column, so that a change can be named.
CREATE TABLE seal_master (
    block_no bigint NOT NULL CONSTRAINT fk_seal_master_block_no REFERENCES seal_block,
    history text COLLATE "C" NOT NULL,
    row_key text COLLATE "C" NOT NULL,
    content jsonb NOT NULL,
    CONSTRAINT pk_seal_master PRIMARY KEY (history, row_key, block_no)
);
CREATE INDEX ix_seal_master_block_no ON seal_master (block_no);
-- Receipts of heads that were written to places which the database's administrator cannot change.
CREATE TABLE seal_anchor (
    anchor_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_seal_anchor PRIMARY KEY,
    block_no bigint NOT NULL CONSTRAINT fk_seal_anchor_block_no REFERENCES seal_block,
    block_hash bytea NOT NULL,
    medium text NOT NULL,
    receipt text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT uq_seal_anchor_receipt UNIQUE (medium, receipt)
);

CALL ledger_guard_fact('signing_key');
CALL ledger_guard_fact('seal_block');
CALL ledger_guard_fact('seal_member');
CALL ledger_guard_fact('seal_master');
CALL ledger_guard_fact('seal_anchor');

-- What is not sealed lies at or above the last horizon: found without reading all batches.
CREATE INDEX ix_posting_batch_xid ON posting_batch (xid);
