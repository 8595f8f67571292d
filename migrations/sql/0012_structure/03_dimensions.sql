-- Dimensions of lines are checked where the lines are inserted, whoever inserts them: once per set,
-- account and day, not per line. A dimension that is not registered is free text.

CREATE FUNCTION ledger_require_dimensions() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    bad record;
BEGIN
    IF NOT EXISTS (SELECT FROM dimension) THEN
        RETURN NULL;
    END IF;
    WITH used AS (
        SELECT account_id, dim_set_id, effective_date, min(entry_id) AS entry_id
        FROM added GROUP BY account_id, dim_set_id, effective_date),
    carried AS (
        SELECT s.dim_set_id, split_part(pair, '=', 1) AS code,
            substr(pair, strpos(pair, '=') + 1) AS value
        FROM dimension_set s, unnest(string_to_array(s.canonical_key, ';')) AS pair
        WHERE s.dim_set_id IN (SELECT dim_set_id FROM used)),
    ruled AS (
        SELECT u.entry_id, u.account_id, u.dim_set_id, a.number, d.code, c.value,
            c.code IS NOT NULL AS is_carried,
            coalesce((
                SELECT r.rule FROM dimension_rule r
                WHERE r.dimension_id = d.dimension_id AND starts_with(a.number, r.account_prefix)
                    AND r.valid_from <= u.effective_date
                ORDER BY length(r.account_prefix) DESC, r.valid_from DESC LIMIT 1),
                'allowed') AS rule,
            EXISTS (SELECT FROM dimension_value v
                WHERE v.dimension_id = d.dimension_id AND v.code = c.value
                    AND u.effective_date >= v.valid_from
                    AND (v.valid_to IS NULL OR u.effective_date < v.valid_to)) AS is_known
        FROM used u
        JOIN account a USING (account_id)
        JOIN dimension d ON d.book_id = a.book_id
        LEFT JOIN carried c ON c.dim_set_id = u.dim_set_id AND c.code = d.code)
    SELECT r.*, l.line_no INTO bad
    FROM ruled r
    JOIN added l ON l.entry_id = r.entry_id AND l.account_id = r.account_id
        AND l.dim_set_id = r.dim_set_id
    WHERE (r.rule = 'required' AND NOT r.is_carried) OR (r.rule = 'forbidden' AND r.is_carried)
        OR (r.is_carried AND NOT r.is_known)
    ORDER BY r.entry_id, l.line_no LIMIT 1;
    IF FOUND THEN
        CALL ledger_refuse('HB061', format('Entry %s line %s: account %s %s.',
            bad.entry_id & 1048575, bad.line_no, bad.number, CASE
            WHEN NOT bad.is_carried THEN format('needs the dimension %s', bad.code)
            WHEN bad.rule = 'forbidden' THEN format('does not take the dimension %s', bad.code)
            ELSE format('names %s=%s, which is not a value on that day', bad.code, bad.value) END),
            jsonb_build_object('entry', bad.entry_id & 1048575, 'line', bad.line_no,
                'account', bad.number, 'dimension', bad.code));
    END IF;
    RETURN NULL;
END $$;

CREATE PROCEDURE ledger_guard_dimensions(fact regclass)
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER require_dimensions AFTER INSERT ON %s '
        'REFERENCING NEW TABLE AS added FOR EACH STATEMENT '
        'EXECUTE FUNCTION ledger_require_dimensions()', fact);
END $$;

-- Statement triggers are not inherited: the partitions that are there, and those to come.
CALL ledger_guard_dimensions('journal_line');
DO $$
DECLARE
    part regclass;
BEGIN
    FOR part IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'journal_line'::regclass LOOP
        CALL ledger_guard_dimensions(part);
    END LOOP;
END $$;

CREATE OR REPLACE PROCEDURE ledger_make_partition(fact text, month date)
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    part text := format('%s_%s', fact, to_char(month, 'YYYY_MM'));
    named text := CASE fact WHEN 'journal_line' THEN 'entry_id >> 20' ELSE 'batch_id' END;
BEGIN
    IF to_regclass('public.' || part) IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE public.%I PARTITION OF public.%I FOR VALUES FROM (%L) TO (%L)',
        part, fact, month, (month + interval '1 month')::date);
    CALL ledger_guard_fact(part::regclass, true);
    CALL ledger_guard_ownership(part::regclass, named, 'effective_date');
    IF fact = 'journal_line' THEN
        CALL ledger_guard_dimensions(part::regclass);
    END IF;
    EXECUTE format('GRANT SELECT ON public.%I TO hovedbok_service, hovedbok_auditor', part);
END $$;
