"""Who may do what: staff and their sessions, API clients and their tokens, the audit log."""

from alembic import op

revision = "0002_access"
down_revision = "0001_ledger"

_TABLES = ("access_event", "api_token", "api_client", "login_attempt", "staff_session", "staff")


def upgrade() -> None:
    """Make the tables; the service may change only what is a state, never the audit log."""
    op.execute(_STAFF)
    op.execute(_CLIENTS)
    op.execute(_EVENTS)
    op.execute(_GRANTS)


def downgrade() -> None:
    """Remove the tables with everything in them."""
    for table in _TABLES:
        op.execute(f"DROP TABLE {table}")


_STAFF = """
CREATE TABLE staff (
    id integer GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_staff PRIMARY KEY,
    username text NOT NULL CONSTRAINT uq_staff_username UNIQUE
        CONSTRAINT ck_staff_username_shape CHECK (username ~ '^[a-z][a-z0-9._-]{1,62}$'),
    roles text[] NOT NULL CONSTRAINT ck_staff_roles_not_empty CHECK (cardinality(roles) > 0),
    password_hash text NOT NULL
        CONSTRAINT ck_staff_password_is_hashed CHECK (password_hash LIKE '$argon2id$%'),
    created_at timestamptz NOT NULL,
    disabled_at timestamptz
);
CREATE TABLE staff_session (
    token_sha256 bytea CONSTRAINT pk_staff_session PRIMARY KEY
        CONSTRAINT ck_staff_session_hash_length CHECK (octet_length(token_sha256) = 32),
    staff_id integer NOT NULL CONSTRAINT fk_staff_session_staff_id REFERENCES staff (id),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    CONSTRAINT ck_staff_session_ends_after_start CHECK (expires_at > created_at)
);
CREATE INDEX ix_staff_session_staff_id ON staff_session (staff_id) WHERE revoked_at IS NULL;
CREATE TABLE login_attempt (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_login_attempt PRIMARY KEY,
    -- Hashed: people type their password into this field by mistake.
    username_sha256 bytea NOT NULL,
    address_sha256 bytea NOT NULL,
    attempted_at timestamptz NOT NULL,
    succeeded boolean NOT NULL
);
CREATE INDEX ix_login_attempt_username ON login_attempt (username_sha256, attempted_at);
CREATE INDEX ix_login_attempt_address ON login_attempt (address_sha256, attempted_at);
"""

_CLIENTS = """
CREATE TABLE api_client (
    id integer GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_api_client PRIMARY KEY,
    name text NOT NULL CONSTRAINT uq_api_client_name UNIQUE
        CONSTRAINT ck_api_client_name_shape CHECK (name ~ '^[a-z][a-z0-9._-]{1,62}$'),
    scopes text[] NOT NULL
        CONSTRAINT ck_api_client_scopes_not_empty CHECK (cardinality(scopes) > 0),
    created_at timestamptz NOT NULL,
    disabled_at timestamptz
);
CREATE TABLE api_token (
    prefix text CONSTRAINT pk_api_token PRIMARY KEY,
    api_client_id integer NOT NULL CONSTRAINT fk_api_token_api_client_id REFERENCES api_client (id),
    secret_sha256 bytea NOT NULL
        CONSTRAINT ck_api_token_hash_length CHECK (octet_length(secret_sha256) = 32),
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz
);
"""

_EVENTS = """
CREATE TABLE access_event (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_access_event PRIMARY KEY,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor text NOT NULL,
    act text NOT NULL,
    subject text NOT NULL,
    facts jsonb NOT NULL DEFAULT '{}'
);
CREATE TRIGGER access_event_refuse_change BEFORE UPDATE OR DELETE ON access_event
    FOR EACH ROW EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER access_event_refuse_truncate BEFORE TRUNCATE ON access_event
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
"""

_GRANTS = """
-- The readiness page says at which revision the database is.
GRANT SELECT ON alembic_version TO hovedbok_service, hovedbok_auditor;
GRANT SELECT, INSERT ON staff, staff_session, login_attempt, api_client, api_token, access_event
    TO hovedbok_service;
GRANT UPDATE (roles, password_hash, disabled_at) ON staff TO hovedbok_service;
GRANT UPDATE (revoked_at) ON staff_session, api_token TO hovedbok_service;
GRANT UPDATE (scopes, disabled_at) ON api_client TO hovedbok_service;
-- The auditor sees who may do what, never a hash that could be attacked.
GRANT SELECT ON login_attempt, api_client, access_event TO hovedbok_auditor;
GRANT SELECT (id, username, roles, created_at, disabled_at) ON staff TO hovedbok_auditor;
GRANT SELECT (staff_id, created_at, expires_at, revoked_at) ON staff_session TO hovedbok_auditor;
GRANT SELECT (prefix, api_client_id, created_at, expires_at, revoked_at) ON api_token
    TO hovedbok_auditor;
"""
