-- A draft that its maker took back. It is not written on, judged or posted any more.

CREATE TABLE draft_withdrawn (
    draft_id bigint NOT NULL CONSTRAINT pk_draft_withdrawn PRIMARY KEY
        CONSTRAINT fk_draft_withdrawn_draft_id REFERENCES journal_draft,
    actor text NOT NULL,
    reason text NOT NULL CONSTRAINT ck_draft_withdrawn_reason CHECK (reason <> ''),
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CALL ledger_guard_fact('draft_withdrawn');

-- One writer per draft: an edit waits for the approval that is under way, and then finds it posted.
CREATE OR REPLACE PROCEDURE ledger_hold_draft(of_draft bigint)
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    gone draft_withdrawn;
BEGIN
    PERFORM FROM journal_draft WHERE draft_id = of_draft FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        CALL ledger_refuse('HB050', format('There is no draft %s.', of_draft),
            jsonb_build_object('draft_id', of_draft));
    END IF;
    IF EXISTS (SELECT FROM draft_posted WHERE draft_id = of_draft) THEN
        CALL ledger_refuse('HB052', format('Draft %s is posted and final. To undo it, reverse its '
            'entry.', of_draft), jsonb_build_object('draft_id', of_draft));
    END IF;
    SELECT * INTO gone FROM draft_withdrawn WHERE draft_id = of_draft;
    IF gone.draft_id IS NOT NULL THEN
        CALL ledger_refuse('HB046', format('Draft %s was withdrawn by %s: %s. Write a new one.',
            of_draft, gone.actor, gone.reason), jsonb_build_object('draft_id', of_draft));
    END IF;
END $$;

CREATE FUNCTION ledger_keep_withdrawal() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    maker text;
BEGIN
    CALL ledger_hold_draft(NEW.draft_id);
    SELECT created_by INTO maker FROM journal_draft WHERE draft_id = NEW.draft_id;
    IF maker <> NEW.actor THEN
        CALL ledger_refuse('HB047', format('Draft %s is the draft of %s, who alone can withdraw it. '
            'Somebody else can reject it.', NEW.draft_id, maker),
            jsonb_build_object('draft_id', NEW.draft_id, 'created_by', maker));
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER keep_withdrawal BEFORE INSERT ON draft_withdrawn
    FOR EACH ROW EXECUTE FUNCTION ledger_keep_withdrawal();

CREATE FUNCTION ledger_withdraw_draft(of_draft bigint, by_actor text, why text)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO draft_withdrawn (draft_id, actor, reason) VALUES (of_draft, by_actor, why);
END $$;
GRANT EXECUTE ON FUNCTION ledger_withdraw_draft(bigint, text, text) TO hovedbok_service;
GRANT SELECT ON draft_withdrawn TO hovedbok_service, hovedbok_auditor;
