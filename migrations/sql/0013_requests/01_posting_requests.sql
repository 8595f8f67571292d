-- Requests that are posted by a job: what was asked, and step by step what became of it.
-- The body lies in the vault; entries are found again by their references, so a step may be repeated.

CREATE TABLE posting_request (
    request_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_posting_request PRIMARY KEY,
    book_id smallint NOT NULL CONSTRAINT fk_posting_request_book_id REFERENCES book,
    actor text NOT NULL,
    ref text NOT NULL,
    body_format text NOT NULL
        CONSTRAINT ck_posting_request_format CHECK (body_format IN ('entries', 'ndjson', 'columns')),
    sha256 text NOT NULL CONSTRAINT ck_posting_request_sha256 CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT uq_posting_request_ref UNIQUE (actor, ref)
);
CREATE TABLE posting_request_step (
    request_id bigint NOT NULL
        CONSTRAINT fk_posting_request_step_request_id REFERENCES posting_request,
    step_no integer NOT NULL CONSTRAINT ck_posting_request_step_no CHECK (step_no > 0),
    posted integer NOT NULL,
    replayed integer NOT NULL,
    refused integer NOT NULL,
    is_last boolean NOT NULL,
    outcomes jsonb NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_posting_request_step PRIMARY KEY (request_id, step_no)
);
CALL ledger_guard_fact('posting_request');
CALL ledger_guard_fact('posting_request_step');

GRANT SELECT, INSERT ON posting_request, posting_request_step TO hovedbok_service;
GRANT SELECT ON posting_request, posting_request_step TO hovedbok_auditor;
