"""On which line each key of a TOML file stands.

The parser of the standard library tells no lines. This reads a file that it has found to be sound,
so it need not judge: it walks statements, and skips over values by their brackets and quotes.
"""

import re
from collections.abc import Iterator

_BLANK = re.compile(r"(?:\s|#[^\n]*)*")
_PART = re.compile(r"[ \t]*(?:\"((?:[^\"\\\n]|\\.)*)\"|'([^'\n]*)'|([A-Za-z0-9_-]+))[ \t]*")
_STRING = re.compile(
    r"\"\"\"(?:[^\\]|\\.)*?\"{3,5}|'''.*?'{3,5}|\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'", re.DOTALL
)
_COMMENT = re.compile(r"#[^\n]*")
_OPEN, _CLOSE = "[{", "]}"


def lines_of_keys(source: str) -> dict[str, int]:
    r"""Give the line of every key and table of a sound TOML file, counted from one.

    Keys are written as `offering[2].rate[1].price`; tables of a list are counted from one. What
    stands inside an inline table or list is on the line of the key that holds it.

    >>> lines_of_keys('a = 1\n[[b]]\nc = 2\n[[b.d]]\n[[b]]\n')
    {'a': 1, 'b': 2, 'b[1]': 2, 'b[1].c': 3, 'b[1].d': 4, 'b[1].d[1]': 4, 'b[2]': 5}
    """
    found: dict[str, int] = {}
    counts: dict[str, int] = {}
    table, line, counted = "", 1, 0
    for at, parts, header in _statements(source):
        line, counted = line + source.count("\n", counted, at), at
        if not header:
            found.setdefault(".".join((*filter(None, (table,)), *parts)), line)
            continue
        table = _table(parts, header == "[[", counts)
        found.setdefault(re.sub(r"\[\d+\]$", "", table), line)
        found.setdefault(table, line)
    return found


def _table(parts: list[str], is_list: bool, counts: dict[str, int]) -> str:
    """Name the table that a header opens; a list of tables gets one more."""
    path = ""
    for place, part in enumerate(parts):
        path = f"{path}.{part}" if path else part
        if is_list and place == len(parts) - 1:
            counts[path] = counts.get(path, 0) + 1
        if path in counts:
            path = f"{path}[{counts[path]}]"
    return path


def _statements(source: str) -> Iterator[tuple[int, list[str], str]]:
    """Walk the file: where a statement begins, the parts of its key, and "[" or "[[" of a table."""
    at = _past(_BLANK, source, 0)
    while at < len(source):
        begin = at
        header = "[[" if source.startswith("[[", at) else "[" if source[at] == "[" else ""
        parts, at = _key(source, at + len(header))
        yield begin, parts, header
        at = at + len(header) if header else _past_value(source, at + 1)
        at = _past(_BLANK, source, at)


def _key(source: str, at: int) -> tuple[list[str], int]:
    parts = []
    while match := _PART.match(source, at):
        parts.append(next(group for group in match.groups() if group is not None))
        at = match.end()
        if source[at : at + 1] != ".":
            break
        at += 1
    return parts, at


def _past_value(source: str, at: int) -> int:
    """Find the end of a value: the end of the line on which all its brackets are closed."""
    depth = 0
    while at < len(source):
        if match := _STRING.match(source, at):
            at = match.end()
            continue
        character = source[at]
        if character == "#":
            at = _past(_COMMENT, source, at)
            continue
        if character == "\n" and not depth:
            return at
        depth += (character in _OPEN) - (character in _CLOSE)
        at += 1
    return at


def _past(pattern: re.Pattern[str], source: str, at: int) -> int:
    match = pattern.match(source, at)
    return match.end() if match else at
