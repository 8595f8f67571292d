-- Who loaded a version of a tariff, and what somebody else said of it. Only approved ones rate.

ALTER TABLE tariff_book ADD COLUMN loaded_by text NOT NULL DEFAULT 'system:before-approvals';
ALTER TABLE tariff_book ALTER COLUMN loaded_by DROP DEFAULT;
ALTER TABLE tariff_book ADD CONSTRAINT ck_tariff_book_loaded_by CHECK (loaded_by <> '');

CREATE TABLE tariff_verdict (
    tariff_book_id bigint CONSTRAINT pk_tariff_verdict PRIMARY KEY
        CONSTRAINT fk_tariff_verdict_tariff_book_id REFERENCES tariff_book,
    content_hash text NOT NULL,
    verdict text NOT NULL
        CONSTRAINT ck_tariff_verdict_verdict_known CHECK (verdict IN ('approved', 'rejected')),
    judge text NOT NULL CONSTRAINT ck_tariff_verdict_judge CHECK (judge <> ''),
    comment text NOT NULL DEFAULT '' CONSTRAINT ck_tariff_verdict_reason
        CHECK (verdict = 'approved' OR comment <> ''),
    judged_at timestamptz NOT NULL DEFAULT now()
);
CALL ledger_guard_fact('tariff_verdict');

-- What was loaded before there were approvals has rated, and goes on.
INSERT INTO tariff_verdict (tariff_book_id, content_hash, verdict, judge, comment)
SELECT tariff_book_id, content_hash, 'approved', 'system:migration',
    'Loaded before tariffs were approved.'
FROM tariff_book;

-- A version that was rejected leaves its first day to the one that is corrected.
ALTER TABLE tariff_book DROP CONSTRAINT uq_tariff_book_name_valid_from;
CREATE INDEX ix_tariff_book_name_valid_from ON tariff_book (name, valid_from);
