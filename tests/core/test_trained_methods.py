"""Networks that were trained to be compared with, as methods of the protocol: a folder each, with either mask."""

from __future__ import annotations

import pickle
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from oldphoto_core.errors import ConfigError
from oldphoto_core.evaluation.comparison.methods import all_methods
from oldphoto_core.evaluation.comparison.running import run_comparison
from oldphoto_core.evaluation.comparison.summary import summarise
from oldphoto_core.evaluation.comparison.trained_methods import Trained, TrainedFolder
from oldphoto_core.models.pix2pix import Pix2pixConfig, Pix2pixGenerator
from oldphoto_core.models.presets import build_restoration, preset
from oldphoto_core.training.checkpoint import save_weights, write_json
from oldphoto_core.training.pix2pix import Pix2pixSettings
from oldphoto_core.training.schedule import fresh_weights
from tests.core.classical_release import ClassicalRelease, ClassicalRestorer
from tests.core.retraining_material import tiny_release
from tests.core.test_comparison import photos, settings_for

__all__ = ["photos"]


def pix2pix_folder(run: Path, *, seed: int = 0) -> Path:
    """Lays down what pix2pix's stage leaves, untrained."""
    settings = Pix2pixSettings(width=4, critic_width=4)
    with fresh_weights(seed, "pix2pix"):
        generator = Pix2pixGenerator(Pix2pixConfig(4))
    write_json(run / "pix2pix" / "run.json", {"settings": asdict(settings)})
    save_weights(run / "pix2pix" / "best.safetensors", {"pix2pix": generator}, {})
    return run


def method_folder(run: Path) -> Path:
    """Lays down a run folder of the method, untrained."""
    with fresh_weights(0, "method"):
        network = build_restoration(preset("tiny"))
    write_json(run / "translation" / "run.json", {"settings": {"preset": "tiny"}})
    save_weights(run / "vae_x" / "last.safetensors", {"vae_x": network.vae_x}, {})
    parts = {name: getattr(network, name) for name in ("translation", "vae_y", "look")}
    save_weights(run / "translation" / "best.safetensors", parts, {})
    return run


def test_a_baseline_joins_the_table_with_either_mask_and_is_computed_again_for_other_weights(photos, tmp_path):
    folder = pix2pix_folder(tmp_path / "pix2pix")
    given = {"generators": ("second",), "old_dir": photos, "drawn_count": 1, "kind_count": 1, "shown": 0}
    given["baselines"] = (TrainedFolder(folder),)

    def run(release):
        return run_comparison(settings_for(photos, **given), tmp_path / "out", release=release, code_version="1")

    found = run(ClassicalRelease())
    rows = {(row.kind, row.method) for row in found.rows}
    both = {("mixed", "pix2pix-true-mask"), ("mixed", "pix2pix-detected-mask"), ("grain", "pix2pix-true-mask")}
    assert both | {("old", "pix2pix-detected-mask")} <= rows
    assert ("old", "pix2pix-true-mask") not in rows  # nobody knows it
    summary = summarise(found, all_methods(ClassicalRestorer(), baselines=given["baselines"]))
    mixed = next(t for t in summary["paired"] if (t["kind"], t["severity"]) == ("mixed", "drawn"))
    assert mixed["methods"]["pix2pix-true-mask"]["psnr"]["value"] > 0
    assert mixed["methods"]["restored"]["aligned_psnr_over_pix2pix"]["value"] is not None

    assert run(ClassicalRelease()).computed == 0
    pix2pix_folder(folder, seed=1)
    given["baselines"] = (TrainedFolder(folder),)
    again = run(ClassicalRelease())
    assert 0 < again.computed == sum(row.method.startswith("pix2pix") for row in again.rows)

    alone = run(None)
    assert {row.method for row in alone.rows if row.method.startswith("pix2pix")} == {"pix2pix-true-mask"}


@pytest.mark.parametrize("lay", [pix2pix_folder, method_folder, tiny_release])
def test_each_kind_of_folder_restores_any_size_also_in_another_process(lay, tmp_path):
    lay(tmp_path / "net")
    folder = TrainedFolder(tmp_path / "net")
    image = np.random.default_rng(0).integers(0, 255, (45, 70, 3), np.uint8)
    mask = np.zeros((45, 70), bool)
    mask[10:14] = True
    restored = folder.restore(image, mask)
    assert restored.shape == image.shape and restored.dtype == np.uint8
    elsewhere = pickle.loads(pickle.dumps(folder))
    assert "_restore" not in vars(elsewhere)
    assert np.array_equal(elsewhere.restore(image, mask), restored)
    assert Trained(elsewhere, "true").version == folder.version


def test_mistakes_are_named(tmp_path, photos):
    with pytest.raises(ConfigError, match="holds no trained network"):
        TrainedFolder(tmp_path)
    folder = pix2pix_folder(tmp_path / "pix2pix")
    with pytest.raises(ConfigError, match="pix2pix, pix2pix; give each folder a name of its own"):
        settings_for(photos, baselines=(TrainedFolder(folder), TrainedFolder(folder / "pix2pix")))
    (folder / "pix2pix" / "best.safetensors").unlink()
    with pytest.raises(ConfigError, match="best.safetensors is missing; train"):
        TrainedFolder(folder)
