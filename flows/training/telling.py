"""What a person should read of a retraining: on the terminal, and in the flow run's log on Prefect's page."""

from __future__ import annotations

from flows.progress import progress
from flows.run_records import flow_run_id


def tell(message: str, *, aloud: bool = True) -> None:
    """One line, for both; not aloud: for the log alone, where the terminal has it otherwise."""
    if aloud:
        progress().say(message)
    if flow_run_id() is not None:
        from prefect import get_run_logger

        get_run_logger().info(message)
