"""Threads that share a network: what is asked together is computed together, and answered as if alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from oldphoto_core import Restorer
from oldphoto_core.restoration.turns import Turns


class Doubling:
    """Doubles numbers, remembers its batches, and does not begin before it is told to."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.may_begin = threading.Event()

    def __call__(self, numbers: Sequence[int]) -> list[int]:
        self.may_begin.wait(10)
        self.batches.append(list(numbers))
        if -1 in numbers:
            raise ValueError("no negative numbers")
        return [2 * number for number in numbers]


def ask_all(turns: Turns[int, int], doubling: Doubling, numbers: list[int]) -> list[int | Exception]:
    """Asks from a thread each, all of them before the first is answered."""

    def ask(number: int) -> int | Exception:
        try:
            return turns.ask(number, kind=number >= 100, weight=1)
        except ValueError as error:
            return error

    with ThreadPoolExecutor(len(numbers)) as pool:
        coming = [pool.submit(ask, number) for number in numbers]
        while sum(len(batch) for batch in doubling.batches) + len(turns._waiting) < len(numbers) - 1:
            time.sleep(0.001)  # until the first took its turn, and the others are in the list
        doubling.may_begin.set()
        return [future.result() for future in coming]


def test_requests_of_a_kind_that_gather_are_one_batch_and_no_larger_than_allowed() -> None:
    doubling = Doubling()
    turns = Turns(doubling, most=3)
    numbers = [1, 2, 3, 4, 5, 100, 101]
    assert ask_all(turns, doubling, numbers) == [2 * number for number in numbers]
    assert sorted(number for batch in doubling.batches for number in batch) == numbers
    assert max(map(len, doubling.batches)) <= 3
    assert len(doubling.batches) < len(numbers)
    assert all(len({number >= 100 for number in batch}) == 1 for batch in doubling.batches)


def test_one_that_fails_fails_alone() -> None:
    doubling = Doubling()
    first, *others = ask_all(Turns(doubling, most=9), doubling, [-1, 2, 3, 4])
    assert isinstance(first, ValueError)
    assert others == [4, 6, 8]


def test_photos_restored_together_come_out_as_alone() -> None:
    """The packaged networks, with tiles of four photos in a batch; each keeps its own tone."""
    restorer = Restorer.from_release(device="cpu", precision="float32", tile_px=96)
    photos = [
        np.random.default_rng(seed).integers(20 + 20 * seed, 120 + 30 * seed, (96, 112, 3)).astype(np.uint8)
        for seed in range(4)
    ]
    alone = [restorer.restore(photo).image for photo in photos]
    restorer._networks.share()
    with ThreadPoolExecutor(4) as pool:
        together = [result.image for result in pool.map(restorer.restore, photos * 4)]
    for one, other in zip(alone * 4, together, strict=True):
        assert np.abs(one.astype(int) - other).max() <= 1
    assert restorer._networks.largest_batch > 1


@pytest.mark.parametrize("threads", [8])
def test_many_threads_and_many_requests_all_get_their_own_answers(threads: int) -> None:
    turns: Turns[int, int] = Turns(lambda numbers: [number + 1 for number in numbers], most=4)
    with ThreadPoolExecutor(threads) as pool:
        answers = list(pool.map(lambda number: turns.ask(number, kind=number % 3, weight=1), range(2_000)))
    assert answers == list(range(1, 2_001))
