-- A dimension has a list of values from its first value on; before that it takes any, as one of months or
-- of partners does. As long as no book has a rule or a list, no line is looked at.

CREATE OR REPLACE FUNCTION ledger_require_dimensions() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    bad record;
BEGIN
    IF NOT EXISTS (SELECT FROM dimension_rule) AND NOT EXISTS (SELECT FROM dimension_value) THEN
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
            NOT EXISTS (SELECT FROM dimension_value v WHERE v.dimension_id = d.dimension_id)
                OR EXISTS (SELECT FROM dimension_value v
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
