"""The sample archive: openly licensed pictures that our libraries ship, with damage of our own making.

So the first run needs no download, and nobody's family is shown. Every name says that the damage is synthetic.
The archive is a little untidy, as archives are: sub-folders with blanks and umlauts, three formats, 8 and 16 bits,
a sidecar and a duplicate.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image

from oldphoto_core.color import luma, srgb_profile
from oldphoto_core.encoding import OutputFormat, encode_image
from oldphoto_core.errors import ConfigError
from oldphoto_core.images import decode_image
from oldphoto_core.previews import mask_png, to_eight_bits

if TYPE_CHECKING:
    from oldphoto_core.degradation import Recipe

SCAN_DPI = (300.0, 300.0)
"""Resolution that the scans claim."""

README_NAME = "README.txt"
"""Written last: where it stands, the archive is whole."""

_SIDECAR = "Family album/Astronaut, synthetic damage.jpg.xmp"
_DUPLICATE = "To be sorted/Copy of Dahlia, synthetic damage.png"
_DUPLICATE_OF = "Still life/Dahlia, synthetic damage.png"


@dataclass(frozen=True)
class SamplePhoto:
    """A picture of a library, and what becomes of it."""

    key: str
    """Path in the archive; its suffix decides the format."""

    package: Literal["skimage", "sklearn"]
    file: str
    """Path in that package."""

    seed: int
    """Of the damage; chosen by eye."""

    finish: Literal["toned", "grey", "colour"]
    """What the photo is: a grey scene on a toned print, a grey scan, or a colour photo."""

    source: str
    """Author and licence, for the README."""


SAMPLES = (
    SamplePhoto(
        key="Family album/Astronaut, synthetic damage.jpg",
        package="skimage",
        file="data/astronaut.png",
        seed=31,
        finish="toned",
        source="Eileen Collins, by NASA; public domain, https://flic.kr/p/r9qvLn",
    ),
    SamplePhoto(
        key="Family album/Cat, synthetic damage.png",
        package="skimage",
        file="data/chelsea.png",
        seed=34,
        finish="grey",
        source="Chelsea, by Stefan van der Walt; CC0",
    ),
    SamplePhoto(
        key="Family album/Photographer, synthetic damage.tif",
        package="skimage",
        file="data/camera.png",
        seed=36,
        finish="grey",
        source="by Lav Varshney; CC0",
    ),
    SamplePhoto(
        key="Still life/Cup of coffee, synthetic damage.jpg",
        package="skimage",
        file="data/coffee.png",
        seed=21,
        finish="colour",
        source="by Rachel Michetti, courtesy of Pikolo Espresso Bar; CC0",
    ),
    SamplePhoto(
        key=_DUPLICATE_OF,
        package="sklearn",
        file="datasets/images/flower.jpg",
        seed=34,
        finish="colour",
        source="by vultilion; CC BY 2.0, https://www.flickr.com/photos/vultilion/6056698931/",
    ),
    SamplePhoto(
        key="Übersee/Chinese pavilion, synthetic damage.tif",
        package="sklearn",
        file="datasets/images/china.jpg",
        seed=39,
        finish="toned",
        source="by danielbuechele; CC BY 2.0, https://www.flickr.com/photos/danielbuechele/6061409035/",
    ),
    SamplePhoto(
        key="Übersee/Rocket before launch, synthetic damage.jpg",
        package="skimage",
        file="data/rocket.jpg",
        seed=29,
        finish="toned",
        source="Falcon 9 with DSCOVR, by SpaceX; public domain, https://www.flickr.com/photos/spacexphotos/16511594820/",
    ),
)
"""What the archive is made of; each file is part of the wheel of its package."""


def make_sample_archive(folder: Path, *, seed: int = 0, truth_folder: Path | None = None) -> list[Path]:
    """Writes the sample archive and gives the paths of its files.

    The same seed gives the same files on the same kind of machine. About five seconds on two cores.

    Args:
        folder: Where to; made if need be. Files of the same names are replaced.
        seed: 0 gives the damage that was chosen by eye; any other, other damage.
        truth_folder: Where the undamaged pictures and the masks go, for tests; nowhere where None.

    Raises:
        ConfigError: a library has come without its sample pictures.
    """
    written: dict[str, bytes] = {}
    for sample, damaged, clean, mask in _damage(seed):
        written[sample.key] = _encode(damaged, sample)
        if truth_folder is not None:
            truth = truth_folder / sample.key
            _write(truth.with_name(truth.name + ".clean.png"), encode_image(_to_bytes(clean), format="png"))
            _write(truth.with_name(truth.name + ".mask.png"), mask_png(mask))
    written[_DUPLICATE] = written[_DUPLICATE_OF]
    written[_SIDECAR] = _XMP.encode()
    written[README_NAME] = _readme().encode()
    return [_write(folder / key, data) for key, data in written.items()]


def sample_recipe(finish: Literal["toned", "grey", "colour"]) -> Recipe:
    """Gives the damage of the sample archive: every photo faded and scratched, none beyond recognition."""
    from oldphoto_core.degradation import Recipe

    return replace(
        Recipe.default(),
        kind_shares=(0.0, 0.0, 0.0, 1.0),
        grey_share=0.0 if finish == "colour" else 1.0,
        severity=(0.35, 0.65),
        severity_power=1.0,
        tone_severity_power=1.0,
        p_negative=0.0,
        p_halftone=0.0,
        p_lens_blur=0.3,
        p_grain=0.8,
        p_tone=1.0,
        p_scan_tone=0.0,
        p_mirroring=0.03,
        p_fingerprint=0.0,
        p_crease=0.35,
        p_scratch=1.0,
        p_dust=0.8,
        p_hair=0.3,
        p_hole=0.1,
        p_border=0.08,
        p_resize=0.2,
        p_noise=0.2,
        p_jpeg=0.3,
        p_second_jpeg=0.0,
    )


def _damage(seed: int) -> Iterator[tuple[SamplePhoto, np.ndarray, np.ndarray, np.ndarray]]:
    """Gives each sample with its damaged and clean picture (H, W, 3) in [0, 1] and its mask (H, W)."""
    import torch

    from oldphoto_core.degradation import Degradation, TextureLibrary

    textures = TextureLibrary.procedural()
    for sample in SAMPLES:
        pixels = _read(sample)
        clean = torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)[None].contiguous()
        generator = torch.Generator().manual_seed(1000 * seed + sample.seed)
        batch = Degradation(sample_recipe(sample.finish), textures)(clean, generator)
        planes = [tensor[0].permute(1, 2, 0).numpy() for tensor in (batch.image, batch.target, batch.mask)]
        yield sample, planes[0], planes[1], planes[2][..., 0]


def _read(sample: SamplePhoto) -> np.ndarray:
    package = find_spec(sample.package)
    folder = Path((package.submodule_search_locations or ["."])[0]) if package else None
    if folder is None or not (folder / sample.file).is_file():
        raise ConfigError(
            f"{sample.package}/{sample.file}: expected a sample picture of that library, found none; "
            "install scikit-image and scikit-learn from their wheels, or restore photos of your own"
        )
    pixels = decode_image((folder / sample.file).read_bytes(), sample.file).pixels
    return pixels if pixels.ndim == 3 else np.dstack([pixels] * 3)


def _encode(damaged: np.ndarray, sample: SamplePhoto) -> bytes:
    format: OutputFormat = PurePosixPath(sample.key).suffix[1:]  # type: ignore[assignment]
    exif = _exif(sample)
    if sample.finish != "grey":
        return encode_image(_to_bytes(damaged), format=format, icc_profile=srgb_profile(), dpi=SCAN_DPI, exif=exif)
    deep = np.rint(luma(np.rint(np.clip(damaged, 0, 1) * 65_535).astype(np.uint16)) * 65_535).astype(np.uint16)
    # The TIFF is a scan of 16 bits.
    return encode_image(deep if format == "tif" else to_eight_bits(deep), format=format, dpi=SCAN_DPI, exif=exif)


def _to_bytes(picture: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)


def _exif(sample: SamplePhoto) -> bytes:
    exif = Image.Exif()
    exif[0x010E] = f"{PurePosixPath(sample.key).stem}; {sample.source}"
    exif[0x0131] = "oldphoto"
    return exif.tobytes()


def _write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def _readme() -> str:
    lines = [f"{sample.key}\n    {sample.package}/{sample.file}: {sample.source}\n" for sample in SAMPLES]
    return _README.format(photos="\n".join(lines), duplicate=_DUPLICATE, original=_DUPLICATE_OF, sidecar=_SIDECAR)


_README = """Sample archive of oldphoto

These are modern photographs, damaged on purpose by oldphoto's own degradation
so that there is something to restore. No scratch or stain here is real. The
pictures come with scikit-image and scikit-learn; the damage may be used
freely, the pictures under the licences named below.

{photos}
{duplicate}
    the same bytes as {original}: archives hold copies

{sidecar}
    a sidecar, to be ignored
"""

_XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="5"/>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
"""
