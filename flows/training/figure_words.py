"""Figures of training under the names that people read; the catalogue keeps the short ones."""

from __future__ import annotations

_WHERE = {
    "labelled": "labelled photos",
    "own": "damage as training draws it",
    "first": "damage as training draws it",
    "second": "damage drawn by another hand",
    "clean": "clean photos",
    "old": "real photos",
    "old and damaged": "old and damaged photos",
    "detected": "pairs, with the mask as detected",
    "true mask": "pairs, with the true mask",
}
_WHAT = {
    "auc": "AUC of detection",
    "ap": "average precision",
    "f1": "F1",
    "threshold": "best threshold",
    "psnr": "PSNR, dB",
    "psnr_p5": "PSNR of the worst twentieth, dB",
    "sampled_psnr": "PSNR of a sampled latent, dB",
    "gain": "PSNR gained, dB",
    "aligned": "PSNR after one colour fit, dB",
    "ssim": "SSIM",
    "ssim_gain": "SSIM gained",
    "wasserstein": "distance of the latents (sliced Wasserstein)",
    "probe": "accuracy of the probe",
    "probe_error": "error of the probe",
    "blur_effect": "blur (0 sharp, 1 blurred)",
    "noise_sigma": "noise, levels of 255",
    "contrast": "contrast, levels of 255",
}


def figure_words(name: str) -> str:
    """`labelled/auc` as `labelled photos: AUC of detection`; a name that is not known stays as it is."""
    where, _, what = name.rpartition("/")
    if where not in _WHERE or what not in _WHAT:
        return name.replace("/", ": ").replace("_", " ")
    return f"{_WHERE[where]}: {_WHAT[what]}"
