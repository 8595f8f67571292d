"""One way to write a JSON document: what is hashed today must hash the same for ever."""

import json
from collections.abc import Mapping
from typing import Any


def canonical_json(content: Mapping[str, Any]) -> bytes:
    """Write a document with sorted keys and without spaces, as UTF-8.

    >>> canonical_json({"b": "ø", "a": [1]}).decode()
    '{"a":[1],"b":"ø"}'
    """
    return json.dumps(
        content, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    ).encode()  # fmt: skip
