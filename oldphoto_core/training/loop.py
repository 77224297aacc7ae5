"""The one training loop. Every stage is trained by `train`; what differs between stages is their `step`."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import nn

from oldphoto_core.errors import TrainingError
from oldphoto_core.training import distributed
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
from oldphoto_core.training.meter import Meter
from oldphoto_core.training.optimisers import current_rate, set_rates
from oldphoto_core.training.progress import ProgressLine
from oldphoto_core.training.schedule import Budget, Clock, seeded
from oldphoto_core.training.stopping import stop_on_signal

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
    start_parts: tuple[str, ...] | None = None
    """The networks that start from there; None: all of the stage's."""
    checkpoint_minutes: float = 2.0
    checkpoint_steps: int | None = None
    """Steps between two checkpoints, besides those by the clock."""
    judge_first: bool = False
    """Judge the weights that the run starts from, which stay the best until better ones come."""
    evaluate_every: int = 250
    """Steps between two evaluations."""
    log_every: int = 20
    """Steps between two rows of the curves."""
    threads: int | None = None
    """Threads of the networks on a CPU; None: one less than there are cores, as synthesis has a thread of its own."""
    compiled: bool = False
    """Compile the networks: a minute or more at first and at each new crop size, faster steps from then on."""
    progress: bool = True
    processes: int = 1
    """Processes that train together, a GPU each; every one has a batch of its own."""
    saved: Callable[[Path], None] | None = None
    """Called with the stage's folder after each checkpoint, when its files are whole."""
    told: Callable[[float, float | None, Mapping[str, float]], None] | None = None
    """Called with the share of the budget used, the seconds left, and the last figures, at every row of the curves."""


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
    if options.fresh and folder.exists() and distributed.leading():
        shutil.rmtree(folder)
    distributed.wait_for_all()
    average = WeightAverage(stage.networks)
    state = _resume_or_start(stage, options, folder, average)
    if options.compiled:
        for network in [*stage.networks.values(), *stage.critics.values()]:
            network.compile()  # in place: names of weights stay, and the averages, copied before, run as they are
    distributed.wait_for_all()  # before the leader writes what the others read
    distributed.share_weights([*stage.networks.values(), *stage.critics.values(), *average.networks.values()])
    if not distributed.leading():
        return _follow(stage, options, state, average)
    curves = Curves.load(folder, until_step=state.step)
    write_json(folder / "run.json", {"stage": stage.name, "settings": dict(stage.settings), "budget": options.budget})

    meter = Meter(stage.sources)
    started = time.monotonic() - state.elapsed_s
    saved_at = time.monotonic()
    broken = 0
    figures: dict[str, float] = {}
    begun, begun_at = options.budget.clock(state.step, state.elapsed_s).share, time.monotonic()
    if options.judge_first and state.step == 0 and begun < 1:
        _judge(stage, average, state, folder, curves)
    bar = ProgressLine(stage.name, enabled=options.progress)
    with stop_on_signal() as stop, bar, contextlib.ExitStack() as stack:
        for source in stage.sources:
            stack.enter_context(source)
        while True:
            share = options.budget.clock(state.step, time.monotonic() - started).share
            share, stopped = distributed.agreed(share, stop.is_set(), stage.device)
            if stopped or share >= 1:
                break
            clock = Clock(state.step, share)
            losses, images = _step(stage, clock, options.seed)
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
                if options.told:
                    done = options.budget.clock(state.step, time.monotonic() - started).share
                    spent = time.monotonic() - begun_at
                    left = spent * (1 - done) / (done - begun) if done > begun else None
                    options.told(done, left, row | {f"held_out/{name}": value for name, value in figures.items()})
            if state.step % options.evaluate_every == 0:
                figures = _judge(stage, average, state, folder, curves)
                bar.note(state.step, figures)
            due = time.monotonic() - saved_at > options.checkpoint_minutes * 60
            due |= bool(options.checkpoint_steps) and state.step % (options.checkpoint_steps or 1) == 0
            if due and state.step % options.log_every == 0:  # so that no row of the curves is cut in two
                _save(stage, average, state, folder, curves, time.monotonic() - started, ended=False)
                saved_at = time.monotonic()
                if options.saved:
                    options.saved(folder)
        finished = not stopped
        if finished and (state.step % options.evaluate_every or not figures):
            figures = _judge(stage, average, state, folder, curves)
            bar.note(state.step, figures)
    elapsed_s = time.monotonic() - started
    _save(stage, average, state, folder, curves, elapsed_s)
    if options.saved:
        options.saved(folder)
    distributed.wait_for_all()  # the others may go on to read what was saved
    _LOG.info("%s: %d steps in %.0f s; %s", stage.name, state.step, elapsed_s, meter.bound())
    return RunResult(folder, state.step, elapsed_s, figures, state.best_score, state.best_step, finished)


def _follow(stage: Stage, options: RunOptions, state: Checkpoint, average: WeightAverage) -> RunResult:
    """Takes the leader's steps with crops of its own, and keeps nothing."""
    with stop_on_signal() as stop, contextlib.ExitStack() as stack:
        for source in stage.sources:
            stack.enter_context(source)
        while True:
            share, stopped = distributed.agreed(0.0, stop.is_set(), stage.device)
            if stopped or share >= 1:
                break
            _step(stage, Clock(state.step, share), options.seed)
            state.step += 1
            average.update(state.step)
    distributed.wait_for_all()
    return RunResult(options.folder / stage.name, state.step, 0.0, {}, None, None, not stopped)


def _step(stage: Stage, clock: Clock, seed: int) -> tuple[dict[str, torch.Tensor], int]:
    set_rates(stage.optimisers, clock)
    done = stage.step(clock, seeded(seed, distributed.purpose("step"), clock.step, stage.device))
    distributed.share_buffers(stage.networks)
    return done


def placed(network: Network, device: torch.device) -> Network:
    """Gives the network on the device, channels-last: on a CPU the detector then trains in two thirds of the time."""
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def precision(device: torch.device) -> torch.autocast:
    """Gives bf16 autocast for forward passes; norms, softmax and losses keep float32.

    On a CPU only where it has instructions for it: one that imitates them takes twice as long as in float32.

    Weights are cast at each use. PyTorch keeps one cache of casts for all threads, and any thread that leaves autocast
    empties it: synthesis beside a step would decide whether a weight that is used twice is cast once, with its gradient
    added up in bf16, or twice. So a run would not repeat to the bit.
    """
    on = device.type != "cpu" or torch.cpu._is_avx512_bf16_supported()
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=on, cache_enabled=False)


def _resume_or_start(stage: Stage, options: RunOptions, folder: Path, average: WeightAverage) -> Checkpoint:
    path = folder / CHECKPOINT
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        if options.start:
            wanted = options.start_parts or tuple(stage.networks)
            for networks in (stage.networks, average.networks):
                load_release_weights(options.start, {name: networks[name] for name in wanted})
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
    stage: Stage,
    average: WeightAverage,
    state: Checkpoint,
    folder: Path,
    curves: Curves,
    elapsed_s: float,
    *,
    ended: bool = True,
) -> None:
    """Writes the checkpoint, the averaged weights and the curves."""
    state.elapsed_s = elapsed_s
    state.networks = {name: network.state_dict() for name, network in stage.networks.items()}
    state.averages = {name: network.state_dict() for name, network in average.networks.items()}
    state.critics = {name: critic.state_dict() for name, critic in stage.critics.items()}
    state.optimisers = {name: optimiser.state_dict() for name, optimiser in stage.optimisers.items()}
    curves.save(folder, ended=ended)
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


def _finite(value: float) -> bool:
    return value == value and abs(value) != float("inf")
