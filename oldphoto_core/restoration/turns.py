"""Threads that share a GPU: what they ask of a network at the same time, and of the same size, is computed together.

Nobody waits for company: while one batch is computed, requests gather, and the next whose turn it is takes those along
that are like its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Request = TypeVar("Request")
Answer = TypeVar("Answer")


@dataclass(eq=False)
class _Asked(Generic[Request, Answer]):
    request: Request
    kind: Hashable
    weight: int
    answers: list[Answer] | None = None
    error: BaseException | None = None

    @property
    def is_done(self) -> bool:
        return self.answers is not None or self.error is not None


class Turns(Generic[Request, Answer]):
    """Computes requests of many threads, one batch at a time."""

    def __init__(self, compute: Callable[[Sequence[Request]], Sequence[Answer]], *, most: int) -> None:
        """Takes what computes.

        Args:
            compute: gives the answers of requests of one kind, in order.
            most: weights of a batch are no more than this together; a single request may be heavier.
        """
        self._compute, self._most = compute, most
        self._waiting: list[_Asked[Request, Answer]] = []
        self._listing, self._turn = threading.Lock(), threading.Lock()

    def ask(self, request: Request, *, kind: Hashable, weight: int) -> Answer:
        """Gives the answer to a request, computed alone or with others of its kind.

        Raises:
            Exception: whatever computing it raised; where a batch fails, each of its requests is tried alone.
        """
        mine = _Asked[Request, Answer](request, kind, weight)
        with self._listing:
            self._waiting.append(mine)
        with self._turn:
            if not mine.is_done:
                self._answer(self._with_company(mine))
        if mine.error is not None:
            raise mine.error
        assert mine.answers is not None
        return mine.answers[0]

    def _with_company(self, mine: _Asked[Request, Answer]) -> list[_Asked[Request, Answer]]:
        with self._listing:
            together, weight = [mine], mine.weight
            for other in self._waiting:
                if other is not mine and other.kind == mine.kind and weight + other.weight <= self._most:
                    together.append(other)
                    weight += other.weight
            self._waiting = [asked for asked in self._waiting if asked not in together]
        return together

    def _answer(self, together: list[_Asked[Request, Answer]]) -> None:
        try:
            answers = self._compute([asked.request for asked in together])
        except BaseException as error:
            if len(together) == 1 or not isinstance(error, Exception):
                for asked in together:
                    asked.error = error
                return
        else:
            for asked, answer in zip(together, answers, strict=True):
                asked.answers = [answer]
            return
        for asked in together:  # together they may have been too much for the memory
            self._answer([asked])
