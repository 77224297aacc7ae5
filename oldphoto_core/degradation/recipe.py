"""How often and how hard each kind of damage strikes."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from oldphoto_core.errors import ConfigError

UNTOUCHED, TONE_ONLY, SCRATCHES_ONLY, MIXED = range(4)
"""Kinds of sample."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Probabilities of each kind of damage, and how severe it may be.

    A field named `p_*` is the probability that a sample to which the operation applies gets it.
    """

    kind_shares: tuple[float, float, float, float] = (0.25, 0.15, 0.15, 0.45)
    """Shares of untouched, tone-only, scratches-only and mixed samples."""
    grey_share: float = 0.4
    """Share of targets that are neutral grey, so that toned grey never turns into colour."""
    procedural_share: float = 0.4
    """Share of textures that are drawn rather than read, so that a detector does not learn the files by heart."""
    severity: tuple[float, float] = (0.05, 1.0)
    """Range of a sample's severity."""
    severity_power: float = 1.4
    """Above 1, most photos are mildly damaged and few badly."""
    tone_severity_power: float = 1.1
    """The same for fading and toning, which time spares few photos."""

    p_negative: float = 0.14
    """Wires, twigs, hair, text, lace, a border and the like in the scene itself, which are not damage."""

    p_lens_blur: float = 0.4
    p_grain: float = 0.65
    p_halftone: float = 0.05
    p_tone: float = 0.85
    p_local_stain: float = 0.3

    p_relief: float = 0.15
    p_mirroring: float = 0.06
    p_tint: float = 0.15
    p_stain: float = 0.07
    p_foxing: float = 0.08
    p_fingerprint: float = 0.04
    p_crease: float = 0.22
    p_crack: float = 0.1
    p_scratch: float = 0.65
    p_dust: float = 0.5
    p_hair: float = 0.25
    p_hole: float = 0.22
    p_flake: float = 0.12
    p_lost: float = 0.05
    p_border: float = 0.12
    p_tape: float = 0.06

    p_scan_tone: float = 0.5
    p_scanner_blur: float = 0.5
    p_resize: float = 0.4
    p_halo: float = 0.25
    p_noise: float = 0.45
    p_jpeg: float = 0.6
    p_second_jpeg: float = 0.15

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name.startswith("p_") or field.name.endswith("_share"):
                if not 0 <= value <= 1:
                    raise ConfigError(f"Recipe.{field.name} is {value}; expected a probability in [0, 1]")
        if len(self.kind_shares) != 4 or min(self.kind_shares) < 0 or abs(sum(self.kind_shares) - 1) > 1e-6:
            raise ConfigError(f"Recipe.kind_shares is {self.kind_shares}; expected four shares that add up to 1")
        low, high = self.severity
        if not 0 <= low <= high <= 1:
            raise ConfigError(f"Recipe.severity is {self.severity}; expected 0 <= low <= high <= 1")
        for name in ("severity_power", "tone_severity_power"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"Recipe.{name} is {getattr(self, name)}; expected more than 0")

    @classmethod
    def default(cls) -> Recipe:
        """Gives what training uses."""
        return cls()

    @classmethod
    def light(cls) -> Recipe:
        """Gives mild damage: album photos that were kept well."""
        return cls(severity=(0.02, 0.5), p_crack=0.03, p_hole=0.06, p_stain=0.03, p_crease=0.1, p_resize=0.2)

    @classmethod
    def heavy(cls) -> Recipe:
        """Gives bad damage: prints that were folded, wetted and handled."""
        return cls(severity=(0.35, 1.0), severity_power=1.0, p_crease=0.45, p_hole=0.4, p_crack=0.2, p_stain=0.2)

    def only(self, kind: int) -> Recipe:
        """Gives the same recipe with samples of one kind alone."""
        untouched, tone_only, scratches_only, mixed = (float(kind == other) for other in range(4))
        return replace(self, kind_shares=(untouched, tone_only, scratches_only, mixed))
