-- The grants that 0001_ledger gave to what its scripts have just made anew.

GRANT EXECUTE ON FUNCTION ledger_open_stage(integer) TO hovedbok_service;
GRANT EXECUTE ON FUNCTION ledger_post_staged(
    text, text, text, text, bytea, integer, integer, jsonb) TO hovedbok_service;
