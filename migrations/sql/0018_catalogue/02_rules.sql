-- What holds for whoever inserts: a first day of its own, other eyes, and the content that was read.

CREATE FUNCTION rating_keep_tariff_days() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    other tariff_book;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('tariff_book'));
    SELECT b.* INTO other FROM tariff_book b LEFT JOIN tariff_verdict v USING (tariff_book_id)
    WHERE b.name = NEW.name AND b.valid_from = NEW.valid_from
        AND v.verdict IS DISTINCT FROM 'rejected' LIMIT 1;
    IF FOUND THEN
        CALL ledger_refuse('HB082', format('%s/%s is valid from %s too, and was not rejected. '
            'Give the changed tariff a first day of its own.', other.name, other.version,
            other.valid_from), jsonb_build_object('content_hash', other.content_hash));
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER keep_tariff_days BEFORE INSERT ON tariff_book
    FOR EACH ROW EXECUTE FUNCTION rating_keep_tariff_days();

CREATE FUNCTION rating_require_other_eyes() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    judged tariff_book;
    known tariff_verdict;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('tariff_book'));
    SELECT * INTO judged FROM tariff_book WHERE tariff_book_id = NEW.tariff_book_id;
    IF judged.content_hash IS DISTINCT FROM NEW.content_hash THEN
        CALL ledger_refuse('HB080', format('%s/%s is not what you read. Read it again and decide '
            'on that.', judged.name, judged.version),
            jsonb_build_object('content_hash', judged.content_hash));
    END IF;
    SELECT * INTO known FROM tariff_verdict WHERE tariff_book_id = NEW.tariff_book_id;
    IF FOUND THEN
        CALL ledger_refuse('HB081', format('%s/%s was %s by %s.', judged.name, judged.version,
            known.verdict, known.judge), jsonb_build_object('verdict', known.verdict));
    END IF;
    IF judged.loaded_by = NEW.judge THEN
        CALL ledger_refuse('HB083', format('%s loaded %s/%s. Another person has to judge it.',
            NEW.judge, judged.name, judged.version), jsonb_build_object('judge', NEW.judge));
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER require_other_eyes BEFORE INSERT ON tariff_verdict
    FOR EACH ROW EXECUTE FUNCTION rating_require_other_eyes();

REVOKE ALL ON FUNCTION rating_keep_tariff_days(), rating_require_other_eyes() FROM PUBLIC;
GRANT SELECT, INSERT ON tariff_verdict TO hovedbok_service;
GRANT SELECT ON tariff_verdict TO hovedbok_auditor;
