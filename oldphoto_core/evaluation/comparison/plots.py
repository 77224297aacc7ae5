"""Curves of a comparison as SVG: methods with their intervals, kinds of damage by severity, ROC."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from oldphoto_core.evaluation.comparison.kinds import KINDS, LEVELS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, SOFT, RULE, PAPER = "#23211d", "#635e54", "#dcd7cb", "#fdfcf8"

SERIES: Mapping[str, tuple[str, str, str]] = {
    "restored": ("this release, its own mask", "#1c5574", "o-"),
    "restored-true-mask": ("this release, true mask", "#6fa5c2", "o--"),
    "sequential-telea-true-mask": ("classical, true mask", "#80560a", "s--"),
    "sequential-telea-detected-mask": ("classical, our mask", "#c99a4a", "s-"),
    "input": ("input", "#8b867b", "D:"),
}
"""Methods that curves are drawn of: words, colour, line."""

_STYLE = {
    "font.family": "DejaVu Sans", "font.size": 8.5, "text.color": INK, "axes.edgecolor": RULE, "axes.labelcolor": SOFT,
    "axes.titlesize": 9.5, "axes.titlecolor": INK, "xtick.color": SOFT, "ytick.color": SOFT, "axes.facecolor": PAPER,
    "figure.facecolor": PAPER, "axes.grid": True, "grid.color": RULE, "grid.linewidth": 0.6, "axes.axisbelow": True,
    "svg.hashsalt": "oldphoto", "legend.frameon": False,
}  # fmt: skip

_WORDS = {"second": "second generator, never trained on", "first": "training generator", "none": "real photos"}


def methods_plot(summary: Mapping[str, Any], figure: str = "aligned_psnr") -> bytes | None:
    """Gives each method's mean on mixed damage as drawn, with its interval, a panel a generator; None without any."""
    tables = [t for t in summary["paired"] if (t["kind"], t["severity"]) == ("mixed", "drawn")]
    if not tables:
        return None
    titles = {method["name"]: method["title"] for method in summary["methods"]}
    means = tables[0]["methods"]
    names = sorted((n for n in means if means[n][figure]["value"] is not None), key=lambda n: means[n][figure]["value"])
    with _styled(figsize=(10.4, 0.9 + 0.29 * len(names))) as plot:
        panels = plot.subplots(1, len(tables), sharey=True, squeeze=False)[0]
        for panel, table in zip(panels, tables, strict=True):
            for place, name in enumerate(names):
                one = table["methods"][name][figure]
                ours = name.startswith("restored")
                colour = SERIES["restored"][1] if ours else SERIES["sequential-telea-true-mask"][1]
                colour = SERIES["input"][1] if name == "input" else colour
                low, high = (one[end] if one[end] is not None else one["value"] for end in ("low", "high"))
                panel.plot([low, high], [place, place], color=colour, lw=2.2, alpha=0.45, solid_capstyle="round")
                hollow = name.endswith("true-mask")
                panel.plot(one["value"], place, "o", ms=6, mec=colour, mfc=PAPER if hollow else colour, mew=1.6)
            panel.set_title(_WORDS[table["generator"]], loc="left")
            panel.set_xlabel("tone-aligned PSNR, dB; hollow: given the true mask")
            panel.set_yticks(range(len(names)), [titles.get(name, name) for name in names])
            panel.grid(axis="y", visible=False)
            _bare(panel)
        for label, name in zip(panels[0].get_yticklabels(), names, strict=True):
            label.set_color(SERIES["restored"][1] if name.startswith("restored") else INK)
        return _svg(plot)


def kinds_plot(summary: Mapping[str, Any], generator: str, figure: str = "aligned_psnr") -> bytes | None:
    """Gives a panel a kind of damage: the figure by severity, a line a method, with intervals; None without any."""
    tables = {(t["kind"], t["severity"]): t for t in summary["paired"] if t["generator"] == generator}
    kinds = [kind for kind in KINDS if any((kind, severity) in tables for severity in LEVELS)]
    if not kinds:
        return None
    with _styled(figsize=(10.4, 5.2)) as plot:
        panels = plot.subplots(2, 3).ravel()
        for panel, kind in zip(panels, kinds, strict=False):
            for name, (words, colour, line) in SERIES.items():
                drawn = [(x, tables[kind, s]["methods"].get(name)) for x, s in enumerate(LEVELS) if (kind, s) in tables]
                points = [(x, m[figure]) for x, m in drawn if m and m[figure]["value"] is not None]
                if not points:
                    continue
                at = [x for x, _ in points]
                panel.plot(at, [one["value"] for _, one in points], line, color=colour, ms=4, lw=1.4, label=words)
                if name == "restored" and all(one["low"] is not None for _, one in points):
                    low, high = ([one[end] for _, one in points] for end in ("low", "high"))
                    panel.fill_between(at, low, high, color=colour, alpha=0.12, lw=0)
            panel.set_title(kind, loc="left")
            panel.set_xticks(range(len(LEVELS)), list(LEVELS))
            panel.set_xlim(-0.25, len(LEVELS) - 0.75)
            _bare(panel)
        for panel in panels[len(kinds) :]:
            panel.set_visible(False)
        for panel in panels[::3]:
            panel.set_ylabel("tone-aligned PSNR, dB")
        handles, labels = panels[0].get_legend_handles_labels()
        plot.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=8.5)
        return _svg(plot)


def roc_plot(summary: Mapping[str, Any]) -> bytes | None:
    """Gives ROC curves over pixels, a line a kind, a panel a generator; None where no detector was measured."""
    entries = [e for e in summary["detection"] if "roc" in e and e["severity"] in ("drawn", "all", "as found")]
    entries = [e for e in entries if e["kind"] != "mixed" or e["severity"] == "drawn"]
    generators = list(dict.fromkeys(entry["generator"] for entry in entries))
    if not entries:
        return None
    colours = {"mixed": "#1c5574", "scratch": "#80560a", "hole": "#9b2c20", "labelled": "#23654f"}
    with _styled(figsize=(10.4, 3.5)) as plot:
        for panel, generator in zip(plot.subplots(1, len(generators), squeeze=False)[0], generators, strict=True):
            for entry in (e for e in entries if e["generator"] == generator):
                words = f"{entry['kind']}, AUC {entry['auc']['value']:.3f}"
                curve = entry["roc"]
                panel.plot(curve["false_rate"], curve["true_rate"], color=colours[entry["kind"]], lw=1.7, label=words)
            panel.set(xscale="log", xlim=(1e-4, 1), ylim=(0, 1.01))
            panel.set_xlabel("share of sound pixels marked")
            panel.set_title(_WORDS[generator], loc="left")
            panel.legend(loc="upper left")
            _bare(panel)
        plot.axes[0].set_ylabel("share of damaged pixels found")
        return _svg(plot)


class _styled:
    """A figure in the page's colours, laid out so that nothing overlaps."""

    def __init__(self, *, figsize: tuple[float, float]) -> None:
        from matplotlib import rc_context
        from matplotlib.figure import Figure

        self._context = rc_context(_STYLE)
        self._make = lambda: Figure(figsize=figsize, layout="constrained")

    def __enter__(self) -> Figure:
        self._context.__enter__()
        return self._make()

    def __exit__(self, *error: Any) -> None:
        self._context.__exit__(*error)


def _bare(panel: Axes) -> None:
    for side in ("top", "right", "left"):
        panel.spines[side].set_visible(False)
    panel.tick_params(length=0)


def _svg(plot: Figure) -> bytes:
    written = io.BytesIO()
    plot.savefig(written, format="svg", metadata={"Date": None, "Creator": "oldphoto"})
    return written.getvalue()

