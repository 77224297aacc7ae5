"""What is compared on the same pictures, in the order of tables."""

from __future__ import annotations

from collections.abc import Sequence

from oldphoto_core.evaluation.baselines import Algorithm
from oldphoto_core.evaluation.comparison.classical_methods import Denoised, Inpainting, Input, Sequential, Wavelets
from oldphoto_core.evaluation.comparison.interface import MaskSource, Method
from oldphoto_core.evaluation.comparison.prior_method import DeepImagePrior, PriorSettings
from oldphoto_core.evaluation.comparison.release_methods import PhotoRestorer, Release
from oldphoto_core.evaluation.comparison.trained_methods import Trained, TrainedFolder


def all_methods(
    restorer: PhotoRestorer | None,
    *,
    prior: PriorSettings | None = None,
    prior_device: str = "cpu",
    baselines: Sequence[TrainedFolder] = (),
) -> Sequence[Method]:
    """Gives every method, in the order of tables.

    Args:
        restorer: the release; without one, the methods that need none.
        prior: how deep image prior is fitted; without it that is left out.
        prior_device: where it is fitted.
        baselines: networks that were trained to be compared with.
    """
    algorithms: tuple[Algorithm, ...] = ("telea", "navier-stokes")
    sources: tuple[MaskSource, ...] = ("true", "detected") if restorer is not None else ("true",)
    methods: list[Method] = [Input(), Wavelets(), Denoised()]
    for source in sources:
        methods += [Inpainting(algorithm, source) for algorithm in algorithms]
        methods += [Sequential(algorithm, source) for algorithm in algorithms]
    if prior is not None:
        methods.append(DeepImagePrior(prior, prior_device))
    methods += [Trained(network, source) for network in baselines for source in sources]
    if restorer is not None:
        methods += [Release(restorer, "true"), Release(restorer, "detected")]
    return methods


CLASSICAL_TRUE_MASK = (
    "wavelets", "telea-nlm-true-mask", "telea-true-mask", "navier-stokes-true-mask",
    "sequential-telea-true-mask", "sequential-navier-stokes-true-mask",
)  # fmt: skip
"""Classical methods at their best: the bar for the release, which must find the mask by itself."""
