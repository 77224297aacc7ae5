"""How far a run is, and what follows from that: learning rate, averaging, crop size."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from oldphoto_core.errors import TrainingError

WARM_UP_SHARE = 0.03
FLOOR = 0.01
"""The cosine ends at this share of the peak rate."""


@dataclass(frozen=True)
class Budget:
    """How long a run lasts: a number of steps, or minutes of wall time."""

    steps: int | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.minutes is None):
            raise TrainingError(f"give a budget in steps or in minutes, one of them: {self.steps=}, {self.minutes=}")
        if (self.steps or self.minutes or 0) <= 0:
            raise TrainingError(f"a budget must be above zero: {self.steps=}, {self.minutes=}")

    def clock(self, step: int, elapsed_s: float) -> Clock:
        """Gives the clock after `step` steps and so many seconds of training, resumed parts included."""
        share = step / self.steps if self.steps else elapsed_s / 60 / (self.minutes or 1.0)
        return Clock(step, min(share, 1.0))


@dataclass(frozen=True)
class Clock:
    """Where a run stands: steps done, and the share of its budget used, 0 to 1."""

    step: int
    share: float


def learning_rate(share: float, *, warm_up: float = WARM_UP_SHARE, floor: float = FLOOR) -> float:
    """Gives the factor on the peak rate: a linear warm-up, then a cosine down to the floor."""
    if share < warm_up:
        return max(share / warm_up, 0.01)
    progress = (min(share, 1.0) - warm_up) / (1 - warm_up)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))


def ema_decay(step: int) -> float:
    """Gives the decay of the weight average: 0.99 for the first 3,000 steps, 0.999 after them.

    While fewer steps than the average's own memory are done, the average follows faster.
    """
    limit = 0.99 if step < 3000 else 0.999
    return min(limit, (1 + step) / (10 + step))


@dataclass(frozen=True)
class Phase:
    """A part of a run with its own crop size and batch."""

    until: float
    """Share of the budget at which the phase ends."""
    crop_px: int
    batch: int


def phase_at(phases: tuple[Phase, ...], share: float) -> Phase:
    """Gives the phase that a share of the budget falls in; the last one stays to the end."""
    return next((phase for phase in phases if share < phase.until), phases[-1])


def growing_crops(crop_px: int, batch: int) -> tuple[Phase, ...]:
    """Gives phases: after 70% of the budget crops of 4/3 the side, after 95% of 7/3, in smaller batches."""
    return (
        Phase(0.7, crop_px, batch),
        Phase(0.95, crop_px * 4 // 3 // 16 * 16, max(1, batch * 3 // 4)),
        Phase(1.0, crop_px * 7 // 3 // 16 * 16, max(1, batch // 4)),
    )


def pixels_seen(phases: tuple[Phase, ...], steps: int) -> int:
    """Gives the pixels of all crops of a run of so many steps."""
    seen = (phase_at(phases, step / steps) for step in range(steps))
    return sum(phase.batch * phase.crop_px**2 for phase in seen)


def steps_for_pixels(phases: tuple[Phase, ...], pixels: float) -> int:
    """Gives the steps, at least one, after which a run has seen about so many pixels."""
    a_step = pixels_seen(phases, 1000) / 1000
    return max(1, round(pixels / a_step))


@contextmanager
def fresh_weights(seed: int, purpose: str) -> Iterator[None]:
    """Makes networks that are built inside draw their first weights from (seed, purpose), and leaves no other trace.

    PyTorch's initialisers draw from its global generator alone.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seeded(seed, f"weights/{purpose}", 0).initial_seed())
        yield


def seeded(seed: int, purpose: str, index: int, device: torch.device | str = "cpu") -> torch.Generator:
    """Gives a generator that depends on nothing but (seed, purpose, index).

    A run resumed at a step thus draws what an uninterrupted one would have drawn there.
    """
    digest = hashlib.sha256(f"{seed}/{purpose}/{index}".encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:8], "big") >> 1)
