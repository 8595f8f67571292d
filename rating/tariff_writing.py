"""A tariff file written anew: every key in the order of the format, without comments.

It is written from what was parsed, so it says the same and has the same content hash.
"""

import json
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from rating.tariff_schema import tariff_schema


def rewrite(source: str) -> str:
    """Write a sound tariff file anew: tables indented, keys in the order of the schema."""
    return write(tomllib.loads(source))


def write(content: Mapping[str, Any]) -> str:
    """Write the content of a tariff file, as TOML or JSON was parsed."""
    return "\n".join(_table(content, tariff_schema(), "")) + "\n"


def _table(content: Mapping[str, Any], schema: Mapping[str, Any], path: str) -> Iterator[str]:
    indent = "  " * max(path.count("."), 0)
    known = list(schema["properties"])
    keys = sorted(content, key=known.index)
    tables = [key for key in keys if _is_tables(content[key])]
    for key in keys:
        if key not in tables:
            yield f"{indent}{key} = {_value(content[key])}"
    for key in tables:
        below = f"{path}.{key}" if path else key
        for one in content[key]:
            if not path:
                yield ""
            yield f"{'  ' * below.count('.')}[[{below}]]"
            yield from _table(one, schema["properties"][key]["items"], below)


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, date):
        return value.isoformat()
    # JSON and TOML write texts alike, but for one character that TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
