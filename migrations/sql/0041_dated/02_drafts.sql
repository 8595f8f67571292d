-- A draft is of one book for ever: who may judge it, which rule asks for that, and which month's
-- checklist waits for it all go by the book it was opened in.
CREATE OR REPLACE FUNCTION ledger_keep_draft_order() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    latest integer;
    of_book text;
BEGIN
    CALL ledger_hold_draft(NEW.draft_id);
    latest := ledger_draft_latest(NEW.draft_id);
    IF NEW.version_no <> latest + 1 THEN
        CALL ledger_refuse('HB051', format('Draft %s is at version %s by now. Read it again and '
            'repeat your change on that.', NEW.draft_id, latest),
            jsonb_build_object('draft_id', NEW.draft_id, 'version', latest));
    END IF;
    SELECT code INTO of_book FROM journal_draft JOIN book USING (book_id)
    WHERE draft_id = NEW.draft_id;
    IF NEW.content ->> 'book' IS DISTINCT FROM of_book THEN
        CALL ledger_refuse('HB091', format('Draft %s is of book %s, and a version of it names %s.',
            NEW.draft_id, of_book, NEW.content ->> 'book'),
            jsonb_build_object('draft_id', NEW.draft_id, 'book', of_book));
    END IF;
    RETURN NEW;
END $$;
