-- Books and their master data: what a posting may name.

CREATE TABLE currency (
    code varchar(3) COLLATE "C" CONSTRAINT pk_currency PRIMARY KEY,
    numeric_code smallint NOT NULL,
    minor_digits smallint NOT NULL,
    name text NOT NULL
);
INSERT INTO currency VALUES
    ('NOK', 578, 2, 'Norwegian krone'), ('EUR', 978, 2, 'Euro'), ('USD', 840, 2, 'US dollar'),
    ('SEK', 752, 2, 'Swedish krona'), ('DKK', 208, 2, 'Danish krone'),
    ('GBP', 826, 2, 'Pound sterling'), ('XDR', 960, 2, 'Special drawing right');

CREATE TABLE book (
    book_id smallint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_book PRIMARY KEY,
    code text NOT NULL CONSTRAINT uq_book_code UNIQUE,
    legal_entity text NOT NULL,
    functional_currency varchar(3) COLLATE "C" NOT NULL
        CONSTRAINT fk_book_functional_currency REFERENCES currency,
    fiscal_year_start smallint NOT NULL DEFAULT 1
        CONSTRAINT ck_book_fiscal_year_start CHECK (fiscal_year_start BETWEEN 1 AND 12)
);

CREATE TABLE account (
    account_id integer GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_account PRIMARY KEY,
    book_id smallint NOT NULL CONSTRAINT fk_account_book_id REFERENCES book,
    number text COLLATE "C" NOT NULL
        CONSTRAINT ck_account_number CHECK (number ~ '^[0-9]{4,10}$'),
    name text NOT NULL,
    class char(1) NOT NULL CONSTRAINT ck_account_class CHECK (class IN ('A', 'L', 'Q', 'I', 'E')),
    currency varchar(3) COLLATE "C" CONSTRAINT fk_account_currency REFERENCES currency,
    is_control boolean NOT NULL DEFAULT false,
    party_required boolean NOT NULL DEFAULT false,
    open_item boolean NOT NULL DEFAULT false,
    manual_post_allowed boolean NOT NULL DEFAULT true,
    grouping_category text NOT NULL,
    grouping_code text NOT NULL,
    valid_from date NOT NULL DEFAULT '2000-01-01',
    valid_to date,
    CONSTRAINT uq_account_book_id_number UNIQUE (book_id, number),
    CONSTRAINT ck_account_valid CHECK (valid_to IS NULL OR valid_from < valid_to)
);

-- Every state an account has had; written by a trigger, so that no path forgets it.
CREATE TABLE account_version (
    account_id integer NOT NULL CONSTRAINT fk_account_version_account_id REFERENCES account,
    version_no integer NOT NULL,
    content jsonb NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    recorded_by text NOT NULL DEFAULT session_user,
    CONSTRAINT pk_account_version PRIMARY KEY (account_id, version_no)
);

CREATE FUNCTION ledger_keep_account_version() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND (OLD.account_id, OLD.book_id, OLD.number)
            IS DISTINCT FROM (NEW.account_id, NEW.book_id, NEW.number) THEN
        CALL ledger_refuse('HB090', 'An account keeps its number and its book for ever.',
            jsonb_build_object('account', OLD.number));
    END IF;
    INSERT INTO account_version (account_id, version_no, content)
    SELECT NEW.account_id, count(*) + 1, to_jsonb(NEW)
    FROM account_version WHERE account_id = NEW.account_id;
    RETURN NULL;
END $$;
CREATE TRIGGER keep_version AFTER INSERT OR UPDATE ON account
    FOR EACH ROW EXECUTE FUNCTION ledger_keep_account_version();

CREATE TABLE dimension (
    dimension_id smallint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_dimension PRIMARY KEY,
    book_id smallint NOT NULL CONSTRAINT fk_dimension_book_id REFERENCES book,
    code text NOT NULL,
    name text NOT NULL,
    CONSTRAINT uq_dimension_book_id_code UNIQUE (book_id, code)
);
CREATE TABLE dimension_value (
    dimension_id smallint NOT NULL CONSTRAINT fk_dimension_value_dimension_id REFERENCES dimension,
    code text NOT NULL,
    name text NOT NULL,
    valid_from date NOT NULL DEFAULT '2000-01-01',
    valid_to date,
    CONSTRAINT pk_dimension_value PRIMARY KEY (dimension_id, code)
);
-- Lines carry one integer; 0 is the set without dimensions and belongs to every book.
CREATE TABLE dimension_set (
    dim_set_id integer GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_dimension_set PRIMARY KEY,
    book_id smallint NOT NULL CONSTRAINT fk_dimension_set_book_id REFERENCES book,
    canonical_key text NOT NULL CONSTRAINT ck_dimension_set_key CHECK (canonical_key <> ''),
    CONSTRAINT uq_dimension_set_book_id_canonical_key UNIQUE (book_id, canonical_key)
);

CREATE TABLE vat_code (
    vat_code_id smallint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_vat_code PRIMARY KEY,
    book_id smallint NOT NULL CONSTRAINT fk_vat_code_book_id REFERENCES book,
    code text COLLATE "C" NOT NULL,
    name text NOT NULL,
    saft_code text NOT NULL,
    rate_bp integer NOT NULL CONSTRAINT ck_vat_code_rate CHECK (rate_bp BETWEEN 0 AND 10000),
    valid_from date NOT NULL,
    valid_to date,
    CONSTRAINT ck_vat_code_valid CHECK (valid_to IS NULL OR valid_from < valid_to),
    CONSTRAINT ex_vat_code_one_rate_a_day EXCLUDE USING gist
        (book_id WITH =, code WITH =, daterange(valid_from, valid_to) WITH &&)
);

-- Which account an event uses. The latest rule that has begun applies; '*' is any selector.
CREATE TABLE posting_rule (
    posting_rule_id integer GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_posting_rule PRIMARY KEY,
    book_id smallint NOT NULL,
    event text NOT NULL,
    leg text NOT NULL,
    selector text NOT NULL DEFAULT '*',
    account_number text COLLATE "C" NOT NULL,
    valid_from date NOT NULL,
    CONSTRAINT uq_posting_rule UNIQUE (book_id, event, leg, selector, valid_from),
    CONSTRAINT fk_posting_rule_account FOREIGN KEY (book_id, account_number)
        REFERENCES account (book_id, number)
);

CREATE TABLE voucher_series (
    series_id smallint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_voucher_series PRIMARY KEY,
    book_id smallint NOT NULL CONSTRAINT fk_voucher_series_book_id REFERENCES book,
    code text COLLATE "C" NOT NULL,
    document_type text NOT NULL,
    module text NOT NULL
        CONSTRAINT ck_voucher_series_module CHECK (module IN ('GL', 'AR', 'BILLING', 'VAT')),
    description text NOT NULL,
    CONSTRAINT uq_voucher_series_book_id_code UNIQUE (book_id, code)
);
-- The only mutable row of posting: held from the headers to the commit, so a rollback returns numbers.
CREATE TABLE voucher_counter (
    series_id smallint NOT NULL CONSTRAINT fk_voucher_counter_series_id REFERENCES voucher_series,
    fiscal_year smallint NOT NULL,
    last_no bigint NOT NULL CONSTRAINT ck_voucher_counter_last_no CHECK (last_no >= 0),
    CONSTRAINT pk_voucher_counter PRIMARY KEY (series_id, fiscal_year)
);
CREATE TABLE voucher_gap (
    series_id smallint NOT NULL CONSTRAINT fk_voucher_gap_series_id REFERENCES voucher_series,
    fiscal_year smallint NOT NULL,
    voucher_no bigint NOT NULL,
    reason text NOT NULL,
    actor text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_voucher_gap PRIMARY KEY (series_id, fiscal_year, voucher_no)
);

CREATE TABLE period (
    book_id smallint NOT NULL CONSTRAINT fk_period_book_id REFERENCES book,
    code text COLLATE "C" NOT NULL,
    starts_on date NOT NULL,
    ends_on date NOT NULL,
    fiscal_year smallint NOT NULL,
    CONSTRAINT pk_period PRIMARY KEY (book_id, code),
    CONSTRAINT ck_period_is_a_month CHECK (
        extract(day FROM starts_on) = 1 AND ends_on = (starts_on + interval '1 month')::date),
    CONSTRAINT uq_period_book_id_starts_on UNIQUE (book_id, starts_on)
);
-- The state of a period is its latest event per module; without one it is open. Hard has no inverse.
CREATE TABLE period_lock_event (
    lock_event_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_period_lock_event PRIMARY KEY,
    book_id smallint NOT NULL,
    period_code text COLLATE "C" NOT NULL,
    module text NOT NULL
        CONSTRAINT ck_period_lock_event_module CHECK (module IN ('GL', 'AR', 'BILLING', 'VAT')),
    level text NOT NULL
        CONSTRAINT ck_period_lock_event_level CHECK (level IN ('open', 'soft', 'hard')),
    actor text NOT NULL,
    reason text NOT NULL,
    expires_at timestamptz,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT fk_period_lock_event_period FOREIGN KEY (book_id, period_code)
        REFERENCES period (book_id, code)
);
CREATE INDEX ix_period_lock_event_period ON period_lock_event (book_id, period_code, module);
