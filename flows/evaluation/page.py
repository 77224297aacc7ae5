"""What was measured, as a page: goals first, then methods, kinds of damage, detection, real photos, harm, pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from flows.evaluation import words
from flows.evaluation.goals import goals_section
from flows.evaluation.grids import picture_rows, real_rows
from flows.evaluation.method_tables import RESTORED, few_section, methods_section, parts_section, table_at
from flows.evaluation.real_photos import real_photos_section
from oldphoto_core.evaluation.comparison.kinds import KINDS, LEVELS
from oldphoto_core.evaluation.comparison.plots import kinds_plot, roc_plot
from storage.reports.evaluation import Cell, EvaluationPage, PageSection, PageTable, Plot

if TYPE_CHECKING:
    from oldphoto_core.evaluation.comparison.running import Comparison

Summary = Mapping[str, Any]

SMALL = 30
"""Photos below which a page says that its figures are from a small count."""

_SEVERITIES = {"drawn": "as drawn", "all": "all severities"}

_HARM = {
    "clean": "Clean photos", "twice": "Old photos, restored twice", "keys": "A night, a white room, a fog",
    "lettering": "Print and handwriting, read by a machine", "lookalikes": "Things that look like damage",
}  # fmt: skip

_FILES = {
    "photos": "clean photos", "faces_photos": "clean photos with faces", "textures": "textures",
    "old_photos": "real photos", "labelled_photos": "labelled photos, with their masks",
}  # fmt: skip


def evaluation_page(summary: Summary, found: Comparison) -> EvaluationPage:
    """Gives the page of a summary, with the pictures that were kept."""
    sections = [
        *goals_section(summary), *real_photos_section(summary), *methods_section(summary), *few_section(summary, found),
        *_kinds(summary, found), *parts_section(summary, found), *_detection(summary), *_real(summary, found),
        *_harm(summary), *_behind(summary),
    ]  # fmt: skip
    return EvaluationPage(
        title=summary["release"] or "classical methods",
        verdict=_verdict(summary),
        facts=_facts(summary),
        tiles=list(_tiles(summary)),
        sections=sections,
        notes=list(_notes(summary)),
    )


def _verdict(summary: Summary) -> str:
    table = table_at(summary, "second", "mixed", "drawn") or next(iter(summary["paired"]), None)
    if table is None:
        return f"Real photos and pure inpainting alone. {_goals_met(summary)}"
    ours = table["methods"].get(RESTORED)
    if ours is None:
        return f"The classical ways on {table['photos']} held-out photos; no release was measured."
    over = ours.get("aligned_psnr_over_classical")
    said = f"Mixed damage that nothing was trained on: {words.sentence(ours['psnr_gain'])} PSNR above the input"
    if over and over["value"] is not None:
        said += (
            f"; tone-aligned, {words.sentence(over)} against the best classical way, which is given the true mask"
            " while the release must find its own"
        )
    return f"{said}. {_goals_met(summary)}"


def _goals_met(summary: Summary) -> str:
    measured = [goal for goal in summary["goals"] if goal["met"] is not None]
    met = sum(goal["met"] for goal in measured)
    interim = [goal["interim_met"] for goal in measured if goal["interim_met"] is not None]
    said = f", and {sum(interim)} of the {len(interim)} interim ones" if interim else ""
    return f"{met} of the {len(measured)} goals that were measured are met{said}."


def _facts(summary: Summary) -> dict[str, str]:
    settings = summary["settings"]
    size = f"{settings['side_px']} px squares" if settings["side_px"] else "whole"
    mixed = f"{settings['drawn_count']} mixed, {settings['kind_count']} a kind and severity; {size}"
    return {
        "Protocol": summary["protocol"],
        "Photos": mixed if summary["paired"] else "no damage of ours",
        "Textures": f"{len(summary['textures'])} held out" if summary["textures"] else "drawn",
        "Real photos": f"{len(summary['old_photos'])}",
        "Faces, words": f"{len(summary['faces_photos'])} photos with faces, {settings['text_count']} with words",
        "Seed": str(settings["seed"]),
        "Code": f"oldphoto {summary['code_version']}",
    }


def _tiles(summary: Summary) -> Iterator[tuple[str, str, Literal["restored", "failed", ""]]]:
    table = table_at(summary, "second", "mixed", "drawn")
    ours = table["methods"].get(RESTORED) if table else None
    if ours:
        assert table is not None
        yield words.found(ours["psnr"]).words, "PSNR restored, dB", ""
        yield words.found(table["methods"]["input"]["psnr"]).words, "PSNR of the input, dB", ""
        for figure, label in (
            ("psnr_gain", "dB above the input"), ("aligned_psnr_over_classical", "dB aligned, to classical + true mask")
        ):  # fmt: skip
            value = ours.get(figure, {}).get("value")
            if value is not None:
                yield words.signed(ours[figure]).words, label, "restored" if value > 0 else "failed"
    for entry in summary["detection"]:
        if (entry["generator"], entry["kind"], entry["severity"]) == ("second", "mixed", "drawn") and "auc" in entry:
            yield words.found(entry["auc"], "{:.3f}").words, "detection AUC", ""
    for check in summary["harm"]:
        if check["section"] == "clean" and check["what"].endswith("full, mean"):
            yield f"{check['found']:.1f}", "dB, clean photos", "restored" if check["met"] else "failed"


def _notes(summary: Summary) -> Iterator[str]:
    count = min(summary["settings"]["drawn_count"], len(summary["photos"]))
    if summary["paired"] and count < SMALL:
        yield (
            f"A small count: {count} photos of mixed damage. Intervals are wide, and of few photos they are too narrow;"
            " figures to quote come from the protocol default."
        )
    yield from summary["notes"]


def _kinds(summary: Summary, found: Comparison) -> Iterator[PageSection]:
    for generator, name in words.GENERATORS.items():
        plot = kinds_plot(summary, generator)
        if plot is None and table_at(summary, generator, "mixed", "drawn") is None:
            continue
        tables = [_gains(summary, generator, RESTORED)] if _has(summary, generator, RESTORED) else []
        shows = "Tone-aligned PSNR by kind and severity; the band is the release's 95 % interval, with its own mask."
        yield PageSection(
            f"kinds-{generator}",
            f"Kinds of damage: {name.lower()}",
            "One kind at a time, at three severities, so that it is seen what is mended and what is not.",
            [Plot(shows, plot)] if plot else [],
            tables,
            picture_rows(found, generator),
            "Pictures of each kind, side by side",
        )


def _has(summary: Summary, generator: str, method: str) -> bool:
    return any(t["generator"] == generator and method in t["methods"] for t in summary["paired"])


def _gains(summary: Summary, generator: str, method: str) -> PageTable:
    rows = []
    for kind in KINDS:
        for severity in LEVELS:
            table = table_at(summary, generator, kind, severity)
            if table is None or method not in table["methods"]:
                continue
            entry, plain = table["methods"][method], table["methods"]["input"]
            rows.append(
                (
                    f"{words.KINDS[kind]}, {severity}",
                    [
                        words.found(plain["psnr"]), words.found(entry["psnr"]),
                        words.signed(entry["psnr_gain"], shaded=True),
                        words.signed(entry["aligned_psnr_gain"], shaded=True),
                        words.signed(entry["aligned_masked_psnr_gain"], shaded=True),
                        words.signed(entry.get("aligned_psnr_over_classical"), shaded=True),
                    ],
                )
            )  # fmt: skip
    headings = [
        "Kind and severity", "Input, dB", "Restored, dB", "PSNR gain", "aligned gain", "aligned gain in mask",
        "aligned, to best classical",
    ]  # fmt: skip
    caption = "The release with its own mask; differences in dB, photo by photo. Best classical: given the true mask."
    return PageTable(headings, rows, caption)


def _detection(summary: Summary) -> Iterator[PageSection]:
    headings = ["Damage", "AUC", "average precision", "best F1", "at", "damaged", "marked by the release"]
    entries = [e for e in summary["detection"] if not (e["kind"] == "mixed" and e["severity"] == "all")]
    whole = [e for e in entries if e["severity"] in ("drawn", "all", "as found")]
    parts = [e for e in entries if e not in whole and "auc" in e]
    if not whole:
        return
    extent = (
        "Pixels: damaged where the opacity of structured damage exceeds 0.25; 0.1 to 0.25, and changes under 4 of 255,"
        " count for nothing. Damage without marks shows what is marked in vain."
    )
    plot = roc_plot(summary)
    plots = [Plot("Damaged pixels found, against sound ones marked in vain", plot)] if plot else []
    tables = [PageTable(headings, list(_found_marks(whole)))]
    if parts:
        tables.append(PageTable(headings, list(_found_marks(parts)), folded="By severity"))
    yield PageSection("detection", "Detection", extent, plots, tables)


def _found_marks(entries: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Sequence[Cell]]]:
    """Yields the rows of detection, under a heading a generator."""
    generator = None
    for entry in entries:
        if entry["generator"] != generator:
            generator = entry["generator"]
            yield words.GENERATORS.get(generator, "Real photos"), ()
        place = f"{words.KINDS.get(entry['kind'], '')}, {_SEVERITIES.get(entry['severity'], entry['severity'])}"
        if entry["kind"] == "labelled":
            place = f"{entry['photos']} photos, people's masks"
        score = [words.found(entry.get(name), "{:.3f}") for name in ("auc", "average_precision", "f1")]
        threshold = Cell(f"{entry['f1_threshold']:.2f}") if "f1_threshold" in entry else Cell("–")
        share = Cell(f"{entry['damaged_share']:.2%}") if "damaged_share" in entry else Cell("none")
        yield place, [*score, threshold, share, words.found(entry["marked"], "{:.2%}")]


def _real(summary: Summary, found: Comparison) -> Iterator[PageSection]:
    real = summary["real"]
    if not real["methods"]:
        return
    titles = {method["name"]: method["title"] for method in summary["methods"]}
    figures = ("blur_effect", "noise_sigma", "contrast", "psnr_to_input")
    forms = ("{:.3f}", "{:.2f}", "{:.1f}", "{:.1f}")
    rows = [
        (titles[m], [words.found(entry.get(f), form) for f, form in zip(figures, forms, strict=True)])
        for m, entry in real["methods"].items()
    ]
    rows = [(title, [*cells[:-1], Cell("–")] if title == titles["input"] else cells) for title, cells in rows]
    headings = ["Method", "blur effect, 0 sharp", "noise, of 255", "contrast, of 255", "PSNR to the photo, dB"]
    extent = f"{real['photos']} old photos, whose truth nobody knows. No scores: they show what is smoothed or changed."
    table = PageTable(headings, rows, strong=frozenset({titles[m] for m in titles if m == RESTORED}))
    yield PageSection("real", "Real photos", extent, tables=[table], pictures=real_rows(found))


def _harm(summary: Summary) -> Iterator[PageSection]:
    if not summary["harm"]:
        return
    rows: list[tuple[str, Sequence[Cell]]] = []
    section = ""
    for check in summary["harm"]:
        if check["section"] != section:
            section = check["section"]
            rows.append((_HARM.get(section, section), ()))
        form = "{:.2%}" if "share" in check["what"] or "growth" in check["what"] else "{:.3g}"
        limit = "–"
        if check["needed"] is not None:
            limit = f"{'≤' if check['at_most'] else '≥'} {words.number(check['needed'], form)}"
        verdict = Cell("")
        if check["met"] is not None:
            verdict = Cell("kept", mark="passed") if check["met"] else Cell("broken", mark="failed")
        figures = [Cell(words.number(check["found"], form)), Cell(limit), Cell(str(check["photos"]))]
        rows.append((check["what"][0].upper() + check["what"][1:], [verdict, *figures]))
    headings = ["Photos with nothing wrong", "", "found", "limit", "photos"]
    extent = "What a release does where there is nothing to do. Beyond these limits it harms; the goals ask for more."
    yield PageSection("harm", "Do no harm", extent, tables=[PageTable(headings, rows)])


def _behind(summary: Summary) -> Iterator[PageSection]:
    methods = [
        (
            m["title"],
            [
                Cell("yes" if m["needs_true_mask"] else "no", prose=True), Cell(words.COSTS[m["cost"]], prose=True),
                Cell(m["does"], prose=True),
            ],
        )
        for m in summary["methods"]
    ]  # fmt: skip
    tables = [PageTable(["Method", "needs the true mask", "cost", "what it does"], methods)]
    for key, label in _FILES.items():
        if summary[key]:
            rows = [(file["name"], [Cell(file["sha256"], prose=True)]) for file in summary[key]]
            tables.append(PageTable(["File", "SHA-256"], rows, folded=f"{len(rows)} {label}, held out, by hash"))
    yield PageSection("behind", "What was compared, on what", tables=tables)
