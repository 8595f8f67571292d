-- Webhooks: who is told of events, and every attempt to tell them. Secrets are not stored: each is
-- derived from a key outside the database and the number of the webhook.

CREATE TABLE webhook (
    webhook_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_webhook PRIMARY KEY,
    book_id smallint NOT NULL CONSTRAINT fk_webhook_book_id REFERENCES book,
    actor text NOT NULL,
    url text NOT NULL CONSTRAINT ck_webhook_url CHECK (url ~ '^https?://'),
    -- Events up to this position are not told: the receiver came later.
    after_position bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE webhook_ended (
    webhook_id bigint CONSTRAINT pk_webhook_ended PRIMARY KEY
        CONSTRAINT fk_webhook_ended_webhook_id REFERENCES webhook,
    actor text NOT NULL,
    reason text NOT NULL,
    ended_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
-- A replay starts again behind a position; the latest start counts.
CREATE TABLE webhook_replay (
    replay_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_webhook_replay PRIMARY KEY,
    webhook_id bigint NOT NULL CONSTRAINT fk_webhook_replay_webhook_id REFERENCES webhook,
    after_position bigint NOT NULL CONSTRAINT ck_webhook_replay_position CHECK (after_position >= 0),
    actor text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE webhook_delivery (
    delivery_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_webhook_delivery PRIMARY KEY,
    webhook_id bigint NOT NULL CONSTRAINT fk_webhook_delivery_webhook_id REFERENCES webhook,
    replay_id bigint CONSTRAINT fk_webhook_delivery_replay_id REFERENCES webhook_replay,
    first_position bigint NOT NULL,
    last_position bigint NOT NULL,
    attempt_no integer NOT NULL CONSTRAINT ck_webhook_delivery_attempt_no CHECK (attempt_no > 0),
    delivered boolean NOT NULL,
    outcome text NOT NULL,
    attempted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT ck_webhook_delivery_positions CHECK (first_position <= last_position)
);
CREATE INDEX ix_webhook_delivery_webhook_id ON webhook_delivery (webhook_id, delivery_id);

CALL ledger_guard_fact('webhook');
CALL ledger_guard_fact('webhook_ended');
CALL ledger_guard_fact('webhook_replay');
CALL ledger_guard_fact('webhook_delivery');
GRANT SELECT, INSERT ON webhook, webhook_ended, webhook_replay, webhook_delivery
    TO hovedbok_service;
GRANT SELECT ON webhook, webhook_ended, webhook_replay, webhook_delivery TO hovedbok_auditor;
