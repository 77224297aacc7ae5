"""How far a restoration may go before a person must look: limits on fidelity figures, and what is past them."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field


class FidelityLimits(BaseModel):
    """Limits past which a restoration is kept, and needs a review before it is published.

    Tone-free figures are judged, since undoing fading and casts changes every pixel rightly. Where the defaults lie
    beside what real photos show is in docs/fidelity.md. `inf` (`-1` for the correlation) switches a limit off.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    review_delta_e: float = Field(
        default=2.0, ge=0, description="largest tone-free mean colour difference outside the mask"
    )
    review_delta_e_p95: float = Field(default=6.0, ge=0, description="largest 95th percentile of it")
    review_gradient_correlation: float = Field(
        default=0.9, ge=-1, le=1, description="least gradient correlation outside the mask"
    )
    review_clipped_growth: float = Field(
        default=0.01, ge=0, description="largest growth of the share of values clipped at black or at white"
    )
    review_added_chroma: float = Field(default=0.1, ge=0, description="largest mean chroma added to a neutral photo")
    review_mask_coverage: float = Field(default=0.1, ge=0, description="largest share of the photo under the mask")

    def reasons(self, figures: Mapping[str, float | None]) -> tuple[str, ...]:
        """What is past its limit, a line each: which figure, its value, the limit; a figure of None is passed over.

        Args:
            figures: by the names of ``storage.records.FIDELITY``, and ``mask_coverage``.
        """
        judged = (
            ("tone-free colour difference, mean", "tone_free_delta_e_mean", self.review_delta_e),
            ("tone-free colour difference, 95th percentile", "tone_free_delta_e_p95", self.review_delta_e_p95),
            ("growth of values clipped at black", "clipped_black_growth", self.review_clipped_growth),
            ("growth of values clipped at white", "clipped_white_growth", self.review_clipped_growth),
            ("chroma added to a neutral photo", "added_chroma", self.review_added_chroma),
            ("mask coverage", "mask_coverage", self.review_mask_coverage),
        )
        found = [
            f"{words}: {value:.4g}, at most {limit:.4g}"
            for words, name, limit in judged
            if (value := figures.get(name)) is not None and value > limit
        ]
        correlation = figures.get("gradient_correlation")
        if correlation is not None and correlation < self.review_gradient_correlation:
            found.append(f"gradient correlation: {correlation:.4g}, at least {self.review_gradient_correlation:.4g}")
        return tuple(found)
