-- A file that was refused for what lies with us. It is not registered, so that the very same file is good
-- once that is put right; until then its refusal is kept, for somebody has to take it in again.

CREATE TABLE refused_file (
    refused_file_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_refused_file PRIMARY KEY,
    source_system text NOT NULL,
    book text NOT NULL,
    name text NOT NULL CONSTRAINT ck_refused_file_name CHECK (name <> ''),
    sha256 text NOT NULL CONSTRAINT ck_refused_file_sha256 CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    size bigint NOT NULL CONSTRAINT ck_refused_file_size CHECK (size >= 0),
    reason text NOT NULL CONSTRAINT ck_refused_file_reason CHECK (reason <> ''),
    detail text NOT NULL,
    refused_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ix_refused_file_sha256 ON refused_file (sha256);
CALL ledger_guard_fact('refused_file');

-- Somebody looked, and the file is not needed. Sent and refused once more, it waits again.
CREATE TABLE refused_file_end (
    refused_file_id bigint CONSTRAINT pk_refused_file_end PRIMARY KEY
        CONSTRAINT fk_refused_file_end_refused_file_id REFERENCES refused_file,
    actor text NOT NULL CONSTRAINT ck_refused_file_end_actor CHECK (actor <> ''),
    reason text NOT NULL CONSTRAINT ck_refused_file_end_reason CHECK (reason <> ''),
    ended_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CALL ledger_guard_fact('refused_file_end');
GRANT SELECT, INSERT ON refused_file, refused_file_end TO hovedbok_service;
GRANT SELECT ON refused_file, refused_file_end TO hovedbok_auditor;
