-- What somebody says that a suspended row of orders should have said. The file stays as it came: a
-- correction is a fact beside it, and the row is read again with it.

CREATE TABLE row_correction (
    row_correction_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_row_correction PRIMARY KEY,
    suspense_id bigint NOT NULL CONSTRAINT fk_row_correction_suspense_id REFERENCES suspense,
    column_name text NOT NULL CONSTRAINT ck_row_correction_column CHECK (column_name <> ''),
    value text NOT NULL,
    actor text NOT NULL CONSTRAINT ck_row_correction_actor CHECK (actor <> ''),
    reason text NOT NULL CONSTRAINT ck_row_correction_reason CHECK (reason <> ''),
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ix_row_correction_suspense_id ON row_correction (suspense_id);
CALL ledger_guard_fact('row_correction');
GRANT SELECT, INSERT ON row_correction TO hovedbok_service;
GRANT SELECT ON row_correction TO hovedbok_auditor;

-- A row may turn out to have come in another file meanwhile.
ALTER TABLE suspense_release DROP CONSTRAINT ck_suspense_release_bucket,
    ADD CONSTRAINT ck_suspense_release_bucket
        CHECK (bucket IN ('accepted', 'merged', 'filtered', 'duplicate'));
