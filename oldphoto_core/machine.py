"""What this machine is, and how its cores and memory are best used; loads nothing heavy."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from pathlib import Path


def usable_cores() -> int:
    """Gives the processor cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads_for(workers: int = 1, *, cores: int | None = None) -> int:
    """Gives the threads that each of so many workers computes with, so that they do not fight over cores."""
    return max(1, (usable_cores() if cores is None else cores) // max(1, workers))


def set_threads(threads: int) -> None:
    """Sets the threads of this process, of PyTorch and of OpenCV alike."""
    import cv2
    import torch

    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)


def own_threads() -> int:
    """Gives the threads that this process may compute with: what `set_threads` said, else one a core."""
    import cv2

    return max(1, cv2.getNumThreads())


LARGE_PAGES = {"THP_MEM_ALLOC_ENABLE": "1"}
"""What has PyTorch ask Linux for pages of 2 MB for large tensors: a tenth to a quarter less time on a CPU, spent on
page faults."""


def use_large_pages() -> None:
    """Asks for large pages unless the environment says otherwise; of use only before a process's first tensor."""
    for name, value in LARGE_PAGES.items():
        os.environ.setdefault(name, value)


def processor() -> tuple[str, ...]:
    """Gives the processor's name, and what tells it from others of that name."""
    wanted = ("model name", "cpu family", "model", "stepping", "flags", "Features", "CPU part")
    with suppress(OSError):
        first = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("\n\n")[0]
        lines = [line.partition(":") for line in first.splitlines()]
        fields = {name.strip(): value.strip() for name, _, value in lines}
        if found := [fields[name] for name in wanted if name in fields]:
            return tuple(found)
    return (platform.processor() or platform.machine(),)


def resident_bytes() -> int:
    """Gives the memory that this process holds now; 0 where the system does not tell."""
    with suppress(OSError, ValueError, IndexError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return 0
