"""The errors of flows and the command line.

    FlowsError
    ├── UsageError           the command cannot be carried out as it was given (exit code 2)
    ├── PrefectUnavailable   no Prefect server could be started or reached
    ├── SchedulerLost        the Dask scheduler cannot be reached, or went away and did not come back
    ├── DerivativesUnwritable  restorations cannot be stored at all
    ├── SourceEmptied        a source shows nothing where photos are registered
    ├── SourceChanged        a master's bytes are no longer the ones that were registered
    ├── LeaseLost            another run took over what this one was at
    └── RunInterrupted       the run was told to stop; what is left is done by the next one

Every message is one line: what, which, and what to do next.
"""

from __future__ import annotations


class FlowsError(Exception):
    """Root of the package's errors."""


class UsageError(FlowsError):
    """The command cannot be carried out as it was given."""


class PrefectUnavailable(FlowsError):
    """No Prefect server could be started or reached."""


class SchedulerLost(FlowsError):
    """The Dask scheduler cannot be reached, or went away and did not come back."""


class DerivativesUnwritable(FlowsError):
    """Restorations cannot be stored at all: the disk is full, the bucket refuses."""


class SourceEmptied(FlowsError):
    """A source shows nothing where photos are registered, as a folder does whose disk is not mounted."""


class SourceChanged(FlowsError):
    """A master's bytes are no longer the ones that were registered."""


class RunInterrupted(FlowsError):
    """The run was told to stop; what is left is done by the next one."""


class LeaseLost(FlowsError):
    """Another run took over what this one was at, since its lease ran out."""
