"""What is known of the machine, and what is asked of it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from oldphoto_core.machine import own_threads, processor, set_threads, threads_for, usable_cores


@pytest.mark.parametrize(("workers", "threads"), [(1, 8), (2, 4), (3, 2), (8, 1), (20, 1), (0, 8)])
def test_workers_share_the_cores_out(workers: int, threads: int) -> None:
    assert threads_for(workers, cores=8) == threads


def test_large_pages_are_asked_for_unless_the_user_said_otherwise() -> None:
    program = (
        "import os; from oldphoto_core.machine import use_large_pages; use_large_pages();"
        "print(os.environ['THP_MEM_ALLOC_ENABLE'])"
    )
    for given, expected in (({}, "1"), ({"THP_MEM_ALLOC_ENABLE": "0"}, "0")):
        environment = {name: value for name, value in os.environ.items() if name != "THP_MEM_ALLOC_ENABLE"} | given
        done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
        assert done.stdout.strip() == expected, done.stderr


def test_the_threads_of_both_libraries_are_set() -> None:
    import cv2
    import torch

    before = torch.get_num_threads(), cv2.getNumThreads()
    try:
        set_threads(1)
        assert (torch.get_num_threads(), cv2.getNumThreads()) == (1, 1)
        assert own_threads() == 1
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def test_this_machine_has_a_processor_with_cores() -> None:
    assert usable_cores() >= 1 and threads_for(1) == usable_cores()
    assert processor()[0]
