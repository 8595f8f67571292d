-- The one way to seal. The functions trust no caller: order, completeness and counts are proved again.

-- Batches without a position. Transaction ids begin anew in a restored cluster: then all are searched.
CREATE FUNCTION ledger_unsealed_batches() RETURNS SETOF posting_batch
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT b.* FROM posting_batch b
    WHERE b.xid >= coalesce((
            SELECT CASE WHEN horizon <= pg_snapshot_xmin(pg_current_snapshot()) THEN horizon END
            FROM seal_block ORDER BY block_no DESC LIMIT 1), '0'::xid8)
        AND NOT EXISTS (SELECT FROM seal_member m WHERE m.batch_id = b.batch_id)
$$;

-- Below the horizon every transaction has ended, so no earlier batch can still appear. A batch that
-- names a transaction of the future came with a restore, and is complete as well.
CREATE FUNCTION ledger_is_certain(made_in xid8) RETURNS boolean
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT made_in < pg_snapshot_xmin(pg_current_snapshot())
        OR (made_in >= pg_snapshot_xmax(pg_current_snapshot())
            AND made_in IS DISTINCT FROM pg_current_xact_id_if_assigned())
$$;

-- One sealer at a time, to the end of its transaction.
CREATE FUNCTION ledger_lock_seals() RETURNS void
LANGUAGE sql SET search_path = public, pg_temp AS $$
    SELECT pg_advisory_xact_lock(x'7365616c'::bigint)
$$;

CREATE FUNCTION ledger_register_key(new_key_id text, new_public_key bytea) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF new_key_id <> left(encode(sha256(new_public_key), 'hex'), 16) THEN
        CALL ledger_refuse('HB042', format('%s is not the fingerprint of the key it comes with.',
            new_key_id), jsonb_build_object('key_id', new_key_id));
    END IF;
    INSERT INTO signing_key (key_id, public_key) VALUES (new_key_id, new_public_key)
    ON CONFLICT (key_id) DO NOTHING;
END $$;

-- The members of a block, as arrays in order of position.
CREATE PROCEDURE ledger_check_members(b seal_block, batch_ids bigint[])
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    bad bigint;
    held record;
BEGIN
    SELECT u.batch_id INTO bad
    FROM unnest(batch_ids) u (batch_id)
    LEFT JOIN posting_batch p USING (batch_id)
    LEFT JOIN batch_closed c USING (batch_id)
    WHERE c.batch_id IS NULL OR ledger_is_certain(p.xid) IS NOT TRUE
    LIMIT 1;
    IF bad IS NOT NULL THEN
        CALL ledger_refuse('HB041', format('Batch %s is not closed, or a transaction that began '
            'before it is still open. Seal again when that has ended.', bad),
            jsonb_build_object('batch_id', bad));
    END IF;
    SELECT p.batch_id INTO bad FROM ledger_unsealed_batches() p
    LEFT JOIN unnest(batch_ids) u (batch_id) USING (batch_id)
    WHERE p.xid < b.horizon AND u.batch_id IS NULL LIMIT 1;
    IF bad IS NOT NULL THEN
        CALL ledger_refuse('HB041', format('Batch %s lies below the horizon and is left out.', bad),
            jsonb_build_object('batch_id', bad));
    END IF;
    SELECT coalesce(sum(entry_count), 0)::bigint AS entries,
        coalesce(sum(line_count), 0)::bigint AS lines,
        (SELECT coalesce(jsonb_object_agg(key, total), '{}') FROM (
            SELECT key, sum(value::numeric) AS total FROM posting_batch,
                jsonb_each_text(debit_totals)
            WHERE batch_id = ANY (batch_ids) GROUP BY key) t) AS debits
    INTO held FROM posting_batch WHERE batch_id = ANY (batch_ids);
    IF (held.entries, held.lines, held.debits, cardinality(batch_ids))
            IS DISTINCT FROM (b.entry_count, b.line_count, b.debit_totals, b.batch_count) THEN
        CALL ledger_refuse('HB043', format('The block declares %s batches, %s entries, %s lines and '
            'debits %s; its batches hold %s entries, %s lines and debits %s.', b.batch_count,
            b.entry_count, b.line_count, b.debit_totals, held.entries, held.lines, held.debits),
            jsonb_build_object('block_no', b.block_no));
    END IF;
END $$;

-- The block as a row of JSON (bytes as \x hexadecimal), its members, and the master data it is first to seal.
CREATE FUNCTION ledger_seal_block(
    new_block jsonb, batch_ids bigint[], batch_roots bytea[], masters jsonb)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    b seal_block := jsonb_populate_record(NULL::seal_block, new_block);
    head seal_block;
BEGIN
    PERFORM ledger_lock_seals();
    SELECT * INTO head FROM seal_block ORDER BY block_no DESC LIMIT 1;
    IF (b.block_no, b.first_position, b.prev_hash) IS DISTINCT FROM
            (coalesce(head.block_no, 0) + 1, coalesce(head.last_position, 0) + 1,
                coalesce(head.block_hash, decode(repeat('00', 32), 'hex')))
            OR b.horizon > pg_snapshot_xmin(pg_current_snapshot()) THEN
        CALL ledger_refuse('HB040', format('Block %s does not follow block %s, the last one. '
            'Another sealer was faster; seal again.', b.block_no, coalesce(head.block_no, 0)),
            jsonb_build_object('block_no', b.block_no, 'last_block', coalesce(head.block_no, 0)));
    END IF;
    IF NOT EXISTS (SELECT FROM signing_key k WHERE k.key_id = b.key_id) THEN
        CALL ledger_refuse('HB042', format('Key %s is not registered.', b.key_id),
            jsonb_build_object('key_id', b.key_id));
    END IF;
    CALL ledger_check_members(b, batch_ids);
    IF b.batch_count = 0 AND b.master_count = 0 OR cardinality(batch_roots) <> b.batch_count
            OR jsonb_array_length(masters) <> b.master_count THEN
        CALL ledger_refuse('HB043', format('Block %s seals nothing, or not what it declares.',
            b.block_no), jsonb_build_object('block_no', b.block_no));
    END IF;
    INSERT INTO seal_block SELECT b.*;
    INSERT INTO seal_member (position, batch_id, block_no, batch_root)
    SELECT b.first_position + u.place - 1, u.batch_id, b.block_no, u.root
    FROM unnest(batch_ids, batch_roots) WITH ORDINALITY u (batch_id, root, place);
    INSERT INTO seal_master (block_no, history, row_key, content)
    SELECT b.block_no, m.history, m.row_key, m.content
    FROM jsonb_to_recordset(masters) m (history text, row_key text, content jsonb);
END $$;

-- A receipt of a head that lies outside; the same place may be told twice.
CREATE FUNCTION ledger_record_anchor(
    of_block bigint, its_hash bytea, at_medium text, with_receipt text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM seal_block WHERE block_no = of_block AND block_hash = its_hash) THEN
        CALL ledger_refuse('HB044', format('There is no block %s with that hash.', of_block),
            jsonb_build_object('block_no', of_block));
    END IF;
    INSERT INTO seal_anchor (block_no, block_hash, medium, receipt)
    VALUES (of_block, its_hash, at_medium, with_receipt)
    ON CONFLICT (medium, receipt) DO NOTHING;
END $$;
