"""What the migrations make of each table of the books, written down: what verify compares with.

`hovedbok db catalogue` writes it anew after a migration; a test refuses one that is out of date.
"""

import json
from collections.abc import Mapping
from functools import lru_cache

from ledger.db.migrate import MIGRATIONS

# Of a table, of a kind (column, default, constraint, index), by name: the definition.
Catalogue = Mapping[str, Mapping[str, Mapping[str, str]]]

WRITTEN = MIGRATIONS / "catalogue.json"


@lru_cache(maxsize=1)
def written_catalogue() -> Catalogue:
    """Give what the newest revision makes, as it was written down."""
    found: Catalogue = json.loads(WRITTEN.read_text("utf-8"))
    return found


def written_as(found: Catalogue) -> str:
    """Give the text that is written down, the same for the same tables."""
    return json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
