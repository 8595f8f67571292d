-- A dimension that nobody registered is a slip of the pen: prodct=mobile would be revenue that no report
-- of products finds. It is asked once for each set that is new, not for each line: sets never change, and a
-- line can only name one that is there.

-- The dimensions that the house itself posts, and those that books in use carry already.
INSERT INTO dimension (book_id, code, name)
SELECT book_id, d.code, d.name FROM book, (VALUES
    ('service_period', 'Month in which late revenue was earned'),
    ('partner', 'Operator at the other end'),
    ('provider', 'Provider of content')) d (code, name)
ON CONFLICT DO NOTHING;
INSERT INTO dimension (book_id, code, name)
SELECT DISTINCT book_id, split_part(pair, '=', 1), split_part(pair, '=', 1)
FROM dimension_set, unnest(string_to_array(canonical_key, ';')) AS pair
ON CONFLICT DO NOTHING;

CREATE FUNCTION ledger_require_registered() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    bad record;
BEGIN
    SELECT b.code AS book, split_part(pair, '=', 1) AS dimension INTO bad
    FROM added s JOIN book b USING (book_id), unnest(string_to_array(s.canonical_key, ';')) AS pair
    WHERE NOT EXISTS (SELECT FROM dimension d
        WHERE d.book_id = s.book_id AND d.code = split_part(pair, '=', 1))
    ORDER BY 1, 2 LIMIT 1;
    IF FOUND THEN
        CALL ledger_refuse('HB063', format('Book %s has no dimension %s. Register it first.',
            bad.book, bad.dimension), jsonb_build_object('dimension', bad.dimension));
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER require_registered AFTER INSERT ON dimension_set
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT
    EXECUTE FUNCTION ledger_require_registered();
