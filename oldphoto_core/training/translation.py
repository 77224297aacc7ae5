"""Stage 2, the translation T (eqs. 5-6), both VAEs frozen.

Where this goes past the paper, for `archive`: the pixel loss is Charbonnier on G_Y(T(z)), the adversary is off by
default, the look's condition and tokens are learned here (its tone stays under its own loss), and over the last 15% of
the budget G_Y is trained too, at a tenth of the rate and with the latent loss kept: else it never meets T's errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import torch
from torch import nn

from oldphoto_core.degradation import Degradation
from oldphoto_core.models.network import RestorationNetwork
from oldphoto_core.models.presets import build_patch_discriminator, build_translation, preset
from oldphoto_core.training.batches import CropBatch, CropSource
from oldphoto_core.training.chunks import Detect, synthetic_chunks
from oldphoto_core.training.judging import own_set, restoration_figures, second_set, untouched, with_detected_masks
from oldphoto_core.training.look import tone_loss
from oldphoto_core.training.loop import placed, precision
from oldphoto_core.training.losses import (
    charbonnier,
    feature_matching,
    gradient_l1,
    l1,
    lsgan_discriminator,
    lsgan_generator,
)
from oldphoto_core.training.material import Material
from oldphoto_core.training.optimisers import Learners, adam, adamw, update
from oldphoto_core.training.perceptual import load_vgg
from oldphoto_core.training.schedule import Clock, Phase, fresh_weights, growing_crops, phase_at
from oldphoto_core.training.vaes import frozen

LATE_RATE = 0.1
"""Rate of what was trained before, the look's trunk and G_Y, as a share of T's."""

SEVERITY_POWERS = {"severity_power": 1.0, "tone_severity_power": 0.8}
"""As many bad photos as mild ones: it is for the bad ones that a translation is wanted, and the recipe's untouched
ones already say when to leave a photo alone."""


@dataclass(frozen=True)
class TranslationSettings:
    """Sizes and weights of the translation's training."""

    preset: str = "archive"
    batch: int = 16
    crop: int = 96
    rate: float = 1e-3
    larger_crops: bool = True
    """After 70% of the budget crops of 4/3 the side, after 95% of 7/3, in smaller batches."""
    pixel: float = 1.0
    """Weight of Charbonnier on the decoded image."""
    squared: float = 4.0
    """Weight of the squared error: absolute ones alone leave a tone unless most such photos need it changed."""
    latent: float = 0.2
    """Weight of the latent L1 of eq. 5 (the paper's lambda_1 is 60, over an adversary of 1)."""
    gradient: float = 0.05
    adversary: float = 0.0
    """Weight of the LSGAN of eq. 5."""
    matching: float = 0.0
    """Weight of feature matching, eq. 6 (the paper's lambda_2 is 10); needs the adversary."""
    vgg: float = 0.0
    """Weight of eq. 6 over VGG's features, where they are at hand."""
    tone: float = 0.2
    """Weight of the look's own loss, so that its tone holds while its condition and tokens are learned."""
    decoder_from: float = 0.85
    """Share of the budget from which G_Y is trained too; 1 leaves it frozen, as the paper does."""
    adversary_rate: float = 2e-4
    chunk_photos: int = 8
    steps_a_chunk: int = 2
    pool_chunks: int = 8

    @classmethod
    def for_preset(cls, name: str) -> TranslationSettings:
        """Gives the recipe's settings, or the paper's: 60 latent L1 + LSGAN + 10 feature matching, G_Y frozen."""
        if not preset(name).published:
            return cls(preset=name)
        return cls(
            preset=name, crop=256, batch=4, rate=2e-4, larger_crops=False, pixel=0.0, squared=0.0, latent=60.0,
            gradient=0.0, adversary=1.0, matching=10.0, vgg=10.0, tone=0.0, decoder_from=1.0,
        )  # fmt: skip

    @property
    def phases(self) -> tuple[Phase, ...]:
        """Crop sizes and batches over the budget."""
        if not self.larger_crops:
            return (Phase(1.0, self.crop, self.batch),)
        return growing_crops(self.crop, self.batch)


class TranslationStage:
    """Trains T between frozen VAEs: G_Y(T(E_RX(toned x))) is to be y."""

    name = "translation"
    score = "second/psnr"

    def __init__(
        self,
        settings: TranslationSettings,
        material: Material,
        *,
        network: RestorationNetwork,
        detect: Detect | None = None,
        seed: int = 0,
    ):
        """Takes the trained look and VAEs from `network`, whose own T is replaced by a fresh one."""
        self.device, self.options, self.settings = material.device, settings, asdict(settings)
        chosen = preset(settings.preset)
        network = placed(network, self.device).eval().requires_grad_(False)
        self.vae_x, self.vae_y, self.look = network.vae_x, network.vae_y, network.look
        self.fills = network.fills
        with fresh_weights(seed, self.name):
            self.translation = placed(build_translation(chosen), self.device)
        self.networks: dict[str, nn.Module] = {"translation": self.translation, "vae_y": self.vae_y}
        self.critics: dict[str, nn.Module] = {}
        learners = [Learners([self.translation], settings.rate)]
        if self.look is not None:
            self.networks["look"] = self.look.requires_grad_(True)
            fresh = [self.look.to_condition, self.look.to_tokens]
            trained = [part for part in self.look.children() if part not in fresh]
            learners += [Learners(fresh, settings.rate), Learners(trained, settings.rate * LATE_RATE)]
        if settings.decoder_from < 1:
            learners.append(Learners([self.vae_y], settings.rate * LATE_RATE, settings.decoder_from))
        optimiser = adam if chosen.published else adamw
        self.optimisers: dict[str, torch.optim.Optimizer] = {"translation": optimiser(*learners)}
        if settings.adversary:
            with fresh_weights(seed, "image critic"):
                self.critics["image"] = placed(build_patch_discriminator(chosen), self.device)
            self.optimisers["image"] = adam(Learners([self.critics["image"]], settings.adversary_rate))
        self._vgg = load_vgg(self.device) if settings.vgg else None
        damage = Degradation(replace(material.degradation.recipe, **SEVERITY_POWERS), material.degradation.textures)
        self.source = CropSource(
            synthetic_chunks(
                material.clean, damage, photos=settings.chunk_photos, detect=detect, mended=network.fills
            ),
            seed=seed,
            steps_a_chunk=settings.steps_a_chunk,
            pool_chunks=settings.pool_chunks,
            device=self.device,
        )
        self.sources = [self.source]
        second = second_set(material)
        self._judged = {"own": own_set(material), "clean": untouched(second), "second": second}
        if detect is not None:  # a real photo's mask is the detector's, and a clean photo's too
            self._judged |= {n: with_detected_masks(self._judged[n], detect) for n in ("clean", "second")}

    def step(self, clock: Clock, generator: torch.Generator) -> tuple[dict[str, torch.Tensor], int]:
        phase = phase_at(self.options.phases, clock.share)
        crops = self.source.at(clock.step, crop_px=phase.crop_px, batch=phase.batch)
        self.vae_y.requires_grad_(clock.share >= self.options.decoder_from)
        restored, losses, total = self._restore(crops)
        if "image" in self.critics:
            total = total + self._fool(restored, crops.target, losses)
        update(self.optimisers["translation"], total)
        if "image" in self.critics:
            with precision(self.device):
                critic = self.critics["image"]
                losses["critic"] = lsgan_discriminator(critic(crops.target), critic(restored.detach()))
            update(self.optimisers["image"], losses["critic"])
        return losses, phase.batch

    def _restore(self, crops: CropBatch) -> tuple[torch.Tensor, dict[str, torch.Tensor], torch.Tensor]:
        """Gives the restored crops, the terms that compare them with the target, and their weighted sum."""
        options = self.options
        with precision(self.device):
            glance = self.look(crops.thumbnail, crops.thumbnail_mask) if self.look is not None else None
            with torch.no_grad():
                toned = glance.tone.apply(crops.image, crops.window).clamp(-1, 1) if glance else crops.image
                source, wanted = self.vae_x.encode(toned)[0], self.vae_y.encode(crops.target)[0]
            translated = self.translation(source, crops.given, glance)
            restored = self.vae_y.decode(translated)
        terms = {
            "pixel": lambda: charbonnier(restored, crops.target),
            "squared": lambda: (restored - crops.target).square().mean(),
            "latent": lambda: l1(translated, wanted),
            "gradient": lambda: gradient_l1(restored, crops.target),
            "tone": lambda: tone_loss(glance, crops) if glance else None,
            "vgg": lambda: self._vgg(restored, crops.target) if self._vgg else None,
        }
        losses = {name: term() for name, term in terms.items() if getattr(options, name)}
        losses = {name: loss for name, loss in losses.items() if loss is not None}
        return restored, losses, sum(getattr(options, name) * loss for name, loss in losses.items())

    def _fool(
        self, restored: torch.Tensor, target: torch.Tensor, losses: dict[str, torch.Tensor]
    ) -> torch.Tensor:
        """Gives the adversary's and the feature matching terms, noted in `losses`."""
        critic = self.critics["image"]
        with frozen(critic), precision(self.device):
            fake = critic(restored)
            losses["fooling"] = lsgan_generator(fake)
            total = self.options.adversary * losses["fooling"]
            if self.options.matching:
                with torch.no_grad():
                    real = critic(target)
                losses["matching"] = feature_matching(real, fake)
                total = total + self.options.matching * losses["matching"]
        return total

    def evaluate(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        network = RestorationNetwork(
            vae_x=self.vae_x,
            vae_y=networks["vae_y"],
            translation=networks["translation"],
            look=networks.get("look"),
            fills=self.fills,
        )
        figures = {}
        for name, photos in self._judged.items():
            own = restoration_figures(network, photos)
            wanted = ("psnr",) if name == "clean" else ("psnr", "gain", "aligned")
            figures |= {f"{name}/{figure}": own[figure] for figure in wanted}
        return figures
