"""Merging: the first comer works for all who wait, everyone gets their own outcome."""

from __future__ import annotations

import time
from collections.abc import Sequence
from threading import Event, Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.merging import Merger


class Gate:
    """Work that the test lets through: doubles numbers, refuses odd ones, breaks at 13."""

    def __init__(self) -> None:
        self.entered, self.open = Event(), Event()
        self.pieces: list[list[int]] = []

    def __call__(self, asked: Sequence[int]) -> list[int | Exception]:
        """Note what came together, and wait for the test."""
        self.pieces.append(list(asked))
        self.entered.set()
        assert self.open.wait(10)
        if 13 in asked:
            raise OSError("broken")
        return [ValueError(number) if number % 2 else 2 * number for number in asked]


def ask_all(merger: Merger[int, int], numbers: Sequence[int]) -> dict[int, int | str]:
    """Ask from one thread each, in order; give what each got, or what was raised at it."""
    outcomes: dict[int, int | str] = {}

    def ask(place: int, number: int) -> None:
        try:
            outcomes[place] = merger.ask(number)
        except (ValueError, OSError) as refusal:
            outcomes[place] = str(refusal)

    threads = [Thread(target=ask, args=pair) for pair in enumerate(numbers)]
    for count, thread in enumerate(threads):
        thread.start()
        deadline = time.monotonic() + 10
        while count and len(merger._waiting) < count:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        if not count:
            assert merger._do.entered.wait(10)  # type: ignore[attr-defined]
    merger._do.open.set()  # type: ignore[attr-defined]
    for thread in threads:
        thread.join(10)
    return outcomes


def test_those_who_wait_are_done_together() -> None:
    """One works alone, the rest as one piece; each gets its own answer or refusal."""
    gate, sizes = Gate(), []
    merger: Merger[int, int] = Merger(gate, observe=sizes.append)
    outcomes = ask_all(merger, [2, 4, 5, 6])
    assert outcomes == {0: 4, 1: 8, 2: "5", 3: 12}
    assert (gate.pieces, sizes) == ([[2], [4, 5, 6]], [1, 3])
    assert merger.ask(8) == 16
    assert gate.pieces[-1] == [8]


def test_a_broken_piece_breaks_for_its_own_only() -> None:
    """What the work raises reaches everyone in it; the next piece is led and done."""
    gate = Gate()
    merger: Merger[int, int] = Merger(gate, most=2)
    outcomes = ask_all(merger, [2, 4, 13, 6, 8])
    assert outcomes == {0: 4, 1: "broken", 2: "broken", 3: 12, 4: 16}
    assert gate.pieces == [[2], [4, 13], [6, 8]]


def test_work_that_forgets_somebody_is_a_fault() -> None:
    """Nobody waits for ever for an outcome that does not come."""
    merger: Merger[int, int] = Merger(lambda _: [])
    with pytest.raises(RuntimeError, match="1 asked, 0 answered"):
        merger.ask(1)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=40), st.integers(1, 5), st.integers(1, 9))
def test_pieces_keep_order_and_limits(weights: list[int], most: int, most_weight: int) -> None:
    """Everyone is taken once, in order; only what is alone may weigh more than a piece."""
    merger: Merger[int, int] = Merger(list, weigh=int, most=most, most_weight=most_weight)
    tickets = []
    for weight in weights:
        thread_free = type("Ticket", (), {"asked": weight})()
        tickets.append(thread_free)
        merger._waiting.append(thread_free)  # type: ignore[arg-type]
    pieces = []
    while merger._waiting:
        pieces.append(merger._take())
    assert [ticket for piece in pieces for ticket in piece] == tickets
    for piece in pieces:
        weight = sum(ticket.asked for ticket in piece)
        assert 1 <= len(piece) <= most
        assert weight <= most_weight or len(piece) == 1
