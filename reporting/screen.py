"""Lists as lines of text for a terminal: columns padded, figures right, sums below a rule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    figures: Sequence[int],
    totals: Sequence[Sequence[str]] = (),
) -> Iterator[str]:
    """Give the lines of a table.

    Parameters
    ----------
    headings, rows, totals : texts, each row as long as the headings.
    figures : positions of the columns that are aligned to the right.

    Yields
    ------
    The heading, a rule, the rows and, where there are totals, a rule and the totals.
    """
    shown = [headings, *rows, *totals]
    widths = [max(len(row[column]) for row in shown) for column in range(len(headings))]
    right = frozenset(figures)

    def line(row: Sequence[str]) -> str:
        cells = (
            text.rjust(widths[column]) if column in right else text.ljust(widths[column])
            for column, text in enumerate(row)
        )
        return "  ".join(cells).rstrip()

    rule = "  ".join("─" * width for width in widths)
    yield line(headings)
    yield rule
    yield from (line(row) for row in rows)
    if totals:
        yield rule
        yield from (line(row) for row in totals)
