"""Every key of a TOML file is found on its line, however it is written."""

from __future__ import annotations

import time
import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rating.toml_lines import lines_of_keys

ODD = '''# [[a]] in a comment
a = 1  # = 2
"quoted.key" = 'a # b'
b.c.d = [ # ]
  "x ] \\" y", 'z',
  [1, {e = 2}],
]
text = """
[[no.table]]
f = 1 \\"""
"""
raw = \'\'\'
g = "
\'\'\'
[h]
i = {j = 1, k = 2}
[[h.l]]
m = 2026-01-01
  [[h.l.n]]
  o = "p"
  [h.l.n.q]
  r = 1
[[h.l]]
  [[h.l.n]]
  o = 1'''


def test_odd_files_are_walked() -> None:
    """Strings, brackets and comments hide nothing and show nothing that is not there."""
    tomllib.loads(ODD)
    assert lines_of_keys(ODD) == {
        "a": 2, "quoted.key": 3, "b.c.d": 4, "text": 8, "raw": 12, "h": 15, "h.i": 16,
        "h.l": 17, "h.l[1]": 17, "h.l[1].m": 18, "h.l[1].n": 19, "h.l[1].n[1]": 19,
        "h.l[1].n[1].o": 20, "h.l[1].n[1].q": 21, "h.l[1].n[1].q.r": 22, "h.l[2]": 23,
        "h.l[2].n": 24, "h.l[2].n[1]": 24, "h.l[2].n[1].o": 25,
    }  # fmt: skip


def test_a_long_file_costs_what_its_length_says() -> None:
    """Lines are counted on from statement to statement, not from the top for each."""
    source = "".join(f'[[zone]]\nid = "Z{n}"\nprefixes = ["8{n}"]\n' for n in range(10_000))
    begun = time.process_time()
    assert lines_of_keys(source)["zone[10000].prefixes"] == 30_000
    assert time.process_time() - begun < 5


def walked(content: dict[str, Any], path: str = "") -> set[str]:
    """Name every key and table of a parsed file that stands on a line of its own."""
    found = set()
    for key, value in content.items():
        found.add(f"{path}{key}")
        if isinstance(value, list) and value and isinstance(value[0], dict):
            for number, table in enumerate(value, 1):
                found |= {f"{path}{key}[{number}]"} | walked(table, f"{path}{key}[{number}].")
    return found


NAMES = st.sampled_from(["a", "b", "c-d"])
VALUES = st.sampled_from(["1", '"[[x]]"', "'#'", "[\n1, # ]\n2]", '"""\n=\n"""', "{a = 1}"])


@given(st.lists(st.tuples(st.integers(0, 2), st.dictionaries(NAMES, VALUES)), max_size=6))
def test_the_keys_that_are_found_are_those_that_the_parser_finds(
    tables: list[tuple[int, dict[str, str]]],
) -> None:
    """Over random files of tables in tables, with values that look like something else."""
    source, depth = "", 0
    for wanted, pairs in tables:
        depth = min(wanted, depth) + 1
        source += f"[[{'.'.join(['t', 'u', 'v'][:depth])}]]\n"
        source += "".join(f"{key} = {value}\n" for key, value in pairs.items())
    lines = source.splitlines()
    found = lines_of_keys(source)
    assert set(found) == walked(tomllib.loads(source))
    for key, line in found.items():
        name = key.rpartition(".")[2].partition("[")[0]
        assert name in lines[line - 1]
