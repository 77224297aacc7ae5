"""Facts about releases: what a card promises, and that altered weights are noticed."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import sys

import pytest
import torch

from oldphoto_core.errors import ReleaseError
from oldphoto_core.models.network import RestorationNetwork
from oldphoto_core.models.presets import build_detector, build_restoration, preset
from oldphoto_core.releases import find_release, weights_hash
from oldphoto_core.releases.bundle import load_release, save_release
from oldphoto_core.releases.card import read_card


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    torch.manual_seed(0)
    tiny = preset("tiny")
    folder = tmp_path_factory.mktemp("releases") / "made"
    network = build_restoration(tiny)
    detector = build_detector(tiny)
    card = save_release(folder, sizes=tiny, detector=detector, network=network, card={"metrics": {"auc": 0.9}})
    return card, detector, network


def test_a_name_carries_the_hash_of_the_weights(saved):
    card, *_ = saved
    assert card.name == f"tiny-{card.weights_hash[:8]}"
    assert card.weights_hash == weights_hash(card.files, fills=True)
    assert card.metrics == {"auc": 0.9}


def test_whether_damaged_places_are_filled_comes_with_the_release(saved, tmp_path):
    """It decides pixels, and so is part of the hash; without, the translation meets the damage itself."""
    card, detector, network = saved
    assert load_release(card).network.fills
    unfilled = RestorationNetwork(
        vae_x=network.vae_x,
        vae_y=network.vae_y,
        translation=network.translation,
        look=network.look,
        mender=network.mender,
    )
    other = save_release(tmp_path / "unfilled", sizes=preset("tiny"), detector=detector, network=unfilled, card={})
    assert not load_release(other).network.fills
    assert other.files == card.files
    assert other.name != card.name
    text = json.loads((other.folder / "card.json").read_text())
    del text["fills"]
    (other.folder / "card.json").write_text(json.dumps(text))
    assert not load_release(read_card(other.folder)).network.fills
    text["fills"] = True
    (other.folder / "card.json").write_text(json.dumps(text))
    with pytest.raises(ReleaseError, match="does not fit"):
        read_card(other.folder)


def test_what_half_precision_has_no_room_for_is_kept_in_single(saved, tmp_path):
    """A batch norm's variance may be larger than 65,504, and would come back as infinite."""
    _, detector, network = saved
    detector = copy.deepcopy(detector)
    norm = next(module for module in detector.modules() if isinstance(module, torch.nn.BatchNorm2d))
    norm.running_var[0] = 1e5
    card = save_release(tmp_path / "wide", sizes=preset("tiny"), detector=detector, network=network, card={})
    loaded = load_release(card).detector
    again = next(module for module in loaded.modules() if isinstance(module, torch.nn.BatchNorm2d))
    assert again.running_var[0] == 1e5
    norm.running_var[0] = float("inf")
    with pytest.raises(ReleaseError, match="running_var holds infinities"):
        save_release(tmp_path / "broken", sizes=preset("tiny"), detector=detector, network=network, card={})


def test_kernels_come_back_in_half_precision_and_vectors_in_single(saved):
    card, detector, network = saved
    loaded = load_release(card)
    for before, after in ((detector, loaded.detector), (network, loaded.network)):
        for name, tensor in before.state_dict().items():
            expected = tensor if tensor.ndim < 2 else tensor.half().float()
            assert torch.equal(after.state_dict()[name], expected), name
    assert not loaded.detector.training
    assert not any(parameter.requires_grad for parameter in loaded.network.parameters())


def test_a_release_without_a_mender_is_loaded_without(saved, tmp_path):
    """Damaged places are filled then, and nothing is added."""
    card, detector, network = saved
    assert load_release(card).network.mender is not None
    bare = copy.deepcopy(network)
    bare.mender = None
    made = save_release(tmp_path / "bare", sizes=preset("tiny"), detector=detector, network=bare, card={})
    assert load_release(made).network.mender is None and made.name != card.name


def test_saving_the_same_weights_again_gives_the_same_name(saved, tmp_path):
    card, detector, network = saved
    again = save_release(tmp_path / "again", sizes=preset("tiny"), detector=detector, network=network, card={})
    assert again.name == card.name


def test_the_same_weights_at_another_operating_point_are_another_release(saved, tmp_path):
    card, detector, network = saved
    made = [
        save_release(
            tmp_path / str(low), sizes=preset("tiny"), detector=detector, network=network,
            card={"operating": {"logit_offset": low}},
        )
        for low in (0.6, 0.7)
    ]  # fmt: skip
    assert len({card.name, *(other.name for other in made)}) == 3
    assert made[0].files == made[1].files == card.files


def test_an_operating_point_changed_by_hand_is_noticed(saved, tmp_path):
    _, detector, network = saved
    card = {"operating": {"logit_offset": 0.6}}
    save_release(tmp_path, sizes=preset("tiny"), detector=detector, network=network, card=card)
    path = tmp_path / "card.json"
    path.write_text(path.read_text().replace('"logit_offset": 0.6', '"logit_offset": 0.5'))
    with pytest.raises(ReleaseError, match="does not fit its files and operating point"):
        find_release(tmp_path)


def test_a_release_is_found_by_folder_and_by_name(saved):
    card, *_ = saved
    assert find_release(card.folder).name == card.name
    assert find_release(card.name, search=[card.folder.parent]).folder == card.folder


def test_an_unknown_release_is_refused_with_what_is_known(saved):
    card, *_ = saved
    with pytest.raises(ReleaseError, match=card.name):
        find_release("archive-00000000", search=[card.folder.parent])


def test_an_altered_weights_file_is_noticed(saved, tmp_path):
    card, *_ = saved
    shutil.copytree(card.folder, tmp_path / "copy")
    path = tmp_path / "copy" / "look.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ReleaseError, match="was altered"):
        load_release(find_release(tmp_path / "copy"))


def test_a_missing_weights_file_is_noticed(saved, tmp_path):
    card, *_ = saved
    shutil.copytree(card.folder, tmp_path / "copy")
    (tmp_path / "copy" / "detector.safetensors").unlink()
    with pytest.raises(ReleaseError, match="detector.safetensors is missing"):
        find_release(tmp_path / "copy").verify()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"card_version": 1}'])
def test_a_broken_card_is_refused_by_path(tmp_path, text):
    (tmp_path / "card.json").write_text(text)
    with pytest.raises(ReleaseError, match="card.json"):
        find_release(tmp_path)


def test_a_card_of_a_newer_version_asks_for_an_upgrade(saved, tmp_path):
    card, *_ = saved
    (tmp_path / "card.json").write_text(json.dumps({**card.card, "card_version": 99}))
    with pytest.raises(ReleaseError, match="upgrade"):
        find_release(tmp_path)


def test_finding_the_default_release_loads_no_torch():
    code = (
        "import sys; from oldphoto_core.releases import find_release; "
        "card = find_release(); assert 'torch' not in sys.modules; print(card.name)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("archive-")


def test_the_default_release_is_whole_and_within_thirty_megabytes():
    card = find_release()
    loaded = load_release(card)
    assert sum((card.folder / name).stat().st_size for name in card.files) < 30e6
    assert all(torch.isfinite(tensor).all() for tensor in loaded.network.state_dict().values())
