"""What is measured on what: two sizes of one protocol, and the photos and textures, named by hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal, cast

from oldphoto_core.errors import ConfigError
from oldphoto_core.evaluation import GENERATOR_VERSION
from oldphoto_core.evaluation.comparison.kinds import KINDS, LEVELS, Kind, Severity
from oldphoto_core.evaluation.comparison.parts import PARTS, FaceCache, Part, Region
from oldphoto_core.evaluation.comparison.prior_method import PRIOR_SIDE_PX, PriorSettings
from oldphoto_core.evaluation.comparison.trained_methods import TrainedFolder
from oldphoto_core.evaluation.generators import Generator, photo_seed
from oldphoto_core.evaluation.held_out import Role, centre_crop, centre_square, held_out_photos, read_photo
from oldphoto_core.splits import is_held_out

ProtocolName = Literal["quick", "default"]

Few = Literal["few"]
FEW: Few = "few"
"""Mixed damage as drawn on the few small photos that slow methods are run on, beside all others."""


@dataclass(frozen=True)
class ComparisonSettings:
    """One measurement."""

    photos_dir: Path
    """Clean photos; only held-out ones are used."""

    textures_dir: Path | None = None
    """Textures for the first generator (held-out ones are used); procedural when None."""

    old_dir: Path | None = None
    """Real old photos, restored without a truth to compare with; none when None."""

    labelled_dir: Path | None = None
    """Material folder whose labelled test photos the detector is measured on; none when None."""

    review_table: Path | None = None
    """CSV file of what a person found in the photos of `old_dir`; what was reviewed as clean is measured."""

    film_dir: Path | None = None
    """Film frames with masks, of which one sequence is held out."""

    protocol: str = "default"
    """Its name, for the page."""

    drawn_count: int = 60
    """Photos with mixed damage as each generator draws it."""

    kind_count: int = 12
    """Photos of each kind at each severity."""

    old_count: int = 20
    """Real photos."""

    faces_count: int = 0
    """Photos with faces, mixed damage; figures inside the faces alone."""

    text_count: int = 0
    """Photos with words drawn into the scene, mixed damage; figures inside the words' strip alone."""

    real_count: int | None = None
    """Reviewed photos and film frames, at most; all when None."""

    inpainted_count: int = 0
    """Photos of pure inpainting in the true mask."""

    prior_photos: int = 0
    """Small photos that deep image prior is fitted to and all methods are measured on; 0 leaves it out."""

    prior_side_px: int = PRIOR_SIDE_PX
    """Side of the squares that these are reduced to."""

    prior: PriorSettings = field(default_factory=PriorSettings)

    prior_device: str = "cpu"

    baselines: tuple[TrainedFolder, ...] = ()
    """Networks that were trained to be compared with, such as pix2pix."""

    harm_count: int = 66
    """Photos of the do-no-harm figures; 0 leaves them out."""

    side_px: int | None = None
    """Side of the middle square that a photo is reduced to; whole photos when None."""

    shown: int = 3
    """Photos of each set whose pictures are kept for the page."""

    seed: int = 1
    """Of the damage; training's choice of checkpoints uses 0."""

    role: Role = "report"
    """Which held-out photos."""

    generators: tuple[Generator, ...] = ("second", "first")

    def __post_init__(self) -> None:
        counts = (self.kind_count, self.old_count, self.harm_count, self.shown, self.faces_count, self.text_count)
        if self.drawn_count < 1 or min(*counts, self.prior_photos, self.inpainted_count) < 0:
            raise ConfigError("counts are 0 or more, and at least one photo has mixed damage")
        if self.side_px is not None and self.side_px < 64:
            raise ConfigError(f"side_px is {self.side_px}; expected at least 64, or None for whole photos")
        if self.review_table is not None and self.old_dir is None:
            raise ConfigError(f"{self.review_table}: a review is of old photos; give the folder that they are in, too")
        names = [one.name for one in self.baselines]
        if len(set(names)) < len(names) or any(name.startswith("restored") for name in names):
            raise ConfigError(f"baselines are named {', '.join(names)}; give each folder a name of its own")

    @property
    def prior_used(self) -> PriorSettings | None:
        """How deep image prior is fitted; None where it is left out."""
        return self.prior if self.prior_photos else None

    @classmethod
    def for_protocol(
        cls,
        name: ProtocolName,
        photos_dir: Path,
        *,
        textures_dir: Path | None = None,
        old_dir: Path | None = None,
        labelled_dir: Path | None = None,
        review_table: Path | None = None,
        film_dir: Path | None = None,
    ) -> ComparisonSettings:
        """Gives `quick`, some minutes of one core for a look, or `default`, which figures are printed from."""
        folders = (photos_dir, textures_dir, old_dir, labelled_dir, review_table, film_dir)
        if name == "default":
            return cls(*folders, faces_count=20, text_count=20, prior_photos=6, inpainted_count=24)
        return cls(
            *folders, "quick",
            drawn_count=8, kind_count=2, old_count=4, harm_count=4, side_px=256, shown=1, faces_count=2, text_count=2,
            real_count=12, inpainted_count=4,
        )  # fmt: skip

    def real_alone(self) -> ComparisonSettings:
        """Gives the same for the figures of real photos and of pure inpainting alone."""
        return replace(
            self, generators=(), old_count=0, faces_count=0, text_count=0, prior_photos=0, harm_count=0, baselines=()
        )


@dataclass(frozen=True)
class NamedFile:
    """A file and what is in it."""

    path: Path
    sha256: str

    @classmethod
    def of(cls, path: Path) -> NamedFile:
        """Reads and hashes a file."""
        return cls(path, hashlib.sha256(path.read_bytes()).hexdigest())


@dataclass(frozen=True)
class Material:
    """The files that are measured on, in order."""

    photos: list[NamedFile]
    textures: list[NamedFile]
    old: list[NamedFile]
    labelled: list[NamedFile]
    """Photos of the material folder; the hash is of photo and mask together."""
    faces: list[tuple[NamedFile, tuple[Region, ...]]] = field(default_factory=list)
    """Photos with faces, and the faces."""

    @property
    def textures_sha256(self) -> str:
        """One hash of all textures."""
        listing = "".join(f"{file.path.name}:{file.sha256}\n" for file in self.textures)
        return hashlib.sha256(listing.encode()).hexdigest()


def find_material(settings: ComparisonSettings, *, faces: FaceCache | None = None) -> Material:
    """Gives the held-out files of the folders; each is read once.

    Args:
        settings: the folders, and how many of each.
        faces: what is known of faces already.

    Raises:
        ConfigError: there are no held-out photos.
    """
    counts = (settings.drawn_count, settings.kind_count, settings.text_count, settings.prior_photos)
    most = max(*counts, settings.inpainted_count)
    photos = held_out_photos(settings.photos_dir, role=settings.role, count=most)
    textures = sorted(settings.textures_dir.rglob("*")) if settings.textures_dir else []
    textures = [p for p in textures if p.is_file() and is_held_out(p.name)]
    old: list[Path] = []
    if settings.old_dir is not None and settings.old_count:
        old = held_out_photos(settings.old_dir, role="all", count=settings.old_count)
    files = ([NamedFile.of(path) for path in paths] for paths in (photos, textures, old))
    return Material(*files, _labelled(settings.labelled_dir), list(_with_faces(settings, faces or FaceCache(None))))


def _with_faces(settings: ComparisonSettings, known: FaceCache) -> Iterator[tuple[NamedFile, tuple[Region, ...]]]:
    """Yields the first held-out photos that have faces, as they are measured."""
    left = settings.faces_count
    for path in held_out_photos(settings.photos_dir, role=settings.role) if left else ():
        file, photo = NamedFile.of(path), read_photo(path)
        clean = centre_crop(photo) if settings.side_px is None else centre_square(photo, settings.side_px)
        found = known.faces(clean, file.sha256)
        if found:
            yield file, found
            left -= 1
        if not left:
            break
    known.save()


def _labelled(folder: Path | None) -> list[NamedFile]:
    """Gives the labelled test photos of a material folder."""
    if folder is None:
        return []
    found = []
    for mask in sorted((folder / "labelled" / "test").glob("*.mask.png")):
        photo = mask.with_name(mask.name.replace(".mask.png", ".png"))
        if not photo.exists():
            raise ConfigError(f"{photo} is missing, and its mask is there; lay the material folder down again")
        found.append(NamedFile(photo, hashlib.sha256(photo.read_bytes() + mask.read_bytes()).hexdigest()))
    if not found:
        raise ConfigError(f"{folder}/labelled/test has no photo with a mask; give a material folder, or leave it out")
    return found


@dataclass(frozen=True)
class Case:
    """One damaged photo, which all methods are given, or a real old one, with a label or without."""

    photo: NamedFile
    generator: Generator | Literal["none"]
    kind: Kind | Part | Few | Literal["old", "labelled"]
    severity: Severity | Literal["as found"]
    seed: int
    side_px: int | None
    shown: bool
    """Its pictures are kept."""
    regions: tuple[Region, ...] = ()
    """Where figures are taken; of words, only who draws them knows."""

    @property
    def damage_kind(self) -> Kind:
        """The kind of damage that is laid on it."""
        assert self.kind not in ("old", "labelled"), "nothing is laid on real photos"
        return "mixed" if self.kind in (*PARTS, FEW) else cast(Kind, self.kind)

    @property
    def identity(self) -> dict[str, object]:
        """What decides its pixels, for keys: plain values."""
        identity = {
            "photo": self.photo.sha256, "generator": self.generator, "kind": self.kind, "severity": self.severity,
            "seed": self.seed, "side_px": self.side_px, "generator_version": GENERATOR_VERSION,
        }  # fmt: skip
        return identity | ({"regions": [asdict(region) for region in self.regions]} if self.regions else {})


def all_cases(settings: ComparisonSettings, material: Material) -> Iterator[Case]:
    """Yields the cases: mixed damage, each kind at each severity, faces, words, the few photos; then real photos."""
    sets: list[tuple[Kind, Severity, int]] = [("mixed", "drawn", settings.drawn_count)]
    sets += [(kind, severity, settings.kind_count) for kind in KINDS for severity in LEVELS]
    for generator in settings.generators:
        for kind, severity, count in sets:
            for index, photo in enumerate(material.photos[:count]):
                seed, shown = photo_seed(settings.seed, index), index < settings.shown
                yield Case(photo, generator, kind, severity, seed, settings.side_px, shown)
        yield from _parts(settings, material, generator)
        for index, photo in enumerate(material.photos[: settings.prior_photos]):
            seed, shown = photo_seed(settings.seed, index), index < 2 * settings.shown
            yield Case(photo, generator, FEW, "drawn", seed, settings.prior_side_px, shown)
    for index, photo in enumerate(material.old):
        shown = index < 2 * settings.shown
        yield Case(photo, "none", "old", "as found", 0, settings.side_px and 2 * settings.side_px, shown)
    for photo in material.labelled:
        yield Case(photo, "none", "labelled", "as found", 0, None, shown=False)


def _parts(settings: ComparisonSettings, material: Material, generator: Generator) -> Iterator[Case]:
    for index, (photo, faces) in enumerate(material.faces):
        seed, shown = photo_seed(settings.seed, index), index < 4 * settings.shown
        yield Case(photo, generator, "faces", "drawn", seed, settings.side_px, shown, faces)
    for index, photo in enumerate(material.photos[: settings.text_count]):
        # The lowest bit tells print from handwriting: half of the photos each.
        seed, shown = 2 * photo_seed(settings.seed, index) + index % 2, index < 2 * settings.shown
        yield Case(photo, generator, "text", "drawn", seed, settings.side_px, shown)
