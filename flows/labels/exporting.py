"""Photos to label, laid into a folder for a labelling tool, with what was detected to begin from.

    photos/{name}.{sha256}.png      upright, 8 bits, whole, in the photo's own colour profile
    detected/{name}.{sha256}.png    what the detector marks, white on black
    tasks.json, label_config.xml    the same for Label Studio: tasks with the marks as predictions

The hash in the names finds the photo again at import, wherever the files went.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from flows.errors import UsageError
from flows.labels.suggesting import Suggestion
from flows.progress import progress
from flows.settings import Settings
from oldphoto_core.errors import CoreError
from oldphoto_core.images import DecodeLimits, open_image
from oldphoto_core.labels.brush_rle import encode_brush
from oldphoto_core.png_writing import write_png
from oldphoto_core.previews import eight_bits_of, read_mask_codes, write_mask_png
from oldphoto_core.scan import ArrayScan
from storage.errors import ObjectStoreError
from storage.local_files import write_atomically
from storage.objects import ObjectStore, SourceStore

DAMAGE = "damage"
"""The label's name in Label Studio."""

LABEL_CONFIG = f"""<View>
  <Image name="image" value="$image" zoom="true" zoomControl="true"/>
  <BrushLabels name="brush" toName="image"><Label value="{DAMAGE}" background="#ff0000"/></BrushLabels>
  <PolygonLabels name="polygon" toName="image"><Label value="{DAMAGE}" background="#ff0000"/></PolygonLabels>
</View>
"""

_MARKED_FROM = 128
_NAME_LENGTH = 60


def export_photos(settings: Settings, suggestions: Sequence[Suggestion], folder: Path) -> list[tuple[str, str]]:
    """Writes the photos, and gives (key, reason) of those that cannot be had; they are left out.

    Raises:
        UsageError: the folder is there and holds something.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"--export {folder} is there already and holds something; name a new folder")
    for part in ("photos", "detected"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    tasks: list[dict[str, Any]] = []
    problems: list[tuple[str, str]] = []
    progress().begin("Writing photos", len(suggestions))
    for suggestion in suggestions:
        try:
            tasks.append(_export(settings, suggestion, folder))
        except (CoreError, ObjectStoreError) as error:
            problems.append((suggestion.source_key, str(error)))
        progress().advance()
    write_atomically(folder / "tasks.json", json.dumps(tasks, ensure_ascii=False, indent=1).encode(), overwrite=False)
    write_atomically(folder / "label_config.xml", LABEL_CONFIG.encode(), overwrite=False)
    return problems


def _export(settings: Settings, suggestion: Suggestion, folder: Path) -> dict[str, Any]:
    """One photo's files; gives its task."""
    name = f"{_plain(suggestion.source_key)}.{suggestion.photo_sha256}.png"
    url = settings.derivatives_url
    store = ObjectStore(url, settings.store_options(url, "derivatives"))
    detected = store.read_bytes(suggestion.found_key)
    source = SourceStore(suggestion.source_url, settings.store_options(suggestion.source_url))
    with ExitStack() as files:
        whole = files.enter_context(source.open_whole(suggestion.source_key))
        if whole.sha256 != suggestion.photo_sha256:
            raise ObjectStoreError("changed since it was registered; run `oldphoto ingest` again")
        limits = DecodeLimits(max_pixels=round(settings.max_megapixels * 1e6))
        image = files.enter_context(open_image(whole.file, suggestion.source_key, limits, hashed=False))
        codes = read_mask_codes(detected, image.scan.shape, suggestion.found_key)
        mask = (codes >= _MARKED_FROM).astype(np.uint8) * np.uint8(255)
        out = io.BytesIO()
        write_png(out, eight_bits_of(image.scan), icc_profile=image.icc_profile)
        write_atomically(folder / "photos" / name, out.getvalue(), overwrite=False)
    marks = io.BytesIO()
    write_mask_png(marks, ArrayScan(mask))
    write_atomically(folder / "detected" / name, marks.getvalue(), overwrite=False)
    data = {"image": f"/data/local-files/?d=photos/{name}", "sha256": suggestion.photo_sha256,
            "key": suggestion.source_key, "why": suggestion.why}  # fmt: skip
    return {"data": data, "predictions": _predictions(mask)}


def _predictions(mask: np.ndarray) -> list[dict[str, Any]]:
    if not mask.any():
        return []
    height, width = mask.shape
    region = {
        "type": "brushlabels", "from_name": "brush", "to_name": "image", "original_height": height,
        "original_width": width, "image_rotation": 0,
        "value": {"format": "rle", "rle": encode_brush(mask), "brushlabels": [DAMAGE]},
    }  # fmt: skip
    return [{"model_version": "oldphoto", "result": [region]}]


def _plain(key: str) -> str:
    """The file's name without its extension, as any file system and URL takes it."""
    stem = key.rpartition("/")[2].rpartition(".")[0] or key.rpartition("/")[2]
    return re.sub(r"[^\w.-]+", "_", stem)[:_NAME_LENGTH].strip(".") or "photo"
