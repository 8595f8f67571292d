-- Keys that the check of the batch proves anyway cost more than the rows they guard. A fact is never
-- removed, so what existed at that check exists for ever.

-- A row names what it reverses in one case of thousands: only those are indexed.
ALTER TABLE journal_entry DROP CONSTRAINT fk_journal_entry_reverses,
    DROP CONSTRAINT uq_journal_entry_reverses;
CREATE UNIQUE INDEX uq_journal_entry_reverses ON journal_entry (reverses_entry_id)
    WHERE reverses_entry_id IS NOT NULL;

ALTER TABLE allocation DROP CONSTRAINT fk_allocation_reverses,
    DROP CONSTRAINT uq_allocation_reverses, DROP CONSTRAINT fk_allocation_credit_item_id,
    DROP CONSTRAINT fk_allocation_debit_item_id, DROP CONSTRAINT fk_allocation_batch_id;
CREATE UNIQUE INDEX uq_allocation_reverses ON allocation (reverses_allocation_id)
    WHERE reverses_allocation_id IS NOT NULL;
