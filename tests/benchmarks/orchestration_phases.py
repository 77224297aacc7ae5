"""Where a restoration flow's time goes, looked at from outside: public calls are wrapped and their seconds added up.

A call inside another one counts for the inner one alone, so that a thread's phases add up to no more than its time.
What no wrapped call accounts for is `other`: Prefect's flow engine, and the flow's own Python.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import threading
import time
import types
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

_CATALOGUE = "storage.catalog.catalogue:Catalogue"
_RUNNER = "prefect_dask:DaskTaskRunner"
_FUTURE = "prefect_dask.task_runners:PrefectDaskFuture"

PHASES = {
    "planning": (
        f"{_CATALOGUE}.photos_to_restore", f"{_CATALOGUE}.count_done", "flows.restore:plan_collections",
        "flows.restore:batches_of", "flows.restore:restore_job",
    ),
    "starting workers": ("flows.restoring:start_workers",),
    "leases": (
        f"{_CATALOGUE}.claim_work", f"{_CATALOGUE}.release_lease", f"{_CATALOGUE}.release_work",
        f"{_CATALOGUE}.renew_lease", f"{_CATALOGUE}.acquire_lease",
    ),
    "submitting": (f"{_RUNNER}.submit",),
    "waiting": (
        "flows.restoring:as_completed", "flows.dispatch:Dispatch._next", f"{_FUTURE}.wait", f"{_FUTURE}.result",
        "concurrent.futures:wait",
        "distributed:wait", "queue:Queue.get",
    ),
    "recording": (f"{_CATALOGUE}.record_restorations", "flows.restoring:restoration_events"),
    "browse links": (
        "flows.browsing:place_in_browse", "flows.restoring:show_restored", "flows.browsing:show_restored",
        "flows.restore:complete_browse", f"{_CATALOGUE}.placed_restorations",
    ),
    "finishing": (
        f"{_RUNNER}.__exit__", f"{_CATALOGUE}.finish_run", f"{_CATALOGUE}.update_run",
        f"{_CATALOGUE}.release_all_leases", "flows.restore:sweep_withdrawn",
    ),
}  # fmt: skip
"""Calls by phase, as module:name; one that this version of flows does not have is passed over.

The waits count only where they are the flow's own: those inside another wrapped call are part of it."""

_END = object()


@dataclass
class Phases:
    """Seconds and calls by phase, of the thread that the flow runs in and of all others."""

    flow_thread_s: Counter[str] = field(default_factory=Counter)
    other_threads_s: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    call_s: Counter[str] = field(default_factory=Counter)
    counting: bool = False
    flow_thread: int = 0
    _local: threading.local = field(default_factory=threading.local)

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Counts what is called inside; the calling thread is the flow's."""
        self.flow_thread, self.counting = threading.get_ident(), True
        try:
            yield
        finally:
            self.counting = False

    def call(self, phase: str, name: str, function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        """Calls the function; its time, without that of counted calls inside it, is the phase's."""
        inside: list[float] = self._local.__dict__.setdefault("inside", [])
        mine = threading.get_ident() == self.flow_thread
        if not self.counting or (phase == "waiting" and (inside or not mine)):
            return function(*arguments, **keywords)
        inside.append(0.0)
        began = time.perf_counter()
        try:
            return function(*arguments, **keywords)
        finally:
            taken = time.perf_counter() - began
            own = taken - inside.pop()
            if inside:
                inside[-1] += taken
            (self.flow_thread_s if mine else self.other_threads_s)[phase] += own
            self.calls[name] += 1
            self.call_s[name] += own

    def one_by_one(self, phase: str, name: str, items: Iterator[Any]) -> Iterator[Any]:
        """The items, each wait for one counted."""
        while (item := self.call(phase, name, next, items, _END)) is not _END:
            yield item


class _Counted:
    """A function under watch. Prefect sends flows to workers by value: there it is the plain function again."""

    def __init__(self, phases: Phases, phase: str, name: str, function: Callable[..., Any]) -> None:
        self.phases, self.phase, self.name, self.function = phases, phase, name, function

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        if inspect.isgeneratorfunction(self.function):
            return self.phases.one_by_one(self.phase, self.name, self.function(*arguments, **keywords))
        return self.phases.call(self.phase, self.name, self.function, *arguments, **keywords)

    def __get__(self, instance: object, owner: type) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __reduce__(self) -> tuple[Any, ...]:
        return pkgutil.resolve_name, (f"{self.function.__module__}:{self.function.__qualname__}",)


@contextmanager
def watched() -> Iterator[Phases]:
    """Wraps the calls of `PHASES` until the end of the block."""
    phases, undo = Phases(), []
    for phase, names in PHASES.items():
        for name in names:
            module, _, path = name.partition(":")
            *owners, attribute = path.split(".")
            try:
                owner: Any = importlib.import_module(module)
                for part in owners:
                    owner = getattr(owner, part)
                function = getattr(owner, attribute)
                setattr(owner, attribute, _Counted(phases, phase, name, function))
            except (ImportError, AttributeError, TypeError):  # not in this version, or a built-in type
                continue
            undo.append((owner, attribute, function))
    try:
        yield phases
    finally:
        for owner, attribute, function in reversed(undo):
            setattr(owner, attribute, function)
