-- A settlement reads what it settles and what is booked of it, and keeps of its own only why: codes
-- in the vault that come to what stands in the journal after it. The last run of a month, a source
-- and a tariff says where that stands; runs from before have none.

CREATE TABLE settlement_run (
    settlement_run_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_settlement_run PRIMARY KEY,
    book_code text NOT NULL,
    source_system text NOT NULL
        CONSTRAINT ck_settlement_run_source_system CHECK (source_system <> ''),
    period text NOT NULL
        CONSTRAINT ck_settlement_run_period CHECK (period ~ '^[0-9]{4}-(0[1-9]|1[0-2])$'),
    tariff_hash text NOT NULL
        CONSTRAINT fk_settlement_run_tariff_hash REFERENCES tariff_book (content_hash),
    batch_id bigint CONSTRAINT uq_settlement_run_batch_id UNIQUE
        CONSTRAINT fk_settlement_run_batch_id REFERENCES posting_batch,
    explained_sha256 text NOT NULL
        CONSTRAINT ck_settlement_run_explained_sha256 CHECK (explained_sha256 ~ '^[0-9a-f]{64}$'),
    event_refs jsonb NOT NULL DEFAULT '[]',
    actor text NOT NULL CONSTRAINT ck_settlement_run_actor CHECK (actor <> ''),
    recorded_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ix_settlement_run_period ON settlement_run (period, source_system, settlement_run_id);
CALL ledger_guard_fact('settlement_run');
GRANT SELECT, INSERT ON settlement_run TO hovedbok_service;
GRANT SELECT ON settlement_run TO hovedbok_auditor;
