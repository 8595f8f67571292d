"""Merging: what many threads ask at once is done as one piece of work, by one of them.

There is no thread of its own and no waiting for company: the first comer does its work at once,
whoever comes meanwhile waits, and the next of them does the work of all who wait. Alone, a caller
pays nothing; among many, the fixed cost of a piece of work is shared. Flat combining: Hendler,
Incze, Shavit and Tzafrir, SPAA 2010.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from threading import Event, Lock
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Answered = TypeVar("Answered")


class _Ticket(Generic[Asked, Answered]):
    """A place in the queue: woken either with an outcome or to lead."""

    __slots__ = ("asked", "is_done", "outcome", "woken")

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.is_done = False
        self.outcome: Answered | BaseException | None = None
        self.woken = Event()


class Merger(Generic[Asked, Answered]):
    """One piece of work for all who ask while the last one is being done.

    Parameters
    ----------
    do : does the work for all, and gives one outcome for each, in order; an exception among them
        is raised at whoever asked for it. What it raises itself is raised at everyone.
    weigh : how much one request weighs.
    most, most_weight : how many requests, and what weight, are merged; one always goes.
    observe : told how many were merged, each time.
    """

    def __init__(
        self,
        do: Callable[[Sequence[Asked]], Sequence[Answered | Exception]],
        *,
        weigh: Callable[[Asked], int] = lambda _: 1,
        most: int = 500,
        most_weight: int = 3_000,
        observe: Callable[[int], object] = lambda _: None,
    ) -> None:
        self._do = do
        self._weigh = weigh
        self._most = most
        self._most_weight = most_weight
        self._observe = observe
        self._lock = Lock()
        self._waiting: deque[_Ticket[Asked, Answered]] = deque()
        self._is_led = False

    def ask(self, asked: Asked) -> Answered:
        """Have it done, alone or among others; returns its own answer or raises its own refusal."""
        ticket: _Ticket[Asked, Answered] = _Ticket(asked)
        with self._lock:
            self._waiting.append(ticket)
            leads, self._is_led = not self._is_led, True
        if not leads:
            ticket.woken.wait()
        if not ticket.is_done:
            self._lead()
        outcome = ticket.outcome
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome  # type: ignore[return-value]

    def _lead(self) -> None:
        """Do the work of those at the head of the queue, then wake them and whoever leads next."""
        taken = self._take()
        try:
            outcomes = self._do_all(taken)
        except BaseException as fault:  # noqa: BLE001 - raised at everyone, the leader included
            outcomes = [fault] * len(taken)
        self._hand_over()
        for ticket, outcome in zip(taken, outcomes, strict=True):
            ticket.outcome, ticket.is_done = outcome, True
            ticket.woken.set()

    def _do_all(
        self, taken: Sequence[_Ticket[Asked, Answered]]
    ) -> Sequence[Answered | BaseException]:
        self._observe(len(taken))
        outcomes = self._do([ticket.asked for ticket in taken])
        if len(outcomes) != len(taken):
            raise RuntimeError(f"{len(taken)} asked, {len(outcomes)} answered.")
        return outcomes

    def _take(self) -> list[_Ticket[Asked, Answered]]:
        taken: list[_Ticket[Asked, Answered]] = []
        weight = 0
        with self._lock:
            while self._waiting and len(taken) < self._most:
                weight += self._weigh(self._waiting[0].asked)
                if taken and weight > self._most_weight:
                    break
                taken.append(self._waiting.popleft())
        return taken

    def _hand_over(self) -> None:
        with self._lock:
            self._is_led = bool(self._waiting)
            if self._waiting:
                self._waiting[0].woken.set()
