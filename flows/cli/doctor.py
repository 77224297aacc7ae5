"""`oldphoto doctor`: whether everything a run needs is here and works."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Literal

import typer

from flows.cli.findings import show_findings
from flows.cli.options import EXIT_CODE_HELP, Device, Home, Mending, Mode, Release, TilePx, Tone, given
from flows.settings import Settings

_LIBRARIES = ("torch", "prefect", "prefect-dask", "distributed", "sqlalchemy", "pillow", "opencv-python-headless")
_LOW_DISK_GB = 2.0


@dataclass(frozen=True)
class Finding:
    """One line of the examination."""

    what: str
    verdict: Literal["ok", "note", "bad"]
    detail: str


def add_to(app: typer.Typer) -> None:
    """Adds this command."""
    examples = "Example: oldphoto doctor --home archive/; or oldphoto doctor --plan masters/0815.tif. "
    app.command("doctor", epilog=examples + EXIT_CODE_HELP)(doctor)


def doctor(
    plan: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Tell what restoring this photo will take: its tiles, memory, disk, time."),
    ] = None,
    mode: Mode = None,
    tone: Tone = None,
    mending: Mending = None,
    release: Release = None,
    device: Device = None,
    tile_px: TilePx = None,
    home: Home = None,
) -> None:
    """Examine the installation: versions, device, home, release, catalogue, disk, settings; or plan one photo."""
    settings = Settings.load(
        home, **given(mode=mode, tone=tone, mending=mending, release=release, device=device, tile_px=tile_px)
    )
    if plan is None:
        show_findings(examine(settings))
        return
    from flows.cli.plan import plan_file

    show_findings(plan_file(plan, settings))


def examine(settings: Settings) -> Iterator[Finding]:
    """Every finding; one that cannot be made is a bad one, and the others follow all the same."""
    for what, look in _EXAMINATIONS.items():
        try:
            verdict, detail = look(settings)
        except Exception as error:
            verdict, detail = "bad", " ".join(f"{error}".split()) or type(error).__name__
        yield Finding(what, verdict, detail)


Verdict = tuple[Literal["ok", "note", "bad"], str]


def _versions(settings: Settings) -> Verdict:
    from flows.run_records import code_version

    found = [f"oldphoto {code_version()}", f"python {platform.python_version()}"]
    for name in _LIBRARIES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            return "bad", f"{name} is not installed; run `make venv`"
    return "ok", ", ".join(found)


def _device(settings: Settings) -> Verdict:
    import torch

    from flows.runners import plan_workers

    plan = plan_workers(settings)
    spread = f"{plan.workers} worker{'s' if plan.workers > 1 else ''} of {plan.threads} threads"
    if settings.device.startswith("cuda") and not torch.cuda.is_available():
        return "bad", f"device is set to {settings.device}, but PyTorch sees no CUDA here; set it to auto or cpu"
    if plan.on_gpu:
        return "ok", f"{torch.cuda.get_device_name(0)}, {spread}"
    return "ok", f"cpu, {spread}"


def _home(settings: Settings) -> Verdict:
    home = settings.home
    nearest = next(folder for folder in (home, *home.parents) if folder.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        return "bad", f"{nearest} cannot be written to; choose another --home"
    return "ok", f"{home}" + ("" if home.exists() else " (made by the first run)")


def _release(settings: Settings) -> Verdict:
    from flows.release_store import release_without_catalogue
    from oldphoto_core import Restorer

    card = release_without_catalogue(settings)
    restorer = Restorer.from_release(card.folder, device="cpu")  # compares every file with the card
    size_mb = sum((card.folder / name).stat().st_size for name in card.files) / 1e6
    return "ok", f"{card.name}, {size_mb:.1f} MB, weights as on its card; {restorer.precision} on a CPU"


def _catalogue(settings: Settings) -> Verdict:
    from storage.catalog.catalogue import Catalogue
    from storage.errors import CatalogueMissing

    try:
        with Catalogue.open(settings.catalogue_url, create=False) as catalogue:
            counts = catalogue.object_counts()
    except CatalogueMissing:
        return "note", "none yet; the first run makes it"
    return "ok", ", ".join(f"{count} {name}" for name, count in counts.items())


def _prefect(settings: Settings) -> Verdict:
    if settings.prefect_api_url:
        return "ok", f"server at {settings.prefect_api_url} (PREFECT_API_URL)"
    return "ok", f"a run starts its own server, on this machine alone, in {settings.layout.prefect}"


def _disk(settings: Settings) -> Verdict:
    nearest = next(folder for folder in (settings.home, *settings.home.parents) if folder.exists())
    free_gb = shutil.disk_usage(nearest).free / 1e9
    if free_gb < _LOW_DISK_GB:
        return (
            "note",
            f"only {free_gb:.1f} GB free at {nearest}; restorations take about as much as their masters, or more",
        )
    return "ok", f"{free_gb:.0f} GB free"


def _settings(settings: Settings) -> Verdict:
    in_home = {name for name, value in settings if name.endswith("_url") and str(settings.home) in str(value)}
    told = settings.model_fields_set - in_home - {"home"}
    shown = ", ".join(f"{name}={value}" for name, value in settings.__repr_args__() if name in told)
    return "ok", shown or "all defaults"


_EXAMINATIONS: dict[str, Callable[[Settings], Verdict]] = {
    "versions": _versions,
    "device": _device,
    "home": _home,
    "release": _release,
    "catalogue": _catalogue,
    "prefect": _prefect,
    "disk": _disk,
    "settings": _settings,
}
