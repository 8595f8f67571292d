-- One way to refuse: a SQLSTATE of class HB, a sentence, and facts as JSON in the detail.

CREATE PROCEDURE ledger_refuse(code text, sentence text, facts jsonb)
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = code, MESSAGE = sentence, DETAIL = facts::text;
END $$;

-- For fact tables of every room: no row is changed or removed, no table is emptied.
CREATE FUNCTION ledger_refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    CALL ledger_refuse('HB090',
        format('%s of %s is refused: recorded facts are never changed or removed. '
            'Post a correcting entry instead.', TG_OP, TG_TABLE_NAME),
        jsonb_build_object('table', TG_TABLE_NAME, 'operation', TG_OP));
    RETURN NULL;
END $$;

-- Statement triggers are not inherited by partitions, row triggers are: hence `inherited`.
CREATE PROCEDURE ledger_guard_fact(fact regclass, inherited boolean DEFAULT false)
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT inherited THEN
        EXECUTE format('CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON %s '
            'FOR EACH ROW EXECUTE FUNCTION ledger_refuse_change()', fact);
    END IF;
    EXECUTE format('CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON %s '
        'FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change()', fact);
END $$;
