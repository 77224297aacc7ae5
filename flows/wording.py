"""Numbers of things in messages."""

from __future__ import annotations


def counted(count: int, thing: str) -> str:
    """The number and what it is of: `1 photo`, `1,200 copies`."""
    several = f"{thing[:-1]}ies" if thing.endswith("y") else f"{thing}s"
    return f"{count:,} {thing if count == 1 else several}"
