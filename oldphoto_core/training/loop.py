"""The one training loop. Every stage is trained by `train`; what differs between stages is their `step`."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import nn

from oldphoto_core.errors import TrainingError
from oldphoto_core.training.batches import CropSource
from oldphoto_core.training.checkpoint import (
    CHECKPOINT,
    WEIGHTS,
    Checkpoint,
    WeightAverage,
    load_release_weights,
    save_weights,
    write_json,
)
from oldphoto_core.training.curves import Curves
from oldphoto_core.training.optimisers import current_rate, set_rates
from oldphoto_core.training.progress import ProgressLine
from oldphoto_core.training.schedule import Budget, Clock, seeded

_LOG = logging.getLogger(__name__)

Network = TypeVar("Network", bound=nn.Module)

PATIENCE = 20
"""Steps in a row with a gradient that is not finite before a run gives up."""


class Stage(Protocol):
    """What the loop trains: networks, optimisers, and one step."""

    name: str
    """Names the stage's folder in the run folder."""
    settings: Mapping[str, Any]
    """What a resumed run must share with its beginning."""
    networks: Mapping[str, nn.Module]
    """Networks that are averaged, judged and exported."""
    critics: Mapping[str, nn.Module]
    """Networks that only help in training: discriminators. Kept in checkpoints."""
    optimisers: Mapping[str, torch.optim.Optimizer]
    sources: Sequence[CropSource]
    """Where crops come from; the loop reads their timings and closes them."""
    score: str | None
    """The figure of `evaluate` that chooses the best weights, higher is better; None: the newest are the best."""
    device: torch.device

    def step(self, clock: Clock, generator: torch.Generator) -> tuple[dict[str, torch.Tensor], int]:
        """Does one step of every optimiser; gives the losses and the number of images seen."""
        ...

    def evaluate(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        """Gives figures of these (averaged) networks on held-out photos."""
        ...


@dataclass(frozen=True)
class RunOptions:
    """How to run a stage."""

    folder: Path
    """The run folder; the stage gets a folder of its name in it."""
    budget: Budget
    seed: int = 0
    fresh: bool = False
    """Throw away what the stage's folder holds, instead of resuming."""
    start: Path | None = None
    """A release's folder whose weights to start from; a checkpoint in the run folder goes before it."""
    checkpoint_minutes: float = 2.0
    evaluate_every: int = 250
    """Steps between two evaluations."""
    log_every: int = 20
    """Steps between two rows of the curves."""
    threads: int | None = None
    """Threads of the networks on a CPU; None: one less than there are cores, as synthesis has a thread of its own."""
    progress: bool = True


@dataclass(frozen=True)
class RunResult:
    """How a run ended."""

    folder: Path
    step: int
    elapsed_s: float
    figures: dict[str, float]
    """The last evaluation."""
    best_score: float | None
    best_step: int | None
    finished: bool
    """False where the run was asked to stop before its budget was used."""


def train(stage: Stage, options: RunOptions) -> RunResult:
    """Trains a stage until its budget is used, going on from its last checkpoint if there is one.

    With a budget in steps, a run that was killed and resumed gives the same weights as one that was not: whatever a
    step draws depends only on (seed, step), and the checkpoint holds all else. With a budget in minutes the schedule
    follows the clock, and so cannot repeat to the bit.

    Raises:
        TrainingError: the folder holds a run with other settings, or gradients stay non-finite.
    """
    folder = options.folder / stage.name
    if stage.device.type == "cpu":
        torch.set_num_threads(options.threads or max(1, (os.cpu_count() or 2) - 1))
    if options.fresh and folder.exists():
        shutil.rmtree(folder)
    average = WeightAverage(stage.networks)
    state = _resume_or_start(stage, options, folder, average)
    curves = Curves.load(folder, until_step=state.step)
    write_json(folder / "run.json", {"stage": stage.name, "settings": dict(stage.settings), "budget": options.budget})

    meter = _Meter(stage.sources)
    started = time.monotonic() - state.elapsed_s
    saved_at = time.monotonic()
    broken = 0
    figures: dict[str, float] = {}
    bar = ProgressLine(stage.name, enabled=options.progress)
    with _stop_on_signal() as stop, bar, contextlib.ExitStack() as stack:
        for source in stage.sources:
            stack.enter_context(source)
        while not stop.is_set():
            clock = options.budget.clock(state.step, time.monotonic() - started)
            if clock.share >= 1:
                break
            set_rates(stage.optimisers, clock)
            losses, images = stage.step(clock, seeded(options.seed, "step", state.step, stage.device))
            state.step += 1
            average.update(state.step)
            meter.add(losses, images)

            if state.step % options.log_every == 0:
                row = meter.row()
                broken = 0 if all(map(_finite, row.values())) else broken + options.log_every
                if broken >= PATIENCE:
                    raise TrainingError(f"{stage.name}: losses are not finite at step {state.step}: {row}; lower --lr")
                row |= {"share": clock.share, "seconds": time.monotonic() - started}
                curves.add(state.step, row | {"rate": current_rate(stage.optimisers)})
                bar.show(clock.share, state.step, row)
            if state.step % options.evaluate_every == 0:
                figures = _judge(stage, average, state, folder, curves)
                bar.note(state.step, figures)
            due = time.monotonic() - saved_at > options.checkpoint_minutes * 60
            if due and state.step % options.log_every == 0:  # so that no row of the curves is cut in two
                _save(stage, average, state, folder, curves, time.monotonic() - started)
                saved_at = time.monotonic()
        finished = not stop.is_set()
        if finished and (state.step % options.evaluate_every or not figures):
            figures = _judge(stage, average, state, folder, curves)
            bar.note(state.step, figures)
    elapsed_s = time.monotonic() - started
    _save(stage, average, state, folder, curves, elapsed_s)
    _LOG.info("%s: %d steps in %.0f s; %s", stage.name, state.step, elapsed_s, meter.bound())
    return RunResult(folder, state.step, elapsed_s, figures, state.best_score, state.best_step, finished)


def placed(network: Network, device: torch.device) -> Network:
    """Gives the network on the device, channels-last: on a CPU the detector then trains in two thirds of the time."""
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def precision(device: torch.device) -> torch.autocast:
    """Gives bf16 autocast for forward passes; norms, softmax and losses keep float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16)


def _resume_or_start(stage: Stage, options: RunOptions, folder: Path, average: WeightAverage) -> Checkpoint:
    path = folder / CHECKPOINT
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        if options.start:
            load_release_weights(options.start, stage.networks)
            load_release_weights(options.start, average.networks)
        return Checkpoint(stage.name, dict(stage.settings) | {"seed": options.seed})
    state = Checkpoint.load(path, stage.device)
    state.require_same(stage.name, dict(stage.settings) | {"seed": options.seed}, path)
    for name, network in stage.networks.items():
        network.load_state_dict(state.networks[name])
        average.networks[name].load_state_dict(state.averages[name])
    for name, critic in stage.critics.items():
        critic.load_state_dict(state.critics[name])
    for name, optimiser in stage.optimisers.items():
        optimiser.load_state_dict(state.optimisers[name])
    _LOG.info("%s: resuming at step %d, %.0f s in", stage.name, state.step, state.elapsed_s)
    return state


def _save(
    stage: Stage, average: WeightAverage, state: Checkpoint, folder: Path, curves: Curves, elapsed_s: float
) -> None:
    """Writes the checkpoint, the averaged weights and the curves."""
    state.elapsed_s = elapsed_s
    state.networks = {name: network.state_dict() for name, network in stage.networks.items()}
    state.averages = {name: network.state_dict() for name, network in average.networks.items()}
    state.critics = {name: critic.state_dict() for name, critic in stage.critics.items()}
    state.optimisers = {name: optimiser.state_dict() for name, optimiser in stage.optimisers.items()}
    curves.save(folder)
    notes = {"stage": stage.name, "settings": dict(stage.settings), "step": state.step, "elapsed_s": elapsed_s}
    save_weights(folder / WEIGHTS["last"], average.networks, notes)
    state.save(folder / CHECKPOINT)


def _judge(
    stage: Stage, average: WeightAverage, state: Checkpoint, folder: Path, curves: Curves
) -> dict[str, float]:
    """Evaluates the averaged networks, and keeps them as the best where they are."""
    with torch.no_grad():
        figures = stage.evaluate(average.networks)
    curves.add(state.step, {f"held_out/{name}": value for name, value in figures.items()})
    score = figures[stage.score] if stage.score else float(state.step)
    best = state.best_score
    if best is None or math.isnan(best) or score > best:
        state.best_score, state.best_step = score, state.step
        notes = {"stage": stage.name, "settings": dict(stage.settings), "step": state.step, "figures": figures}
        save_weights(folder / WEIGHTS["best"], average.networks, notes)
    _LOG.info("%s step %d: %s", stage.name, state.step, ", ".join(f"{k} {v:.4g}" for k, v in figures.items()))
    return figures


class _Meter:
    """Means of losses and speeds since the last row, and what the whole run's time went into."""

    def __init__(self, sources: Sequence[CropSource]):
        self._sources = sources
        self._sums: dict[str, torch.Tensor] = {}
        self._counts: dict[str, int] = {}
        self._images = self._all_images = 0
        self._since = self._begun = time.perf_counter()

    def add(self, losses: Mapping[str, torch.Tensor], images: int) -> None:
        for name, loss in losses.items():
            self._sums[name] = self._sums.get(name, 0) + loss.detach().float()
            self._counts[name] = self._counts.get(name, 0) + 1
        self._images += images
        self._all_images += images

    def row(self) -> dict[str, float]:
        now = time.perf_counter()
        row = {name: float(total) / self._counts[name] for name, total in self._sums.items()}
        row["images_per_s"] = self._images / (now - self._since)
        self._sums, self._counts, self._images, self._since = {}, {}, 0, now
        return row

    def bound(self) -> str:
        """Says what bounds the speed."""
        total = max(time.perf_counter() - self._begun, 1e-9)
        waited = sum(source.waited_s for source in self._sources)
        busy = sum(source.synthesis_s for source in self._sources)
        bound = "synthesis" if waited > 0.5 * total else "the networks"
        return (
            f"{self._all_images / total:.1f} images/s, bound by {bound}: {100 * waited / total:.0f}% of the time was "
            f"waiting for damaged photos, synthesis ran {100 * busy / total:.0f}% of it"
        )


@contextlib.contextmanager
def _stop_on_signal() -> Iterator[threading.Event]:
    """Turns Ctrl-C and SIGTERM into an event, so that a run ends between two steps with a checkpoint."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(*_: object) -> None:
        if stop.is_set():  # a second Ctrl-C does not wait for the step to end
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _finite(value: float) -> bool:
    return value == value and abs(value) != float("inf")
