"""The page that says what a tariff file may hold, made from its schema."""

from collections.abc import Iterator, Mapping
from typing import Any

_HEAD = """# The tariff file

Made by `hovedbok docs tariff` from what the program reads. The same for programs and editors is
[tariff.schema.json](tariff.schema.json) (JSON Schema, draft 2020-12), which `hovedbok rating
schema` prints. What prices and allowances do is in [pricing.md](pricing.md).

A tariff is a text file in TOML. Amounts are texts with a point and at most six decimals
(`price = "0.89"`), never numbers: computers round those. Days are written `2026-01-01`, times of
the day `"08:00"`. A key that is not listed here is refused, so a misspelt one never becomes a
default. A file is one version of a tariff: it is in force from its `valid_from` until the next
version of its `name` is, and it never changes; a changed tariff is a new version.

`hovedbok rating check FILE` tells every fault of a file at once, with its line and key, and what
would be right; `--books` also holds it against the VAT codes, the posting rules and the versions
that are loaded. Gaps are told beside, and are no faults: times without a price, allowances that
nothing draws on. Editors with TOML support check while one writes, by a first line such as
`#:schema tariff.schema.json`.
"""
_TYPES = {"string": "text", "integer": "integer", "boolean": "true or false", "array": "list"}


def tariff_page(schema: Mapping[str, Any]) -> str:
    """Lay out the page: a table of keys for the file, and one for each of its tables."""
    return "".join((_HEAD, *_sections("", schema)))


def _sections(path: str, table: Mapping[str, Any]) -> Iterator[str]:
    title = f"`[[{path}]]`" if path else "The file"
    yield f"\n## {title}\n\n| key | what | default | meaning |\n| --- | --- | --- | --- |\n"
    inner = {}
    for key, terms in table["properties"].items():
        if terms.get("items", {}).get("type") == "object":
            inner[key] = terms["items"]
            yield f"| `[[{f'{path}.' if path else ''}{key}]]` | tables | none |"
        else:
            yield f"| `{key}` | {_what(terms)} | {_default(key, terms, table)} |"
        yield f" {terms.get('description', '')} |\n"
    for rule in table.get("allOf", ()):
        (kind, ways), *_ = rule.items()
        keys = [f"`{key}`" for way in ways for key in way["required"]]
        said = "Exactly one of" if kind == "oneOf" else "At least one of"
        yield f"\n{said} {' and '.join(keys)} is needed.\n"
    for key, below in inner.items():
        yield from _sections(f"{path}.{key}" if path else key, below)


def _what(terms: Mapping[str, Any]) -> str:
    if words := terms.get("enum"):
        return ", ".join(f"`{word}`" for word in words)
    if "anyOf" in terms:
        return "text, or a list of them"
    if terms["type"] == "array":
        return f"list of {_what(terms['items'])}"
    if terms["type"] == "integer":
        return f"integer, {terms['minimum']} to {terms['maximum']}"
    if terms.get("format") == "date":
        return "date"
    shown = "".join(f', `"{example}"`' for example in terms.get("examples", ()))
    return f"{_TYPES[terms['type']]}{shown}"


def _default(key: str, terms: Mapping[str, Any], table: Mapping[str, Any]) -> str:
    if key in table["required"]:
        return "needed"
    if "default" not in terms:
        return "none"
    default = terms["default"]
    written = f'"{default}"' if isinstance(default, str) else str(default)
    return f"`{written.lower() if isinstance(default, bool) else written}`"
