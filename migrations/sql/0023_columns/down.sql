-- Keys as they were, and the routines that only this revision has.

DROP INDEX uq_journal_entry_reverses, uq_allocation_reverses;
ALTER TABLE journal_entry
    ADD CONSTRAINT fk_journal_entry_reverses FOREIGN KEY (reverses_entry_id)
        REFERENCES journal_entry,
    ADD CONSTRAINT uq_journal_entry_reverses UNIQUE (reverses_entry_id);
ALTER TABLE allocation
    ADD CONSTRAINT fk_allocation_reverses FOREIGN KEY (reverses_allocation_id)
        REFERENCES allocation,
    ADD CONSTRAINT uq_allocation_reverses UNIQUE (reverses_allocation_id),
    ADD CONSTRAINT fk_allocation_credit_item_id FOREIGN KEY (credit_item_id) REFERENCES open_item,
    ADD CONSTRAINT fk_allocation_debit_item_id FOREIGN KEY (debit_item_id) REFERENCES open_item,
    ADD CONSTRAINT fk_allocation_batch_id FOREIGN KEY (batch_id) REFERENCES posting_batch;
DROP FUNCTION ledger_stored_lines_are_sound(posting_batch),
    ledger_post_few(text, text, text, text, bytea, integer, integer, jsonb, text, jsonb, jsonb,
        jsonb, jsonb);
DROP PROCEDURE ledger_name_fault(smallint, integer, integer, jsonb);
