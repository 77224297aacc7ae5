"""`oldphoto restore-file`, `detect`: one file, without a catalogue and without Prefect."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.options import (
    EXIT_CODE_HELP,
    Device,
    Home,
    Mending,
    Mode,
    Release,
    Strength,
    TilePx,
    Tone,
    given,
)
from flows.errors import FlowsError, UsageError
from flows.settings import Settings

if TYPE_CHECKING:
    import numpy as np

    from flows.derivatives import Extension
    from oldphoto_core import Restorer
    from oldphoto_core.images import OpenedImage
    from oldphoto_core.row_spool import RowSpool
    from oldphoto_core.scan import Scan
    from storage.whole_objects import WholeObject

_FORMATS: dict[str, Extension] = {".tif": "tif", ".tiff": "tif", ".png": "png", ".jpg": "jpg", ".jpeg": "jpg"}

FoundOut = Annotated[
    Path | None, typer.Option(help="Where to write what the detector found, .png: white where it is sure.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there already.")]


def add_to(app: typer.Typer) -> None:
    """Adds these commands."""
    example = "Example: oldphoto restore-file grandma.jpg grandma-restored.png --mask-out mended.png. "
    app.command("restore-file", epilog=example + EXIT_CODE_HELP)(restore_file)
    app.command("detect", epilog="Example: oldphoto detect grandma.jpg mask.png. " + EXIT_CODE_HELP)(detect)


def restore_file(
    source: Annotated[Path, typer.Argument(metavar="IN", help="The photo; it is only read.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="Where to write: .tif, .png or .jpg.")],
    mask: Annotated[
        Path | None,
        typer.Option(
            help="A mask of your own, white where damaged and of the photo's size. It is mended as it is, whatever "
            "--mending says: paint it a pixel or two over the damage's rim."
        ),
    ] = None,
    mask_out: Annotated[Path | None, typer.Option(help="Where to write the mask of what was mended, .png.")] = None,
    found_out: FoundOut = None,
    uncertainty_out: Annotated[
        Path | None, typer.Option(help="Where to write the error to expect of each pixel, .png of 16 bits.")
    ] = None,
    mode: Mode = None,
    tone: Tone = None,
    mending: Mending = None,
    strength: Strength = None,
    release: Release = None,
    device: Device = None,
    tile_px: TilePx = None,
    overwrite: Overwrite = False,
    home: Home = None,
) -> None:
    """Restore one photo."""
    settings = Settings.load(
        home,
        **given(
            mode=mode, tone=tone, mending=mending, strength=strength, release=release, device=device, tile_px=tile_px
        ),
    )
    extension = _extension(target)
    if settings.mode == "scratches" and extension == "jpg":
        raise UsageError("scratches mode keeps pixels bit for bit and JPEG cannot; write a .png or .tif")
    refuse_overwriting(target, reading=[source, mask], overwrite=overwrite)
    besides = [source, mask, target]
    for picture in filter(None, (mask_out, found_out, uncertainty_out)):
        require_png(picture)
        refuse_overwriting(picture, reading=besides, overwrite=overwrite)
        besides.append(picture)

    from flows.derivatives import chunks_of, new_file, write_restored
    from flows.run_records import agent
    from oldphoto_core.png_writing import write_png
    from oldphoto_core.previews import read_mask_codes, write_mask_png
    from oldphoto_core.releases.uncertainty import require_uncertainty
    from oldphoto_core.restoration.pages import restore_image
    from oldphoto_core.restoration.scan_restoration import Wanted
    from oldphoto_core.restoration.survey import GIVEN_FROM
    from oldphoto_core.restoration.uncertainty import restored_pages, uncertainty_of
    from oldphoto_core.scan import ArrayScan
    from oldphoto_core.xmp import DerivativeStatement
    from storage.keys import sha256_hex
    from storage.local_files import write_atomically

    painted_file = None if mask is None else mask.read_bytes()
    with ExitStack() as files:
        master, photo = open_photo(source, settings, files)
        if photo.pages and extension != "tif":
            raise UsageError(f"{source} has {len(photo.pages)} pages, and {target.suffix} holds one; write a .tif")
        painted = None
        if painted_file is not None:
            codes = read_mask_codes(painted_file, photo.scan.shape, str(mask))
            if codes.max() < GIVEN_FROM:
                raise FlowsError(
                    f"{mask}: nothing is painted in it, so nothing would be mended; paint what is damaged white, or "
                    "leave --mask out to have it found"
                )
            painted = ArrayScan(codes)
        restorer = restorer_of(settings)
        if uncertainty_out is not None:
            require_uncertainty(restorer.card)
        wanted = Wanted(
            mode=settings.mode, strength=settings.strength, tone=settings.tone, mending=settings.mending
        )
        result = restore_image(restorer, photo, wanted, mask=painted)
        files.callback(result.close)
        statement = DerivativeStatement(
            master_sha256=master.sha256,
            release=restorer.card.name,
            weights_hash=restorer.card.weights_hash,
            mode=settings.mode,
            tone=settings.tone,
            mending=settings.mending,
            strength=settings.strength,
            software=agent(),
            restored=not result.report.left_alone,
            mask="detected" if painted_file is None else f"supplied {sha256_hex(painted_file)}",
        )
        made = files.enter_context(new_file())
        write_restored(made, result, photo, extension=extension, statement=statement)
        master.check_unchanged()
        write_atomically(target, chunks_of(made), overwrite=overwrite)
        for path, codes in ((mask_out, result.mask), (found_out, result.found)):
            if path is not None:
                made_codes = files.enter_context(new_file())
                write_mask_png(made_codes, codes)
                write_atomically(path, chunks_of(made_codes), overwrite=overwrite)
        if uncertainty_out is not None:
            made_map = files.enter_context(new_file())
            device = restorer.device
            pages = restored_pages(photo, result)
            write_png(made_map, uncertainty_of(restorer.release, pages, device=device, files=files))
            write_atomically(uncertainty_out, chunks_of(made_map), overwrite=overwrite)
    report = result.report
    outcome = "left unchanged" if report.left_alone else "restored"
    typer.echo(
        f"{target}: {outcome} with {restorer.card.name} in {report.seconds:.1f} s on {report.device}; "
        f"{report.mask_coverage:.2%} damaged, mean change {report.mean_change:.1f} of 255"
    )


def detect(
    source: Annotated[Path, typer.Argument(metavar="IN", help="The photo; it is only read.")],
    mask: Annotated[
        Path,
        typer.Argument(metavar="MASK", help="Where to write the mask, .png: white what would be mended, else black."),
    ],
    found_out: FoundOut = None,
    mending: Mending = None,
    release: Release = None,
    device: Device = None,
    tile_px: TilePx = None,
    overwrite: Overwrite = False,
    home: Home = None,
) -> None:
    """Write the mask of what `oldphoto restore-file` would mend in one photo, without mending it.

    It may be painted on, and given to `oldphoto restore-file --mask`.
    """
    settings = Settings.load(home, **given(mending=mending, release=release, device=device, tile_px=tile_px))
    besides: list[Path | None] = [source]
    for picture in filter(None, (mask, found_out)):
        require_png(picture)
        refuse_overwriting(picture, reading=besides, overwrite=overwrite)
        besides.append(picture)

    from flows.derivatives import chunks_of, new_file
    from oldphoto_core.previews import write_mask_png
    from oldphoto_core.restoration.scan_restoration import Wanted
    from oldphoto_core.scan import blocks_of
    from oldphoto_core.stacked_scan import stack_masks
    from storage.local_files import write_atomically

    with ExitStack() as files:
        _, photo = open_photo(source, settings, files)
        restorer, mended, found = restorer_of(settings), [], []
        for page in photo.pages or (photo,):
            begun = restorer.begin(page.scan, Wanted(mending=settings.mending), icc_profile=page.icc_profile)
            mended.append(_spooled(begun.mended_rows(), page.scan, files))
            if found_out is not None:
                found.append(_spooled(begun.found_rows(), page.scan, files))
        for path, pages in ((mask, mended), (found_out, found)):
            if path is not None:
                made = files.enter_context(new_file())
                write_mask_png(made, stack_masks(pages))
                write_atomically(path, chunks_of(made), overwrite=overwrite)
        white = sum(int((rows > 0).sum()) for page in mended for _, rows in blocks_of(page, 1 << 22))
    pixels = sum(page.shape[0] * page.shape[1] for page in mended)
    typer.echo(f"{mask}: {white / pixels:.2%} of the photo would be mended")


def _spooled(parts: Iterable[tuple[int, np.ndarray]], scan: Scan, files: ExitStack) -> RowSpool:
    """Puts rows (h, W) of a scan, float32 in [0, 1], down as codes of 8 bits; `files` lets go of them."""
    import numpy as np

    from oldphoto_core.row_spool import RowSpool

    spool = RowSpool(scan.shape[:2], np.uint8)
    files.callback(spool.close)
    for _, rows in parts:
        spool.append(np.rint(rows * 255).astype(np.uint8))
    return spool


def _extension(path: Path) -> Extension:
    try:
        return _FORMATS[path.suffix.lower()]
    except KeyError:
        raise UsageError(f"{path}: expected a name that ends in .tif, .png or .jpg") from None


def require_png(path: Path) -> None:
    if path.suffix.lower() != ".png":
        raise UsageError(f"{path}: masks and maps are written as PNG; give it a name that ends in .png")


def refuse_overwriting(target: Path, *, reading: list[Path | None], overwrite: bool) -> None:
    """Refuses a target that is one of the files read, by whatever name or link, or that is there already."""
    for path in reading:
        if path is not None and _same_file(target, path):
            raise UsageError(f"{target} is a file that is read or written besides; masters are never overwritten")
    if target.is_dir():
        raise UsageError(f"{target} is a folder; name a file")
    if target.exists() and not overwrite:
        raise UsageError(f"{target} is there already; name another file, or add --overwrite")


def _same_file(one: Path, other: Path) -> bool:
    if one.exists() and other.exists():
        return os.path.samefile(one, other)
    return one.resolve() == other.resolve()


def open_photo(path: Path, settings: Settings, files: ExitStack) -> tuple[WholeObject, OpenedImage]:
    """The photo's file, hashed, and its picture; `files` lets go of both."""
    from oldphoto_core.images import DecodeLimits, open_image
    from storage.local_files import name_to_key
    from storage.objects import SourceStore

    path.stat()  # a path is no key: what is not there is told as a file
    whole = files.enter_context(SourceStore(path.absolute().parent).open_whole(name_to_key(path.name)))
    limits = DecodeLimits(max_pixels=int(settings.max_megapixels * 1e6))
    return whole, files.enter_context(open_image(whole.file, str(path), limits, hashed=False))


def restorer_of(settings: Settings) -> Restorer:
    """The release that the settings name; `active` is the catalogue's where the home has one, else the packaged."""
    from flows.release_store import release_without_catalogue
    from oldphoto_core import Restorer

    card = release_without_catalogue(settings)
    return Restorer.from_release(
        card.folder, device=settings.device, tile_px=settings.tile_px, precision=settings.precision
    )
