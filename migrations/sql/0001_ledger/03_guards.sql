-- Ownership: rows of a batch come only from the transaction that made it, and only until it is closed.

CREATE FUNCTION ledger_require_own_batch() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    -- Argument 0 says how a row names its batch, argument 1 its date where the batch bounds it.
    named text := TG_ARGV[0];
    dated text := coalesce(TG_ARGV[1], 'NULL::date');
    stranger bigint;
BEGIN
    EXECUTE format(
        'SELECT a.batch_id FROM (
            SELECT %s AS batch_id, min(%s) AS first_date, max(%s) AS last_date
            FROM added GROUP BY 1) a
        LEFT JOIN posting_batch b ON b.batch_id = a.batch_id
        WHERE b.xid IS DISTINCT FROM pg_current_xact_id()
            OR a.first_date < b.first_date OR a.last_date > b.last_date
            OR EXISTS (SELECT FROM batch_closed c WHERE c.batch_id = a.batch_id)
        LIMIT 1', named, dated, dated) INTO stranger;
    -- EXECUTE does not set FOUND.
    IF stranger IS NOT NULL THEN
        CALL ledger_refuse('HB091',
            format('Rows of %s name batch %s, which is closed, dated otherwise or of another '
                'transaction.', TG_TABLE_NAME, stranger),
            jsonb_build_object('table', TG_TABLE_NAME, 'batch_id', stranger));
    END IF;
    RETURN NULL;
END $$;

CREATE PROCEDURE ledger_guard_ownership(fact regclass, VARIADIC named text[])
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER require_own_batch AFTER INSERT ON %s '
        'REFERENCING NEW TABLE AS added FOR EACH STATEMENT '
        'EXECUTE FUNCTION ledger_require_own_batch(%s)', fact,
        (SELECT string_agg(quote_literal(n), ', ') FROM unnest(named) n));
END $$;

CALL ledger_guard_fact('account_version');
CALL ledger_guard_fact('dimension_set');
CALL ledger_guard_fact('posting_rule');
CALL ledger_guard_fact('period');
CALL ledger_guard_fact('period_lock_event');
CALL ledger_guard_fact('voucher_gap');
CALL ledger_guard_fact('posting_batch');
CALL ledger_guard_fact('batch_closed');
CALL ledger_guard_fact('journal_entry');
CALL ledger_guard_fact('journal_line');
CALL ledger_guard_fact('balance_delta');
CALL ledger_guard_fact('open_item');
CALL ledger_guard_fact('allocation');
CALL ledger_guard_fact('event_outbox');
CALL ledger_guard_fact('audit_event');

CALL ledger_guard_ownership('posting_batch', 'batch_id');
CALL ledger_guard_ownership('journal_entry', 'entry_id >> 20', 'effective_date');
CALL ledger_guard_ownership('journal_line', 'entry_id >> 20', 'effective_date');
CALL ledger_guard_ownership('balance_delta', 'batch_id', 'effective_date');
CALL ledger_guard_ownership('open_item', 'open_item_id >> 20', 'effective_date');
CALL ledger_guard_ownership('allocation', 'batch_id', 'effective_date');
CALL ledger_guard_ownership('event_outbox', 'batch_id');

-- A VAT code may come to an end; what it was is never rewritten.
CREATE FUNCTION ledger_keep_vat_rate() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.valid_to IS NULL AND NEW.valid_to IS NOT NULL
            AND to_jsonb(NEW) - 'valid_to' = to_jsonb(OLD) - 'valid_to' THEN
        RETURN NEW;
    END IF;
    CALL ledger_refuse('HB090', 'A VAT code keeps its rate and its dates; end it and add another.',
        jsonb_build_object('table', TG_TABLE_NAME, 'operation', TG_OP));
    RETURN NULL;
END $$;
CREATE TRIGGER keep_vat_rate BEFORE UPDATE OR DELETE ON vat_code
    FOR EACH ROW EXECUTE FUNCTION ledger_keep_vat_rate();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON vat_code
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();

-- A counter only ever grows; nothing else about it changes.
CREATE FUNCTION ledger_require_growth() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.series_id = OLD.series_id
            AND NEW.fiscal_year = OLD.fiscal_year AND NEW.last_no > OLD.last_no THEN
        RETURN NEW;
    END IF;
    CALL ledger_refuse('HB090', 'A voucher counter only counts upwards.',
        jsonb_build_object('table', TG_TABLE_NAME, 'operation', TG_OP));
    RETURN NULL;
END $$;
CREATE TRIGGER require_growth BEFORE UPDATE OR DELETE ON voucher_counter
    FOR EACH ROW EXECUTE FUNCTION ledger_require_growth();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON voucher_counter
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
