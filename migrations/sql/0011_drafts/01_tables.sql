-- Drafts lie apart from the facts: nothing here is counted in a balance. What was written, who wrote it,
-- what was attached and who judged it is append-only all the same.

CREATE TABLE journal_draft (
    draft_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_journal_draft PRIMARY KEY,
    book_id smallint NOT NULL CONSTRAINT fk_journal_draft_book_id REFERENCES book,
    created_by text NOT NULL CONSTRAINT ck_journal_draft_created_by CHECK (created_by <> ''),
    request_key text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT uq_journal_draft_request_key UNIQUE (created_by, request_key)
);

-- A version is whole: the journal, its lines and the hashes of its attachments.
CREATE TABLE draft_version (
    draft_id bigint NOT NULL CONSTRAINT fk_draft_version_draft_id REFERENCES journal_draft,
    version_no integer NOT NULL
        CONSTRAINT ck_draft_version_version_no CHECK (version_no BETWEEN 1 AND 10000),
    ready boolean NOT NULL,
    author text NOT NULL CONSTRAINT ck_draft_version_author CHECK (author <> ''),
    content jsonb NOT NULL CONSTRAINT ck_draft_version_content
        CHECK (jsonb_typeof(content -> 'attachments') = 'array'),
    content_hash bytea NOT NULL
        CONSTRAINT ck_draft_version_content_hash CHECK (octet_length(content_hash) = 32),
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_draft_version PRIMARY KEY (draft_id, version_no),
    CONSTRAINT uq_draft_version_hash UNIQUE (draft_id, version_no, content_hash)
);

-- A file that some version names, from the version that first did; its bytes lie in the vault.
CREATE TABLE draft_attachment (
    draft_id bigint NOT NULL,
    sha256 text COLLATE "C" NOT NULL
        CONSTRAINT ck_draft_attachment_sha256 CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    version_no integer NOT NULL,
    name text NOT NULL CONSTRAINT ck_draft_attachment_name
        CHECK (name ~ '^[^[:cntrl:]/\\]{1,120}$'),
    size bigint NOT NULL CONSTRAINT ck_draft_attachment_size CHECK (size > 0),
    media_type text NOT NULL,
    added_by text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_draft_attachment PRIMARY KEY (draft_id, sha256),
    CONSTRAINT fk_draft_attachment_version FOREIGN KEY (draft_id, version_no)
        REFERENCES draft_version (draft_id, version_no)
);

-- One verdict per version, bound to what the version says: the key names its hash.
CREATE TABLE draft_approval (
    draft_id bigint NOT NULL,
    version_no integer NOT NULL,
    content_hash bytea NOT NULL,
    approver text NOT NULL CONSTRAINT ck_draft_approval_approver CHECK (approver <> ''),
    verdict text NOT NULL
        CONSTRAINT ck_draft_approval_verdict CHECK (verdict IN ('approved', 'rejected')),
    comment text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_draft_approval PRIMARY KEY (draft_id, version_no),
    CONSTRAINT fk_draft_approval_version FOREIGN KEY (draft_id, version_no, content_hash)
        REFERENCES draft_version (draft_id, version_no, content_hash),
    CONSTRAINT ck_draft_approval_comment CHECK (verdict = 'approved' OR comment <> '')
);

CREATE TABLE draft_posted (
    draft_id bigint NOT NULL CONSTRAINT pk_draft_posted PRIMARY KEY
        CONSTRAINT fk_draft_posted_draft_id REFERENCES journal_draft,
    version_no integer NOT NULL,
    batch_id bigint NOT NULL CONSTRAINT fk_draft_posted_batch_id REFERENCES posting_batch
        CONSTRAINT uq_draft_posted_batch_id UNIQUE,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT fk_draft_posted_version FOREIGN KEY (draft_id, version_no)
        REFERENCES draft_version (draft_id, version_no)
);

-- Which journals need another person's approval, by date: of the rules with one entry type and one
-- account prefix the latest that has begun is in force; NULL as amount says that it asks for nothing.
CREATE TABLE approval_policy (
    approval_policy_id integer GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_approval_policy PRIMARY KEY,
    book_id smallint NOT NULL CONSTRAINT fk_approval_policy_book_id REFERENCES book,
    entry_type text NOT NULL CONSTRAINT ck_approval_policy_entry_type CHECK (entry_type <> ''),
    account_prefix text COLLATE "C" NOT NULL
        CONSTRAINT ck_approval_policy_account_prefix CHECK (account_prefix ~ '^[0-9]{0,10}$'),
    amount_from_minor bigint
        CONSTRAINT ck_approval_policy_amount CHECK (amount_from_minor >= 0),
    valid_from date NOT NULL,
    actor text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT uq_approval_policy UNIQUE (book_id, entry_type, account_prefix, valid_from)
);

CALL ledger_guard_fact('journal_draft');
CALL ledger_guard_fact('draft_version');
CALL ledger_guard_fact('draft_attachment');
CALL ledger_guard_fact('draft_approval');
CALL ledger_guard_fact('draft_posted');
CALL ledger_guard_fact('approval_policy');
