"""What a release does to photos with nothing wrong.

    python -m oldphoto_core.evaluation.do_no_harm --data DIR --out DIR

DIR holds `clean/`, and `old/` and `texture/` where there are some; only held-out files are used. Five things:

- `clean`: PSNR of a restored undamaged photo to the photo, in `full` mode, with the tone kept, and in `scratches` mode.
- `twice`: PSNR of the restoration of a restored old photo to the restored photo.
- `keys`: photos of a night, of a white room and of fog are not stretched: contrast and clipped values do not grow.
- `lettering`: print and handwriting, on photos and on paper, are read as well as before, where there is a tesseract.
- `lookalikes`: hair, wires, lace, print and borders are not taken for damage, at the point from which it is acted on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from oldphoto_core.errors import ConfigError, CoreError
from oldphoto_core.evaluation import metrics
from oldphoto_core.evaluation.harm_checks import Check, HarmResult
from oldphoto_core.evaluation.harmless_pictures import KEYS, LOOKALIKES, Picture, keyed, lettered
from oldphoto_core.evaluation.held_out import Role, centre_crop, held_out_photos, read_photo
from oldphoto_core.evaluation.reading import can_read, character_errors, read_words
from oldphoto_core.evaluation.sheet import picture_grid, save_picture

if TYPE_CHECKING:
    from oldphoto_core import Restorer

SECTIONS = ("clean", "twice", "keys", "lettering", "lookalikes")

CLEAN_MEAN_DB, CLEAN_LOW_DB, TWICE_DB = 34.0, 30.0, 36.0
MOST_CONTRAST_GROWTH = 0.10
"""Mean growth of the luma's standard deviation that is not a stretch."""
MOST_CLIPPED_GROWTH = 0.005
"""Mean growth of the share of channel values at 0 or at 255."""
MOST_FALSE_MASK = 0.005
"""Share of pixels."""
_LUMA = np.array([0.299, 0.587, 0.114])
_SHEET_ROWS = 12


class Measurement:
    """Goes through the sections with one restorer.

    Attributes:
        result: what was found so far.
    """

    def __init__(
        self,
        restorer: Restorer,
        data: Path | Mapping[str, Path],
        *,
        count: int,
        role: Role,
        out: Path | None = None,
    ) -> None:
        """See the module; `data` may name `clean`, `old` and `texture` one by one; `out` gets sheets to look at."""
        folders = data if isinstance(data, Mapping) else {kind: data / kind for kind in ("clean", "old", "texture")}
        self.result = HarmResult(restorer.card.name)
        self._restorer, self._folders, self._count, self._role, self._out = restorer, folders, count, role, out

    def clean(self) -> None:
        """PSNR of undamaged photos to themselves."""
        found: dict[str, list[float]] = {"full": [], "full, tone kept": [], "scratches": []}
        false, sheet = [], []
        for path in self._photos("clean", self._count, "clean photos"):
            photo = centre_crop(read_photo(path))
            results = {
                "full": self._restorer.restore(photo).image,
                "full, tone kept": self._restorer.restore(photo, tone="keep").image,
                "scratches": self._restorer.restore(photo, mode="scratches").image,
            }
            figures = {mode: metrics.psnr(image, photo) for mode, image in results.items()}
            for mode, value in figures.items():
                found[mode].append(value)
            false.append(self._acted_share(photo))
            self._note("clean", path.name, **figures, acted_on=false[-1])
            sheet.append((figures["full"], path.name, [photo, *results.values()]))
        for mode, values in found.items():
            what = f"PSNR to the input, dB, {mode}"
            self.result.add_spread("clean", what, values, mean=CLEAN_MEAN_DB, low=CLEAN_LOW_DB)
        self._limit("clean", "share of pixels acted on as damaged", false, MOST_FALSE_MASK)
        self._sheet("clean", ["photo", *found], sheet)

    def twice(self) -> None:
        """PSNR of a second pass to the first, on real old photos."""
        second, sheet = [], []
        for path in self._photos("old", self._count, "old photos", role="all"):
            photo = centre_crop(read_photo(path))
            once = self._restorer.restore(photo).image
            again = self._restorer.restore(once).image
            second.append(metrics.psnr(again, once))
            self._note("twice", path.name, first=metrics.psnr(once, photo), second=second[-1])
            sheet.append((second[-1], path.name, [photo, once, again]))
        self.result.add_spread("twice", "PSNR of the second pass to the first, dB", second, mean=TWICE_DB)
        self._sheet("twice", ["photo", "restored", "restored again"], sheet)

    def keys(self) -> None:
        """Growth of contrast and of clipped values, of photos in another light."""
        photos = [centre_crop(read_photo(p)) for p in self._paths("clean", self._count // 2)]
        for key in KEYS:
            contrast, clipped, sheet = [], [], []
            for number, photo in enumerate(track(photos, key, console=Console(stderr=True), transient=True)):
                before = keyed(photo, key)
                after = self._restorer.restore(before).image
                contrast.append(_contrast(after) / max(_contrast(before), 1e-3) - 1)
                clipped.append(_clipped(after) - _clipped(before))
                self._note("keys", f"{key} {number}", contrast=contrast[-1], clipped=clipped[-1])
                sheet.append((-contrast[-1], f"{key} {number}", [before, after]))
            self._limit("keys", f"{key}: growth of contrast", contrast, MOST_CONTRAST_GROWTH, tail=False)
            self._limit("keys", f"{key}: growth of clipped values", clipped, MOST_CLIPPED_GROWTH, tail=False)
            self._sheet(f"keys-{key}", ["photo", "restored"], sheet)

    def lettering(self) -> None:
        """Character error rates before and after."""
        if not can_read():
            self.result.notes.append("Lettering was not measured: there is no `tesseract` on the path.")
            return
        photos = [centre_crop(read_photo(p)) for p in self._paths("clean", self._count // 2)]
        grounds = {"photos": photos, "paper": self._papers(len(photos))}
        for ground, pictures in grounds.items():
            if not pictures:
                where = self._folders.get("texture", "no folder")
                self.result.notes.append(f"No held-out paper was found under {where}.")
                continue
            for hand in (False, True):
                name = f"{'handwriting' if hand else 'print'} on {ground}"
                self._read(name, pictures, hand=hand)

    def _read(self, name: str, grounds: Sequence[Picture], *, hand: bool) -> None:
        wrong = {"before": 0, "after": 0}
        characters, sheet = 0, []
        for number, ground in enumerate(track(grounds, name, console=Console(stderr=True), transient=True)):
            page = lettered(ground, 1000 + number, hand=hand)
            top, left, bottom, right = page.place
            shown = {"before": page.picture, "after": self._restorer.restore(page.picture).image}
            counts = {}
            for when, picture in shown.items():
                counts[when], length = character_errors(read_words(picture[top:bottom, left:right]), page.lines)
                wrong[when] += counts[when]
            characters += length
            self._note("lettering", f"{name} {number}", **counts, characters=length)
            sheet.append((counts["before"] - counts["after"], f"{name} {number}", list(shown.values())))
        before, after = (wrong[when] / characters for when in ("before", "after"))
        what = f"{name}: share of characters misread"
        self.result.checks.append(Check("lettering", f"{what}, before", len(grounds), before))
        self.result.checks.append(Check("lettering", f"{what}, after", len(grounds), after, before, at_most=True))
        self._sheet(f"lettering-{name.replace(' ', '-')}", ["before", "after"], sheet)

    def lookalikes(self) -> None:
        """Share of pixels taken for damage where there is none."""
        photos = [centre_crop(read_photo(p)) for p in self._paths("clean", self._count // 2)]
        for sort, draw in LOOKALIKES.items():
            shares, sheet = [], []
            for number, photo in enumerate(track(photos, sort, console=Console(stderr=True), transient=True)):
                picture = draw(photo, np.random.default_rng(number))
                shares.append(self._acted_share(picture))
                self._note("lookalikes", f"{sort} {number}", acted_on=shares[-1])
                if self._out:
                    sheet.append((-shares[-1], f"{sort} {number}", [picture, self._restorer.restore(picture).image]))
            self._limit("lookalikes", f"{sort}: share of pixels acted on as damaged", shares, MOST_FALSE_MASK)
            self._sheet(f"lookalikes-{sort}", ["picture", "restored"], sheet)

    def _acted_share(self, photo: Picture) -> float:
        return float(self._restorer.restore(photo, mode="scratches").mask.mean())

    def _limit(self, section: str, what: str, values: list[float], limit: float, *, tail: bool = True) -> None:
        self.result.checks.append(Check(section, f"{what}, mean", len(values), float(np.mean(values)), limit, True))
        worst = float(np.percentile(values, 95))
        self.result.checks.append(Check(section, f"{what}, 95th percentile", len(values), worst))

    def _paths(self, kind: str, count: int, *, role: Role | None = None) -> list[Path]:
        return held_out_photos(self._folders[kind], role=role or self._role, count=count)

    def _photos(self, kind: str, count: int, title: str, *, role: Role | None = None) -> Iterable[Path]:
        return track(self._paths(kind, count, role=role), title, console=Console(stderr=True), transient=True)

    def _papers(self, count: int) -> list[Picture]:
        """Held-out paper textures as pages of 420 x 320 pixels, each tiled and used until there are enough."""
        try:
            files = [p for p in held_out_photos(self._folders["texture"], role="all") if "subtle_" in p.name]
        except (ConfigError, KeyError):
            return []
        pages = []
        for number in range(count if files else 0):
            paper = read_photo(files[number % len(files)])
            times = (-(-336 // paper.shape[0]), -(-432 // paper.shape[1]), 1)
            pages.append(np.ascontiguousarray(np.tile(paper, times)[:336, :432]))
        return pages

    def _note(self, section: str, photo: str, **figures: float) -> None:
        self.result.rows.append({"section": section, "photo": photo, **figures})

    def _sheet(self, name: str, titles: list[str], rows: list[tuple[float, str, list[Picture]]]) -> None:
        """Writes the worst pictures, at their own size."""
        if self._out is None or not rows:
            return
        worst = sorted(rows, key=lambda row: row[0])[:_SHEET_ROWS]
        captions = [f"{caption}: {figure:.3g}" for figure, caption, _ in worst]
        grid = picture_grid([p for _, _, p in worst], column_titles=titles, row_titles=captions, cell_px=640)
        save_picture(self._out / f"{name}.png", grid)


def _contrast(picture: NDArray[np.uint8]) -> float:
    return float((picture @ _LUMA).std())


def _clipped(picture: NDArray[np.uint8]) -> float:
    return float(((picture == 0) | (picture == 255)).mean())


def main(argv: list[str] | None = None) -> int:
    """Measures, and gives the exit code: 0 all met, 1 some not, 2 a mistake in the arguments."""
    options = _parse(argv)
    try:
        from oldphoto_core import Restorer

        restorer = Restorer.from_release(options.release, device=options.device)
        measurement = Measurement(
            restorer, options.data, count=options.count, role=options.role, out=options.out if options.sheets else None
        )
        sections: dict[str, Callable[[], None]] = {name: getattr(measurement, name) for name in options.only}
        for measure in sections.values():
            measure()
            measurement.result.save(options.out)
    except CoreError as error:
        Console(stderr=True).print(f"[red]error:[/] {error}", soft_wrap=True)
        return 2
    Console().print(measurement.result.markdown(), soft_wrap=True, markup=False)
    return 0 if measurement.result.met else 1


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m oldphoto_core.evaluation.do_no_harm",
        description="Measures what a release does to photos with nothing wrong, on held-out ones.",
        epilog="exit code: 0 all limits kept, 1 some are not, 2 a mistake in the arguments",
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with clean/, and old/ and texture/")
    parser.add_argument("--out", type=Path, required=True, help="folder for Markdown, JSON and sheets")
    parser.add_argument("--release", default="default", help="release name or folder")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--count", type=int, default=66, help="photos, at most; keys and letters take half (66)")
    parser.add_argument("--role", choices=("report", "select", "all"), default="report", help="which held-out photos")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS), help="sections (all)")
    parser.add_argument("--sheets", action="store_true", help="write the worst pictures of each section as PNG")
    options = parser.parse_args(argv)
    if options.count < 2:
        parser.error("--count must be at least 2")
    return options


if __name__ == "__main__":
    sys.exit(main())
