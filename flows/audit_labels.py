"""What an audit's findings in the labels store mean: people's work, which nothing here can make again."""

from __future__ import annotations

from flows.audit_checks import Checked, CheckedPhoto
from flows.audit_findings import BatchFindings, Finding


def add_labels(batch: BatchFindings, result: CheckedPhoto) -> None:
    """Adds what was found of a photo's label masks; they are left as they are."""
    for file, checked in result.labels:
        if checked.verdict == "sound":
            batch.sound_labels.append(file.sha256)
            continue
        message = _message(file.label_id, checked)
        batch.findings.append(Finding(photo_sha256=result.photo.sha256, checked=checked, message=message))


def _message(label_id: int, checked: Checked) -> str:
    where = f"{checked.key}: of label {label_id}"
    if checked.verdict == "unreadable":
        return f"{where}: cannot be read now, so nothing is known of it: {checked.reason}"
    expected = f"expected SHA-256 {(checked.expected or '')[:12]}…"
    if checked.verdict == "gone":
        return f"{where}: gone ({expected}, found nothing); bring it back from a backup, or import its export again"
    return (
        f"{where}: changed ({expected}, found {(checked.found or '')[:12]}…); bring it back from a backup, or take it "
        "away and import its export again"
    )
