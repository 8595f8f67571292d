"""SQL scripts of a migration: migrations/sql/<revision>/, run by name in the order given.

Whatever a script makes, nobody but its owner may call it until a script grants it by name.
"""

import re
from typing import Any

from alembic import op

from ledger.db.migrate import MIGRATIONS


def run_all(revision: str) -> None:
    """Run the numbered scripts of a revision, topic by topic, in the order of their names."""
    folder = MIGRATIONS / "sql" / revision
    run(revision, *(script.name for script in sorted(folder.glob("[0-9]*.sql"))))


def run(revision: str, *names: str) -> None:
    """Run scripts of a revision; a way down may so bring an earlier definition back."""
    for name in names:
        _execute(_read(revision, name))
    _execute(_WITHHOLD)


def restore(revision: str, name: str, *routines: str) -> None:
    """Give routines the definitions that a script of an earlier revision gave them.

    Raises `LookupError` for a routine that the script does not define.
    """
    script = _read(revision, name)
    for routine in routines:
        pattern = rf"^CREATE (?:OR REPLACE )?((?:FUNCTION|PROCEDURE) {routine}\(.*?^(?:END )?\$\$;)"
        found = re.search(pattern, script, re.MULTILINE | re.DOTALL)
        if found is None:
            raise LookupError(f"{revision}/{name} does not define {routine}.")
        _execute(f"CREATE OR REPLACE {found[1]}")
    _execute(_WITHHOLD)


def _read(revision: str, name: str) -> str:
    return (MIGRATIONS / "sql" / revision / name).read_text()


def _execute(statements: str) -> None:
    connection: Any = op.get_bind().connection.driver_connection
    connection.execute(statements)


# PostgreSQL lets everybody call a new routine, also when it was granted to somebody by name.
_WITHHOLD = r"""
    DO $$
    DECLARE
        routine regprocedure;
    BEGIN
        FOR routine IN SELECT oid FROM pg_proc
            WHERE pronamespace = 'public'::regnamespace AND proname LIKE 'ledger\_%'
        LOOP
            EXECUTE format('REVOKE ALL ON ROUTINE %s FROM PUBLIC', routine);
        END LOOP;
    END $$"""
