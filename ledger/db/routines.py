"""The functions of the database as the migrations wrote them: what they must still say."""

import re
from collections.abc import Mapping
from functools import lru_cache

from ledger.db.migrate import MIGRATIONS, history

_DEFINED = re.compile(
    r"^CREATE (?:OR REPLACE )?(?:FUNCTION|PROCEDURE) (\w+)\(.*?AS \$\$(.*?)\$\$;",
    re.MULTILINE | re.DOTALL,
)


@lru_cache(maxsize=1)
def written_routines() -> Mapping[str, str]:
    """Give the body of each function and procedure by name, as the newest revision has it."""
    found: dict[str, str] = {}
    for revision in history():
        for script in sorted((MIGRATIONS / "sql" / revision).glob("[0-9]*.sql")):
            found |= _DEFINED.findall(script.read_text())
    return found
