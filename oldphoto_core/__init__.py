"""oldphoto's core: images and tensors. It knows nothing of Prefect, object stores or SQL.

    from oldphoto_core import Restorer
    restorer = Restorer.from_release("default", device="auto", tile_px=None)
    result = restorer.restore(image, mask=None, mode="full", strength=1.0, tone="correct", mending="normal")

Importing this package loads no torch; naming `Restorer` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oldphoto_core.restoration.restorer import RestorationResult, Restorer

PIXEL_VERSION = 7
"""Raised whenever a change of code changes restored pixels: work done before is then done again."""

__all__ = ["PIXEL_VERSION", "RestorationResult", "Restorer"]


def __getattr__(name: str) -> Any:
    if name in ("Restorer", "RestorationResult"):
        from oldphoto_core.restoration import restorer

        return getattr(restorer, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
