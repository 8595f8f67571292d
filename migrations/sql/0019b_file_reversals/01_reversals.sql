-- A file that is taken back stays registered, with all its rows and objects; from then on nothing of
-- it is used, and its name, its place in the sequence and its records are free for a better copy.

CREATE TABLE file_reversal (
    file_id bigint CONSTRAINT pk_file_reversal PRIMARY KEY
        CONSTRAINT fk_file_reversal_file_id REFERENCES source_file,
    actor text NOT NULL CONSTRAINT ck_file_reversal_actor CHECK (actor <> ''),
    reason text NOT NULL CONSTRAINT ck_file_reversal_reason CHECK (reason <> ''),
    reversed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CALL ledger_guard_fact('file_reversal');
GRANT SELECT, INSERT ON file_reversal TO hovedbok_service;
GRANT SELECT ON file_reversal TO hovedbok_auditor;

-- What waits for somebody waits no longer when its file is taken back.
ALTER TABLE suspense_release DROP CONSTRAINT ck_suspense_release_bucket,
    ADD CONSTRAINT ck_suspense_release_bucket CHECK (bucket IN ('accepted', 'merged', 'filtered'));
