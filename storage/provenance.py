"""``provenance.json``: beside every restoration, what it was made from, by what, with which parameters.

Written last of an attempt's objects, so that a folder that has one is whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from storage.errors import ProvenanceError
from storage.keys import WorkParameters, work_hash
from storage.records import FIDELITY, PhotoWork, RestorationRecord

SCHEMA = "oldphoto/provenance/1"
_DERIVATIVES = ("restored", "mask", "found", "difference", "preview")
_FIGURES = ("mask_coverage", "change_outside_mask", "mean_change", *FIDELITY)
_MADE_BY = ("code_version", "device", "precision", "seconds", "megapixels", "run_id", "flow_run_id", "finished_at")


def build_provenance(restoration: RestorationRecord, work: PhotoWork, parameters: WorkParameters) -> dict[str, Any]:
    """The document of a restoration that did not fail.

    Raises:
        ProvenanceError: restoration, work and parameters do not belong together.
    """
    wanted = parameters if work.mask_source != "label" else parameters.with_label(str(work.mask_sha256))
    if not restoration.work_hash == work.work_hash == work_hash(wanted):
        raise ProvenanceError(f"the work hash of photo {work.photo_sha256} does not follow from its parameters")
    if restoration.photo_sha256 != work.photo_sha256 or restoration.restored_sha256 is None:
        raise ProvenanceError(f"the restoration of photo {work.photo_sha256} is another photo's, or failed")
    return {
        "schema": SCHEMA,
        "master": {
            "sha256": work.photo_sha256,
            "size_bytes": work.size_bytes,
            "format": work.format,
            "height": work.height,
            "width": work.width,
            "channels": work.channels,
            "bit_depth": work.bit_depth,
            "sources": [{"url": source.collection_url, "key": source.key} for source in work.sources],
        },
        "release": {"name": restoration.release, "weights_hash": restoration.weights_hash},
        "parameters": {
            "mode": parameters.mode,
            "tone": parameters.tone,
            "mending": parameters.mending,
            "strength": float(parameters.strength),
            "output_format": parameters.output_format,
            "pixel_version": parameters.pixel_version,
        },
        "mask": {
            "source": restoration.mask_source, "supplied_sha256": restoration.supplied_mask_sha256,
            "joined": restoration.mask_joined,
        },
        "work_hash": restoration.work_hash,
        "outcome": restoration.outcome,
        "output_format": restoration.output_format,
        "derivatives": {
            name: {"key": getattr(restoration, f"{name}_key"), "sha256": getattr(restoration, f"{name}_sha256")}
            for name in _DERIVATIVES
            if getattr(restoration, f"{name}_key") is not None
        },
        "figures": {name: getattr(restoration, name) for name in _FIGURES},
        "report": dict(restoration.report),
        "made_by": {name: getattr(restoration, name) for name in _MADE_BY},
    }


def provenance_bytes(document: Mapping[str, Any]) -> bytes:
    """The document as it is written: UTF-8, sorted, indented, the same bytes for the same document."""
    try:
        text = json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
        return text.encode() + b"\n"
    except (TypeError, ValueError) as error:
        raise ProvenanceError(f"a provenance document that is not plain JSON: {error}") from error


def read_provenance(data: bytes) -> dict[str, Any]:
    """The document in these bytes.

    Raises:
        ProvenanceError: no JSON, another schema, or a work hash that does not follow from the parameters.
    """
    try:
        document = json.loads(data)
    except ValueError as error:
        raise ProvenanceError(f"provenance.json is no JSON: {error}") from error
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != SCHEMA:
        raise ProvenanceError(f"provenance.json has schema {schema!r}; expected {SCHEMA!r}")
    try:
        expected = work_hash(parameters_of(document), with_mending="mending" in document["parameters"])
        if expected != document["work_hash"]:
            raise ProvenanceError("provenance.json: the work hash does not follow from the parameters; was it edited?")
    except (KeyError, TypeError) as error:
        raise ProvenanceError(f"provenance.json lacks or garbles {error}") from error
    return dict(document)


def parameters_of(document: Mapping[str, Any]) -> WorkParameters:
    """The parameters that the restoration was made with: hand them in again to make it again."""
    mask = document["mask"]
    return WorkParameters(
        weights_hash=document["release"]["weights_hash"], mask_sha256=mask["supplied_sha256"],
        mask_joined=mask.get("joined", False), **document["parameters"],
    )  # fmt: skip


def restoration_of(document: Mapping[str, Any], *, provenance_key: str) -> RestorationRecord:
    """The catalogue's record of the restoration, to put back a row that was lost after the objects were written."""
    parameters = dict(document["parameters"])
    del parameters["output_format"]  # the policy; the record keeps what came of it
    derivatives = {
        f"{name}_{part}": found[part] for name, found in document["derivatives"].items() for part in ("key", "sha256")
    }
    return RestorationRecord(
        photo_sha256=document["master"]["sha256"],
        work_hash=document["work_hash"],
        release=document["release"]["name"],
        weights_hash=document["release"]["weights_hash"],
        outcome=document["outcome"],
        mask_source=document["mask"]["source"],
        supplied_mask_sha256=document["mask"]["supplied_sha256"],
        mask_joined=document["mask"].get("joined", False),
        output_format=document["output_format"],
        provenance_key=provenance_key,
        report=document["report"],
        **parameters,
        **derivatives,
        **document["figures"],
        **document["made_by"],
    )
