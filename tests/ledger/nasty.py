"""Texts that formats trip over, for tests of everything that writes text."""

from __future__ import annotations

from hypothesis import strategies as st

NASTY = (
    "=1+1", "@SUM(A1)", "+47", "-5", "; comment", "a;b", "payee | note", "line\nbreak", "\r\n",
    "tab\tseparated", "two  spaces", "(SAL/2026/1)", "* cleared", "! pending", '"quoted"', "back\\",
    '\\"', "date:2026-01-01", "[2026-01-01]", "Expenses:Food  NOK 5.00", "include /etc/passwd",
    "comment", "end comment", "\u2028", "\u2029", "\u00a0\u00a0", "ÆØÅ æøå",
    "#tag ^link", "~ monthly", "P 2026-01-01", "a,b", "'", "",
)  # fmt: skip
# What is refused by now; books that are in use may hold it.
STEERING = ("\u202eabc", "\x0b\x0c\x1c\x85")

# What a name in the books may be of: no control characters, and nothing that turns a direction.
LETTERS = st.characters(
    exclude_categories=["Cs", "Cc"],
    exclude_characters="\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
)

# Any text a journal may hold: Unicode without NUL and without halves of surrogate pairs.
TEXTS = st.one_of(
    st.sampled_from(NASTY + STEERING),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40),
    st.lists(st.sampled_from(NASTY), min_size=2, max_size=4).map("".join),
)
