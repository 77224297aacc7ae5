"""A release's card: what it is called, what is in it, and what is known about it. Reads JSON, never torch.

    {folder}/card.json                 name, preset, weights hash, files with SHA-256, data, figures
    {folder}/{detector,vae_x,vae_y,translation,look}.safetensors
    {folder}/uncertainty.safetensors    where there is one: see `oldphoto_core.releases.uncertainty`

A release's name is immutable and carries its weights: `archive-<weights hash[:8]>`. `default` is an alias.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oldphoto_core.errors import ReleaseError

CARD_NAME = "card.json"
CARD_VERSION = 1
DEFAULT_FOLDER = Path(__file__).parent / "default"
"""Where the packaged release lies."""


@dataclass(frozen=True)
class ReleaseCard:
    """What a release's card says.

    Attributes:
        name: `archive-<weights hash[:8]>`.
        weights_hash: SHA-256, hexadecimal, of all weights and the operating point; see `weights_hash`.
        preset: name of the sizes the networks are built with.
        folder: where card and weights lie.
        files: file name -> SHA-256 of each weights file.
        metrics: figures measured on held-out photos.
        card: the whole card.
    """

    name: str
    weights_hash: str
    preset: str
    folder: Path
    files: Mapping[str, str]
    metrics: Mapping[str, Any] = field(default_factory=dict)
    card: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def companions(self) -> tuple[str, ...]:
        """Names of files that change no pixel and are no part of the hash: the uncertainty head, where there is one."""
        entry = self.card.get("uncertainty")
        return (str(entry["file"]),) if entry else ()

    @property
    def logit_offset(self) -> float:
        """What is added to the detector's logits, so that 0.5 is as often wrong as its parent's was."""
        return float((self.card.get("operating") or {}).get("logit_offset", 0.0))

    def verify(self) -> None:
        """Reads every weights file and compares it with the card.

        Raises:
            ReleaseError: a file is missing or altered.
        """
        for name, expected in self.files.items():
            path = self.folder / name
            if not path.is_file():
                raise ReleaseError(f"release {self.name}: {path} is missing; install the release again")
            found = hashlib.sha256(path.read_bytes()).hexdigest()
            if found != expected:
                raise ReleaseError(
                    f"release {self.name}: {path} was altered: expected SHA-256 {expected[:12]}…, found {found[:12]}…;"
                    " install the release again"
                )


def weights_hash(
    files: Mapping[str, str], operating: Mapping[str, float] | None = None, *, fills: bool = False
) -> str:
    """Gives the hash of a release: SHA-256 over all that decides its pixels.

    That is its weights files' names and hashes, in order of name, its operating point where it has one, and whether
    damaged places are filled before E_RX sees them: the same weights at another threshold restore otherwise, and are
    another release.
    """
    listing = "".join(f"{name}:{digest}\n" for name, digest in sorted(files.items()))
    if operating:
        listing += f"operating:{json.dumps(dict(operating), sort_keys=True)}\n"
    if fills:
        listing += "fills\n"
    return hashlib.sha256(listing.encode()).hexdigest()


def find_release(name_or_path: str | Path = "default", *, search: Sequence[Path] = ()) -> ReleaseCard:
    """Finds a release by name, alias or folder, and reads its card.

    Args:
        name_or_path: `default` (the packaged release), a folder that holds a card, or a release's name.
        search: folders whose sub-folders are looked through for a name, besides the packaged release.

    Raises:
        ReleaseError: there is no such release, or its card cannot be read.
    """
    wanted = str(name_or_path)
    if wanted == "default":
        return read_card(DEFAULT_FOLDER)
    if (Path(wanted) / CARD_NAME).is_file():
        return read_card(Path(wanted))
    known = []
    for folder in [DEFAULT_FOLDER, *(sub for root in search if root.is_dir() for sub in sorted(root.iterdir()))]:
        if (folder / CARD_NAME).is_file():
            card = read_card(folder)
            if card.name == wanted:
                return card
            known.append(card.name)
    listing = ", ".join(sorted(set(known))) or "none"
    raise ReleaseError(f"there is no release {wanted!r}; known here: {listing}; or give a folder with a {CARD_NAME}")


def read_card(folder: Path) -> ReleaseCard:
    """Reads and checks a folder's card.

    Raises:
        ReleaseError: the card is missing, broken, of a newer version, or its name and hash do not agree.
    """
    path = folder / CARD_NAME
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        version, files = card["card_version"], dict(card["files"])
        name, digest, preset = card["name"], card["weights_hash"], card["preset"]
        operating, fills = dict(card.get("operating") or {}), bool(card.get("fills", False))
    except FileNotFoundError:
        raise ReleaseError(f"{path}: there is no release here; expected a {CARD_NAME} and weights") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ReleaseError(f"{path}: the card cannot be read ({type(error).__name__}: {error})") from None
    if version > CARD_VERSION:
        raise ReleaseError(f"{path}: card version {version}, but this oldphoto reads {CARD_VERSION}; upgrade oldphoto")
    if digest != weights_hash(files, operating, fills=fills):
        raise ReleaseError(
            f"{path}: the card's weights hash does not fit its files and operating point; install the release again"
        )
    return ReleaseCard(
        name=name,
        weights_hash=digest,
        preset=preset,
        folder=folder,
        files=files,
        metrics=card.get("metrics", {}),
        card=card,
    )
