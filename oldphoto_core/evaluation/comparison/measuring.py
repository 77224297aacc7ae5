"""One damaged photo: every method that has no row yet restores it, and is compared with the truth."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from oldphoto_core import PIXEL_VERSION
from oldphoto_core.evaluation import metrics
from oldphoto_core.evaluation.comparison.figures import paired_figures
from oldphoto_core.evaluation.comparison.interface import RESTORED, Method, is_slow
from oldphoto_core.evaluation.comparison.kinds import MARKED, make_kind_damager
from oldphoto_core.evaluation.comparison.learned_distance import LearnedDistance
from oldphoto_core.evaluation.comparison.parts import PARTS, Region, with_words
from oldphoto_core.evaluation.comparison.prior_method import PRIOR
from oldphoto_core.evaluation.comparison.real_cases import RealCase, RealMeasurer
from oldphoto_core.evaluation.comparison.release_methods import PhotoRestorer, Restoration
from oldphoto_core.evaluation.comparison.rows import DETECTOR, Row, key_of
from oldphoto_core.evaluation.comparison.settings import FEW, Case
from oldphoto_core.evaluation.comparison.trained_methods import Trained
from oldphoto_core.evaluation.detection import ScoreHistogram
from oldphoto_core.evaluation.held_out import centre_crop, centre_square, read_photo
from oldphoto_core.evaluation.no_reference import no_reference_figures
from oldphoto_core.evaluation.real_photos import ACTED_ABOVE, acted_on_marks
from oldphoto_core.evaluation.second_generator import Damaged
from oldphoto_core.evaluation.sheet import overlay_mask, save_picture

if TYPE_CHECKING:
    from oldphoto_core.training.material_folder import LabelledPhoto

ON_OLD = ("input", "sequential-telea-detected-mask", RESTORED)
"""Methods that real photos are restored by: nobody knows their true mask."""

WITHOUT_MARKS = (
    "input", "wavelets", "telea-nlm-true-mask", "sequential-telea-true-mask", "sequential-telea-detected-mask",
    "restored-true-mask", RESTORED,
)  # fmt: skip
"""Methods on damage that has no marks, where ways of inpainting do not differ: there is nothing to fill."""

SHOWN = ("input", "sequential-telea-true-mask", PRIOR, RESTORED, "restored-true-mask")
"""Methods whose pictures are kept for the page."""

Photo = NDArray[np.uint8]


class Measurer:
    """Measures cases, one at a time.

    Args:
        methods: what is compared.
        restorer: gives the mask that is detected; None where the classical ways alone are measured.
        release: name of the release, part of the keys of all that it had a hand in.
        code_version: part of all keys.
        textures_dir: for the first generator.
        textures_sha256: of what is in it.
        pictures: folder for the pictures of cases that are shown.
    """

    def __init__(
        self,
        methods: Sequence[Method],
        restorer: PhotoRestorer | None,
        *,
        release: str,
        code_version: str,
        textures_dir: Path | None,
        textures_sha256: str,
        pictures: Path,
    ) -> None:
        self._methods, self._restorer = methods, restorer
        self._trained = {method.name for method in methods if isinstance(method, Trained)}
        self._release, self._code_version = release, code_version
        self._textures_dir, self._textures_sha256 = textures_dir, textures_sha256
        self._pictures = pictures
        self._lpips = LearnedDistance.at_hand()
        self._real = RealMeasurer(restorer, release=release, code_version=code_version)

    def keys(self, case: Case | RealCase) -> dict[str, str]:
        """Gives the key of each of a case's rows, by method."""
        if isinstance(case, RealCase):
            return self._real.keys(case)
        identity = dict(case.identity)
        if case.generator == "first":
            identity["textures"] = self._textures_sha256
        if self._lpips:
            identity["lpips"] = True  # figures from before it was at hand lack it
        keys = {}
        for name, source, version in self._wanted(case):
            release = [self._release, PIXEL_VERSION] if source == "detected" or name.startswith("restored") else []
            keys[name] = key_of(**identity, method=name, version=version, release=release, code=self._code_version)
        return keys

    def is_done(self, case: Case | RealCase, known: Collection[str]) -> bool:
        """Whether all rows and pictures of a case are there."""
        keys = self.keys(case)
        folder = self.picture_folder(case)
        return all(key in known for key in keys.values()) and (not case.shown or (folder / "target.png").exists())

    def picture_folder(self, case: Case | RealCase) -> Path:
        """Gives where a case's pictures are kept."""
        by = {"release": [self._release, PIXEL_VERSION], "code": self._code_version}
        return self._pictures / key_of(**case.identity, textures=self._textures_sha256, **by)

    def measure(self, case: Case | RealCase, known: Collection[str]) -> list[Row]:
        """Gives the rows of a case that are not among the known keys, and keeps its pictures where it is shown.

        Args:
            case: what to damage, and how.
            known: keys of rows that are at hand.
        """
        if isinstance(case, RealCase):
            return self._real.measure(case, known)
        keys = self.keys(case)
        wanted = {name for name, key in keys.items() if key not in known}
        if case.shown:
            wanted |= {name for name in keys if name in SHOWN or name == DETECTOR}
        damaged, regions = self._damaged(case)
        own = _Own(self._restorer, damaged.image)
        rows, pictures = [], {"input": damaged.image}
        if DETECTOR in wanted:
            rows.append(self._detection(case, keys[DETECTOR], damaged, own))
        for method in self._methods:
            if method.name not in wanted:
                continue
            if method.name == RESTORED:
                result = own.restoration.image
                seconds = own.seconds
            else:
                mask = own.mask if method.mask_source == "detected" else None
                mask = damaged.mask if method.mask_source == "true" else mask
                started = time.perf_counter()  # finding the mask is not what a method is timed for
                result = method.restore(damaged.image, mask)
                seconds = time.perf_counter() - started
            if method.name in SHOWN or method.name in ON_OLD:
                pictures[method.name] = result
            rows.append(self._row(case, keys[method.name], method.name, damaged, regions, result, seconds, own))
        if case.shown:
            self._keep(case, damaged, regions, pictures, own)
        return rows

    def _wanted(self, case: Case) -> list[tuple[str, str, int | str]]:
        """Gives (name, mask source, version) of what is measured on a case."""
        methods = [(m.name, m.mask_source, m.version) for m in self._methods if case.kind == FEW or not is_slow(m)]
        if case.kind in (*PARTS, FEW):
            return methods
        if case.kind == "old":
            return [m for m in methods if m[0] in ON_OLD or (m[0] in self._trained and m[1] == "detected")]
        if case.kind == "labelled":
            methods = []
        elif case.kind not in MARKED:
            methods = [method for method in methods if method[0] in WITHOUT_MARKS or method[0] in self._trained]
        version = 2 if case.kind == "labelled" else 1
        return methods + ([(DETECTOR, "detected", version)] if self._restorer is not None else [])

    def _damaged(self, case: Case) -> tuple[Damaged, tuple[Region, ...]]:
        """Gives the damaged photo, and where figures are taken; everywhere when there are no regions."""
        if case.kind == "labelled":
            return _labelled(case.photo.path), ()
        photo = read_photo(case.photo.path)
        if case.generator == "none":
            image = _reduced(photo, case.side_px)
            nothing = np.zeros(image.shape[:2], bool)
            return Damaged(image, nothing, nothing, image, "tone", bool(np.ptp(image, axis=2).max() == 0)), ()
        clean = centre_crop(photo) if case.side_px is None else centre_square(photo, case.side_px)
        regions = case.regions
        if case.kind == "text":
            clean, regions = with_words(clean, case.seed)
        assert case.severity != "as found"
        damager = make_kind_damager(case.generator, case.damage_kind, case.severity, textures_dir=self._textures_dir)
        return damager(clean, case.seed), regions

    def _detection(self, case: Case, key: str, damaged: Damaged, own: _Own) -> Row:
        counts = ScoreHistogram()
        counts.add(own.scores, damaged.mask, ignore=damaged.ignore)
        further = {"marked": float(own.mask.mean())}
        if case.kind == "labelled":
            label = _label(case.photo.path)
            further |= acted_on_marks(own.mask, label.mask, label.ignore)
        return self._named(
            case,
            key,
            DETECTOR,
            mask_coverage=float(damaged.mask.mean()),
            damaged_by_score=tuple(counts.positive.tolist()),
            sound_by_score=tuple(counts.negative.tolist()),
            further=further,
        )

    def _row(
        self,
        case: Case,
        key: str,
        method: str,
        damaged: Damaged,
        regions: tuple[Region, ...],
        result: Photo,
        seconds: float,
        own: _Own,
    ) -> Row:
        if case.kind == "old":
            coverage = float(own.mask.mean())
            figures = no_reference_figures(result) | {"psnr_to_input": metrics.psnr(result, damaged.image)}
            return self._named(case, key, method, mask_coverage=coverage, seconds=seconds, further=figures)
        figures = paired_figures(result, damaged, regions, self._lpips)
        return self._named(case, key, method, seconds=seconds, **figures)

    def _named(self, case: Case, key: str, method: str, **figures: object) -> Row:
        return Row(
            key, case.photo.path.name, case.photo.sha256, case.generator, case.kind, case.severity, method,
            seed=case.seed, side_px=case.side_px or 0, release=self._release,
            code_version=self._code_version, **figures,  # type: ignore[arg-type]
        )  # fmt: skip

    def _keep(
        self, case: Case, damaged: Damaged, regions: tuple[Region, ...], pictures: dict[str, Photo], own: _Own
    ) -> None:
        """Keeps whole pictures, or the first region of each."""
        if self._restorer is not None:
            pictures = pictures | {"detected-mask": overlay_mask(damaged.image, own.mask)}
        if case.kind != "old":
            pictures = pictures | {"true-mask": overlay_mask(damaged.image, damaged.mask)}
        folder = self.picture_folder(case)
        for name, picture in (pictures | {"target": damaged.target}).items():  # the last says that all are there
            save_picture(folder / f"{name}.png", regions[0].crop(picture) if regions else picture)


class _Own:
    """What the release makes of a picture with the mask that it finds, each computed when it is first asked for."""

    def __init__(self, restorer: PhotoRestorer | None, image: Photo) -> None:
        self._restorer, self._image = restorer, image
        self._restoration: Restoration | None = None
        self.seconds = 0.0

    @property
    def restoration(self) -> Restoration:
        """The restoration."""
        if self._restoration is None:
            assert self._restorer is not None, "a release is measured"
            started = time.perf_counter()
            self._restoration = self._restorer.restore(self._image)
            self.seconds = time.perf_counter() - started
        return self._restoration

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(H, W), where the release mends."""
        if self._restorer is None:
            return np.zeros(self._image.shape[:2], bool)
        return np.asarray(self.restoration.mask) > ACTED_ABOVE

    @property
    def scores(self) -> NDArray[np.float32]:
        """(H, W) probability of damage."""
        assert self._restorer is not None, "a release is measured"
        return np.asarray(self._restorer.detect(self._image), np.float32)


def _reduced(photo: Photo, long_px: int | None) -> Photo:
    import cv2

    scale = 1.0 if long_px is None else long_px / max(photo.shape[:2])
    if scale >= 1:
        return centre_crop(photo)
    size = (round(photo.shape[1] * scale), round(photo.shape[0] * scale))
    return centre_crop(np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), np.uint8))


def _labelled(photo: Path) -> Damaged:
    """Gives a labelled photo as training's judges see it: what lies at a mask's border counts for nothing."""
    from oldphoto_core.training.labelled import LabelledBank
    from oldphoto_core.training.material_folder import LONG_SIDE_PX

    image, mask, ignore = LabelledBank([_label(photo)]).whole(0, long_side_px=LONG_SIDE_PX)
    picture = ((image[0] + 1) * 127.5).round().byte().permute(1, 2, 0).contiguous().numpy()
    return Damaged(picture, mask[0, 0].numpy() > 0.5, ignore[0, 0].numpy() > 0.5, picture, "marks", False)


def _label(photo: Path) -> LabelledPhoto:
    """Gives a labelled photo as it was marked."""
    from oldphoto_core.training.material_folder import read_labelled

    return next(one for one in read_labelled(photo.parents[2], "test") if one.name == photo.stem)
