-- What the structure of a book adds to its facts: rules for dimensions, rates of exchange, and
-- balances that somebody outside says must hold.

-- The rule of the longest account prefix holds, the latest that has begun; without one, allowed.
CREATE TABLE dimension_rule (
    dimension_rule_id integer GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_dimension_rule PRIMARY KEY,
    dimension_id smallint NOT NULL CONSTRAINT fk_dimension_rule_dimension_id REFERENCES dimension,
    account_prefix text COLLATE "C" NOT NULL
        CONSTRAINT ck_dimension_rule_prefix CHECK (account_prefix ~ '^[0-9]{0,10}$'),
    rule text NOT NULL
        CONSTRAINT ck_dimension_rule_rule CHECK (rule IN ('required', 'allowed', 'forbidden')),
    valid_from date NOT NULL,
    actor text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT uq_dimension_rule UNIQUE (dimension_id, account_prefix, valid_from)
);

-- One rate a day and pair, for ever: what was posted at it must be computable again.
CREATE TABLE exchange_rate (
    base_currency varchar(3) COLLATE "C" NOT NULL
        CONSTRAINT fk_exchange_rate_base_currency REFERENCES currency,
    currency varchar(3) COLLATE "C" NOT NULL
        CONSTRAINT fk_exchange_rate_currency REFERENCES currency,
    valid_on date NOT NULL,
    -- Units of the base currency for 10^8 units of the other; a rate of 11.5140 is 1151400000.
    rate_e8 bigint NOT NULL CONSTRAINT ck_exchange_rate_positive CHECK (rate_e8 > 0),
    source text NOT NULL,
    actor text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_exchange_rate PRIMARY KEY (base_currency, currency, valid_on),
    CONSTRAINT ck_exchange_rate_pair CHECK (base_currency <> currency)
);

CREATE TABLE balance_assertion (
    assertion_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_balance_assertion PRIMARY KEY,
    account_id integer NOT NULL
        CONSTRAINT fk_balance_assertion_account_id REFERENCES account,
    party_id bigint,
    currency varchar(3) COLLATE "C" NOT NULL
        CONSTRAINT fk_balance_assertion_currency REFERENCES currency,
    effective_date date NOT NULL,
    expected_minor bigint NOT NULL,
    source text NOT NULL,
    actor text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT uq_balance_assertion UNIQUE NULLS NOT DISTINCT
        (account_id, party_id, currency, effective_date, source)
);

CALL ledger_guard_fact('dimension_rule');
CALL ledger_guard_fact('exchange_rate');
CALL ledger_guard_fact('balance_assertion');

-- A difference of exchange opens an item of nothing in the currency and of something in the book's.
ALTER TABLE open_item DROP CONSTRAINT ck_open_item_original,
    ADD CONSTRAINT ck_open_item_original CHECK (original_minor <> 0 OR base_minor <> 0);

GRANT SELECT ON dimension_rule, exchange_rate, balance_assertion
    TO hovedbok_service, hovedbok_auditor;
GRANT INSERT ON dimension_rule, exchange_rate, balance_assertion TO hovedbok_service;
