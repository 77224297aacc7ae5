"""Several GPUs on one machine (or, to try it, several processes on a CPU): one process each, gradients averaged.

The calling process is the leader, rank 0, and keeps what belongs to a run: judging, checkpoints, progress. It starts
the others, which see the same weights and other crops. Gradients are averaged after `backward`, which works alike for
stages with one network and for those with adversaries; each process has its own `batch`, so N of them see N batches a
step. All functions do nothing where there is one process.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import distributed, nn

from oldphoto_core.errors import TrainingError

Result = TypeVar("Result")

PATIENCE = timedelta(hours=1)
"""How long processes wait for one another: the leader judges and saves while the others wait."""


def rank() -> int:
    """Gives this process's number, 0 for the leader."""
    return distributed.get_rank() if _several() else 0


def leading() -> bool:
    """Whether this process judges and saves."""
    return rank() == 0


def purpose(name: str) -> str:
    """Gives the name under which this process draws its own random numbers; the leader's is that of a lone process."""
    return name if leading() else f"{name}/process {rank()}"


def own_device(device: torch.device) -> torch.device:
    """Gives this process's GPU; on a CPU the device that was asked for."""
    return torch.device("cuda", rank()) if device.type == "cuda" and _several() else device


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replaces gradients by their mean over all processes."""
    if not _several():
        return
    _average([p.grad for p in parameters if p.grad is not None])


def share_buffers(networks: Mapping[str, nn.Module]) -> None:
    """Replaces running statistics by their mean over all processes, so that all judge by the same."""
    if _several():
        _average([b for network in networks.values() for b in network.buffers() if b.is_floating_point()])


def share_weights(networks: Iterable[nn.Module]) -> None:
    """Gives every process the leader's weights."""
    if not _several():
        return
    with torch.no_grad():
        for network in networks:
            for value in network.state_dict().values():
                sent = value.contiguous()
                distributed.broadcast(sent, 0)
                value.copy_(sent)


def agreed(share: float, stop: bool, device: torch.device) -> tuple[float, bool]:
    """Gives the leader's share of the budget, and whether any process was asked to stop."""
    if not _several():
        return share, stop
    word = torch.tensor([share if leading() else 0.0, float(stop)], dtype=torch.float64, device=device)
    distributed.all_reduce(word)
    return float(word[0]), bool(word[1] > 0)


def wait_for_all() -> None:
    """Goes on when every process has come here."""
    if _several():
        distributed.barrier()


def together(
    lead: Callable[[], Result], follow: Callable[..., Any], arguments: tuple[Any, ...], *, processes: int, cuda: bool
) -> Result:
    """Runs `lead` here and `follow(*arguments)` in `processes - 1` new processes, all of one group.

    Args:
        lead: what this process does; its result is given.
        follow: a function of a module, for the others; they draw their own random numbers.
        arguments: its arguments, picklable; tensors on the CPU are shared, not copied.
        processes: how many in all.
        cuda: a GPU each; else all on the CPU.

    Raises:
        TrainingError: there are fewer GPUs than processes.
    """
    if processes == 1:
        return lead()
    if cuda and torch.cuda.device_count() < processes:
        raise TrainingError(f"{processes} GPUs were asked for, this machine has {torch.cuda.device_count()}")
    context = torch.multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="oldphoto-train-") as folder:
        meeting = Path(folder) / "meeting"
        others = [
            context.Process(target=_followed, args=(number, processes, meeting, cuda, follow, arguments), daemon=True)
            for number in range(1, processes)
        ]
        for other in others:
            other.start()
        try:
            with _Group(0, processes, meeting, cuda=cuda):
                return lead()
        finally:
            for other in others:
                other.join(timeout=20)
                if other.is_alive():
                    other.terminate()
                    other.join()


class _Group:
    """Joins the group of processes, and leaves it."""

    def __init__(self, number: int, processes: int, meeting: Path, *, cuda: bool):
        self._number, self._processes, self._meeting, self._cuda = number, processes, meeting, cuda

    def __enter__(self) -> None:
        if self._cuda:
            torch.cuda.set_device(self._number)
        distributed.init_process_group(
            "nccl" if self._cuda else "gloo",
            init_method=self._meeting.as_uri(),
            rank=self._number,
            world_size=self._processes,
            timeout=PATIENCE,
        )

    def __exit__(self, *_: object) -> None:
        distributed.destroy_process_group()


def _followed(
    number: int, processes: int, meeting: Path, cuda: bool, follow: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    """What a process besides the leader runs."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    with _Group(number, processes, meeting, cuda=cuda):
        follow(*arguments)


def _end_with(leader: int) -> None:
    """Ends this process when its leader is gone: it would wait an hour for gradients that never come."""
    while os.getppid() == leader:
        time.sleep(1)
    os._exit(1)


def _several() -> bool:
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def _average(tensors: list[torch.Tensor]) -> None:
    """Averages tensors over all processes, in one message."""
    if not tensors:
        return
    flat = torch.cat([tensor.detach().float().reshape(-1) for tensor in tensors])
    distributed.all_reduce(flat)
    flat /= distributed.get_world_size()
    with torch.no_grad():
        for tensor, mean in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(mean.view_as(tensor))
