-- Who may call what this revision made.

GRANT EXECUTE ON FUNCTION ledger_post_few(text, text, text, text, bytea, integer, integer, jsonb,
    text, jsonb, jsonb, jsonb, jsonb) TO hovedbok_service;
