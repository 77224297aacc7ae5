"""provenance.json: written, read, and turned back into a row."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.errors import ProvenanceError
from storage.keys import WorkParameters, work_hash
from storage.provenance import build_provenance, parameters_of, provenance_bytes, read_provenance, restoration_of
from storage.records import PhotoWork, SourceRef
from tests.store.makers import PARAMETERS, WEIGHTS, failed, restored, sha

PARAMETER_SETS = st.builds(
    WorkParameters,
    weights_hash=st.just(WEIGHTS),
    mode=st.sampled_from(["full", "scratches"]),
    tone=st.sampled_from(["correct", "neutral", "keep"]),
    mending=st.sampled_from(["sure", "normal", "everything"]),
    strength=st.floats(0, 1),
    output_format=st.sampled_from(["auto", "tif", "png"]),
    mask_sha256=st.none() | st.just(sha("mask")),
)


def work_for(parameters: WorkParameters, key: str = "a.jpg") -> PhotoWork:
    source = SourceRef(collection_id=1, collection_url="file:///scans", key=key, browse_folder="")
    return PhotoWork(
        photo_sha256=sha("a.jpg"), work_hash=work_hash(parameters), sources=(source,), size_bytes=1000, format="JPEG",
        height=300, width=400, channels=3, bit_depth=8, mask_sha256=parameters.mask_sha256,
        mask_source="detected" if parameters.mask_sha256 is None else "supplied",
    )  # fmt: skip


@settings(max_examples=50)
@given(PARAMETER_SETS, st.text(max_size=20))
def test_a_document_gives_back_parameters_and_record(parameters: WorkParameters, key: str) -> None:
    """So that the work can be redone, and a lost row put back."""
    mask = parameters.mask_sha256
    record = restored(
        "a.jpg", parameters, mask_source="supplied" if mask else "detected", supplied_mask_sha256=mask,
        report={"tiles": 4}, finished_at="2026-01-02T03:04:05Z",
    )  # fmt: skip
    data = provenance_bytes(build_provenance(record, work_for(parameters, key), parameters))
    document = read_provenance(data)
    assert provenance_bytes(document) == data
    assert parameters_of(document) == parameters
    assert record.provenance_key is not None
    assert restoration_of(document, provenance_key=record.provenance_key) == record
    assert document["master"]["sources"] == [{"url": "file:///scans", "key": key}]


def test_a_label_applies_to_the_photos_own_work() -> None:
    """The parameters are the run's; the work carries the label's mask."""
    labelled = PARAMETERS.with_label(sha("m1"))
    work = replace(work_for(labelled), mask_source="label")
    record = restored("a.jpg", labelled, mask_source="label", supplied_mask_sha256=sha("m1"), mask_joined=True)
    document = read_provenance(provenance_bytes(build_provenance(record, work, PARAMETERS)))
    assert document["mask"] == {"source": "label", "supplied_sha256": sha("m1"), "joined": True}
    assert parameters_of(document) == labelled


def test_a_document_of_a_label_in_the_detectors_place_is_read_as_it_was_meant() -> None:
    """Written before labels were joined with the detected mask, and so without a word on it."""
    replaced = PARAMETERS.with_mask(sha("m1"))
    work = replace(work_for(replaced), mask_source="supplied")
    record = restored("a.jpg", replaced, mask_source="label", supplied_mask_sha256=sha("m1"))
    document = build_provenance(record, work, replaced)
    del document["mask"]["joined"]
    found = read_provenance(provenance_bytes(document))
    assert parameters_of(found) == replaced
    assert restoration_of(found, provenance_key=str(record.provenance_key)) == record


def test_a_document_from_before_there_was_mending_is_read_as_normal() -> None:
    """Its work hash is without mending, and it names no file of what was found; a word left out later is noticed."""
    before = replace(
        restored("a.jpg"), work_hash=work_hash(PARAMETERS, with_mending=False), found_key=None, found_sha256=None
    )
    document = build_provenance(restored("a.jpg"), work_for(PARAMETERS), PARAMETERS)
    assert document["derivatives"]["found"] == {
        "key": restored("a.jpg").found_key, "sha256": restored("a.jpg").found_sha256
    }  # fmt: skip
    del document["parameters"]["mending"], document["derivatives"]["found"]
    with pytest.raises(ProvenanceError, match="edited"):
        read_provenance(provenance_bytes(document))
    document["work_hash"] = before.work_hash
    found = read_provenance(provenance_bytes(document))
    assert parameters_of(found) == PARAMETERS
    assert restoration_of(found, provenance_key=str(before.provenance_key)) == before


def test_what_does_not_belong_together_is_refused() -> None:
    """Other parameters, another photo, a failure, numbers that JSON has not."""
    keep = WorkParameters(weights_hash=WEIGHTS, tone="keep")
    for record, parameters in (
        (restored("a.jpg"), keep),
        (restored("b.jpg"), PARAMETERS),
        (failed("a.jpg"), PARAMETERS),
    ):
        with pytest.raises(ProvenanceError):
            build_provenance(record, work_for(PARAMETERS), parameters)
    odd = restored("a.jpg", mean_change=float("nan"))
    with pytest.raises(ProvenanceError, match="plain JSON"):
        provenance_bytes(build_provenance(odd, work_for(PARAMETERS), PARAMETERS))


def test_edited_and_foreign_documents_are_refused() -> None:
    """With what is wrong."""
    document = build_provenance(restored("a.jpg"), work_for(PARAMETERS), PARAMETERS)
    edited = json.loads(provenance_bytes(document))
    edited["parameters"]["mending"] = "everything"
    with pytest.raises(ProvenanceError, match="edited"):
        read_provenance(provenance_bytes(edited))
    del edited["work_hash"]
    for data, said in ((b"{", "no JSON"), (b"[]", "schema"), (b'{"schema": "x/1"}', "'x/1'"), (b"\xff", "no JSON"),
                       (provenance_bytes(edited), "work_hash")):  # fmt: skip
        with pytest.raises(ProvenanceError, match=said):
            read_provenance(data)
