"""Names of work and of what it makes: work hashes, derivative keys, browse paths. Pure functions."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from storage.errors import WorkParametersError

Mode = Literal["full", "scratches"]
Tone = Literal["correct", "neutral", "keep"]
Mending = Literal["sure", "normal", "everything"]
OutputFormat = Literal["auto", "tif", "png", "jpg"]
"""``auto`` is lossless: TIFF or PNG as the master's depth needs."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_EXTENSION = re.compile(r"[a-z0-9]{1,8}")
_DOTS = re.compile(r"_*\.{0,2}")
_BROWSE_ENDING = re.compile(r"\.(?:tif|png|jpg)_*\Z", re.IGNORECASE)
_NAME_LIMIT_BYTES = 255
_FITTING = {"tif": ("tif", "tiff"), "jpg": ("jpg", "jpeg", "jpe"), "png": ("png",)}
"""Extensions of masters that a derivative's extension says the same as."""


def canonical_json(document: Mapping[str, Any]) -> bytes:
    """UTF-8 JSON with sorted keys, no spaces and no NaN: equal documents give equal bytes."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def sha256_hex(data: bytes) -> str:
    """SHA-256 of the bytes in lower-case hexadecimal."""
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, kw_only=True)
class WorkParameters:
    """Everything besides the photo that decides the pixels of a restoration.

    Attributes:
        weights_hash: hash of the release's weights (never an alias such as ``default``).
        mode: ``full`` or ``scratches``.
        tone: ``correct``, ``neutral`` or ``keep``.
        mending: how much of the damage that is found is mended: ``sure``, ``normal`` or ``everything``.
        strength: 0 (nothing) to 1 (everything).
        output_format: the policy (``auto``), not the extension that came of it.
        pixel_version: raised whenever code changes pixels.
        mask_sha256: hash of the mask, where one was supplied or a label applies; None where it is detected.
        mask_joined: whether that mask is joined with the detected one, as a label's is, or stands in its place.
    """

    weights_hash: str
    mode: Mode = "full"
    tone: Tone = "correct"
    mending: Mending = "normal"
    strength: float = 1.0
    output_format: OutputFormat = "auto"
    pixel_version: int = 1
    mask_sha256: str | None = None
    mask_joined: bool = False

    def __post_init__(self) -> None:
        if not self.weights_hash:
            raise WorkParametersError("weights_hash is empty; resolve the release before work is keyed")
        if self.mode not in ("full", "scratches"):
            raise WorkParametersError(f"mode is {self.mode!r}; expected full or scratches")
        if self.tone not in ("correct", "neutral", "keep"):
            raise WorkParametersError(f"tone is {self.tone!r}; expected correct, neutral or keep")
        if self.mending not in ("sure", "normal", "everything"):
            raise WorkParametersError(f"mending is {self.mending!r}; expected sure, normal or everything")
        if not 0.0 <= self.strength <= 1.0:
            raise WorkParametersError(f"strength is {self.strength}; expected a number from 0 to 1")
        if self.output_format not in ("auto", "tif", "png", "jpg"):
            raise WorkParametersError(f"output format is {self.output_format!r}; expected auto, tif, png or jpg")
        if self.mode == "scratches" and self.output_format == "jpg":
            raise WorkParametersError(
                "scratches mode keeps pixels bit for bit and JPEG cannot; choose tif, png or auto as the output format"
            )
        if self.mask_sha256 is not None:
            require_sha256(self.mask_sha256, "mask_sha256")
        elif self.mask_joined:
            raise WorkParametersError("mask_joined needs a mask; name its mask_sha256 too")

    def with_mask(self, mask_sha256: str) -> WorkParameters:
        """The same work with this mask in place of the detected one."""
        return replace(self, mask_sha256=mask_sha256, mask_joined=False)

    def with_label(self, mask_sha256: str) -> WorkParameters:
        """The same work with a label's mask joined with the detected one."""
        return replace(self, mask_sha256=mask_sha256, mask_joined=True)


def require_sha256(value: str, name: str) -> str:
    """Gives the value back, or raises where it is no lower-case hexadecimal SHA-256."""
    if not _SHA256.fullmatch(value):
        raise WorkParametersError(f"{name} is {value!r}; expected 64 lower-case hexadecimal digits")
    return value


def work_hash(parameters: WorkParameters, *, with_mending: bool = True) -> str:
    """SHA-256 of the canonical JSON of the parameters; what is said of the mask is left out where it is detected.

    Args:
        parameters: of the work.
        with_mending: False gives the hash of work that was done before there was such a choice.
    """
    document = asdict(parameters)
    document["strength"] = float(parameters.strength)  # 1 and 1.0 are the same work
    if not with_mending:
        del document["mending"]
    if parameters.mask_sha256 is None:
        del document["mask_sha256"]
    if not parameters.mask_joined:
        del document["mask_joined"]
    return sha256_hex(canonical_json(document))


@dataclass(frozen=True)
class DerivativeKeys:
    """Keys of the six objects of one attempt, in the derivatives store."""

    restored: str
    mask: str
    found: str
    difference: str
    preview: str
    provenance: str


def derivative_prefix(photo_sha256: str, *, release: str, work_hash: str, restored_sha256: str) -> str:
    """``{sha[:2]}/{sha}/{release}-{work hash[:12]}/{restored sha[:8]}/``, one folder an attempt."""
    require_sha256(photo_sha256, "photo_sha256")
    require_sha256(work_hash, "work_hash")
    require_sha256(restored_sha256, "restored_sha256")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", release):
        raise WorkParametersError(f"release name is {release!r}; expected letters, digits, dots, dashes, underscores")
    return f"{photo_sha256[:2]}/{photo_sha256}/{release}-{work_hash[:12]}/{restored_sha256[:8]}/"


def derivative_keys(prefix: str, extension: str) -> DerivativeKeys:
    """The six keys under a derivative prefix.

    Args:
        prefix: what :func:`derivative_prefix` gave.
        extension: ``tif``, ``png`` or ``jpg``.
    """
    if not _EXTENSION.fullmatch(extension):
        raise WorkParametersError(f"extension is {extension!r}; expected tif, png or jpg, without the dot")
    return DerivativeKeys(
        restored=f"{prefix}restored.{extension}",
        mask=f"{prefix}mask.png",
        found=f"{prefix}found.png",
        difference=f"{prefix}difference.png",
        preview=f"{prefix}preview.jpg",
        provenance=f"{prefix}provenance.json",
    )


def browse_path(source_key: str, extension: str, *, browse_folder: str = "") -> str:
    """Path below the home where a person finds the restoration: ``browse/<source path>.<extension>``.

    Different source keys of one collection give different paths that never meet as a file and a folder, never leave
    ``browse/``, and fit a file system's 255 bytes a name. Ordinary paths come through as they are.

    Args:
        source_key: the key in its collection.
        extension: ``tif``, ``png`` or ``jpg``.
        browse_folder: the collection's own folder, empty for the first one (``collection.browse_folder``).
    """
    if not _EXTENSION.fullmatch(extension):
        raise WorkParametersError(f"extension is {extension!r}; expected tif, png or jpg, without the dot")
    *folders, name = (_safe_name(part) for part in source_key.split("/"))
    # A folder `a.jpg.tif` would meet the file that `a.jpg` becomes.
    folders = [f"{part}_" if _BROWSE_ENDING.search(part) else part for part in folders]
    parts = ["browse", *([browse_folder] if browse_folder else []), *map(_fit, folders)]
    return "/".join([*parts, _fit(name, len(extension) + 1) + f".{extension}"])


def publication_names(source_key: str, extension: str) -> tuple[str, ...]:
    """What a derivative may be called in the terms of its source's keys, the best first.

    The key itself where the extension fits it (``a.TIF`` for a tif), else the key with the extension behind it; the
    others are for keys that another source object has already.
    """
    if source_key.rpartition(".")[2].lower() in _FITTING.get(extension, ()):
        return (source_key,)
    return tuple(f"{source_key}{'.restored' * times}.{extension}" for times in range(4))


def publication_key(name: str, *, browse_folder: str = "") -> str:
    """Where the derivative of this name stands at a destination; ordinary names come through as they are.

    Args:
        name: one of ``publication_names``.
        browse_folder: the collection's own folder, empty for the first one.
    """
    *folders, last = name.split("/")
    stem, _, extension = last.rpartition(".")
    file_name = f"{_fit(stem.replace(chr(0), chr(0xFFFD)) or '_', len(extension) + 1)}.{extension}"
    return "/".join([*([browse_folder] if browse_folder else []), *(_fit(_safe_name(f)) for f in folders), file_name])


def _safe_name(part: str) -> str:
    """Empty names, ``.`` and ``..`` get an underscore in front, and so does what would then look like them."""
    part = part.replace("\0", "\ufffd")
    return f"_{part}" if _DOTS.fullmatch(part) else part


def _fit(part: str, reserve_bytes: int = 0) -> str:
    """The name, shortened with a hash where it would be too long for a file system."""
    room = _NAME_LIMIT_BYTES - reserve_bytes
    encoded = part.encode("utf-8", "surrogateescape")
    if len(encoded) <= room:
        return part
    mark = f"~{sha256_hex(encoded)[:16]}"
    return encoded[: room - len(mark)].decode("utf-8", "ignore") + mark
