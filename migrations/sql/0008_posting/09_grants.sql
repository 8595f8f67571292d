-- Who may call what this revision made.

GRANT EXECUTE ON FUNCTION ledger_post_staged(
    text, text, text, text, bytea, integer, integer, jsonb, text) TO hovedbok_service;
