"""Stage 1, the VAEs (eqs. 2-4): VAE1 over real old and damaged photos, then VAE2 over clean ones, started from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import torch
from torch import nn

from oldphoto_core.models.look import Look
from oldphoto_core.models.presets import (
    Preset,
    build_channel_discriminator,
    build_latent_discriminator,
    build_patch_discriminator,
    build_vae,
    preset,
)
from oldphoto_core.models.vae import VAE
from oldphoto_core.training.batches import CropBatch, CropSource
from oldphoto_core.training.chunks import Detect, clean_chunks, old_chunks, synthetic_chunks
from oldphoto_core.training.judging import BATCH, own_set, second_set, untouched
from oldphoto_core.training.look import toned_photos
from oldphoto_core.training.loop import placed, precision
from oldphoto_core.training.losses import (
    kl_to_standard_normal,
    kl_weight,
    l1,
    latent_adversary,
    latent_encoder,
    lsgan_discriminator,
    lsgan_generator,
    psnr,
)
from oldphoto_core.training.matching import nearest_partners, traits
from oldphoto_core.training.material import Material
from oldphoto_core.training.optimisers import Learners, adam, adamw, update
from oldphoto_core.training.schedule import Clock, fresh_weights, seeded


@dataclass(frozen=True)
class VaeSettings:
    """Sizes and weights of the VAEs' training."""

    preset: str = "archive"
    batch: int = 16
    crop: int = 96
    rate: float = 1e-3
    alpha: float = 100.0
    """Weight of L1 against KL, over sums (eq. 2). The paper's 10 caps reconstruction near 28 dB, 60 near 41."""
    kl_warm_up: float = 0.3
    """Share of VAE1's budget over which the KL term comes in; VAE2 starts from VAE1, and has it from the start."""
    latent_adversary: float = 0.05
    """Weight of eq. 3 for the encoder; 0 leaves the latent discriminator out."""
    latent_from: float = 0.5
    """Share of VAE1's budget at which the latent discriminators join."""
    encoder_until: float = 1.0
    """Share of VAE1's budget at which its encoder is left as it is, and the decoder catches up with it."""
    channel_adversary: float = 0.0
    """Weight of eq. 3 for the encoder with a second discriminator, on channel means and deviations."""
    channel_crops: int = 16
    """Crops of either kind that the second discriminator is shown a step; they are encoded only."""
    channel_px: int = 128
    """Side of those."""
    matched: int = 4
    """Damaged crops to choose one of, that is as grey and as sharp as an old one, once a latent discriminator joins;
    1 takes them as they come."""
    adversary: float = 0.0
    """Weight of the image LSGAN of eq. 2."""
    variational: bool = True
    """A mean and a variance, sampled, and KL (eq. 2); without, a plain autoencoder: the mean alone, and no KL."""
    shared: bool = False
    """One VAE in place of two: VAE1 is shown clean photos too, and is VAE2 as well."""
    adversary_rate: float = 2e-4
    chunk_photos: int = 8
    steps_a_chunk: int = 2
    pool_chunks: int = 8

    @classmethod
    def for_preset(cls, name: str) -> VaeSettings:
        """Gives the recipe's settings, or the paper's: alpha 10, LSGAN, the latent discriminator throughout."""
        if not preset(name).published:
            return cls(preset=name)
        return cls(
            preset=name, crop=256, batch=4, rate=2e-4, alpha=10.0, kl_warm_up=0.0, latent_adversary=1.0,
            latent_from=0.0, matched=1, adversary=1.0,
        )  # fmt: skip


class _VaeStage:
    """What both VAEs share: reconstruction, KL and the image adversary."""

    score = None  # KL comes in over time and costs decibels: the newest weights are the ones to have

    def __init__(self, key: str, settings: VaeSettings, material: Material, seed: int):
        self.device, self.options, self.settings = material.device, settings, asdict(settings)
        self._seed = seed
        with fresh_weights(seed, key):
            self.vae = placed(build_vae(preset(settings.preset)), self.device)
        self.vae.initialise_linear_path(_some_clean_crops(material, seed))
        self.networks: Mapping[str, nn.Module] = {key: self.vae}
        optimiser = adam if preset(settings.preset).published else adamw
        self.optimisers: dict[str, torch.optim.Optimizer] = {key: optimiser(Learners([self.vae], settings.rate))}
        self.critics: dict[str, nn.Module] = {}
        if settings.adversary:
            self._add_critic("image", build_patch_discriminator)
        elements = 3 * 4 * 4  # image elements a latent place
        self._kl_weight = kl_weight(settings.alpha, latent_elements=self.vae.latent_channels, image_elements=elements)

    def _add_critic(self, name: str, build: Callable[[Preset], nn.Module]) -> None:
        with fresh_weights(self._seed, f"{name} critic"):
            critic = placed(build(preset(self.options.preset)), self.device)
        self.critics[name] = critic
        self.optimisers[name] = adam(Learners([critic], self.options.adversary_rate))

    def _reconstruct(
        self, image: torch.Tensor, generator: torch.Generator, *, kl_share: float, encoding: bool = True
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor], torch.Tensor, torch.Tensor]:
        """Gives eq. 2's loss, its terms, the sampled latent and the reconstruction.

        A decoder that catches up with an encoder at rest is shown the latent's mean, as restoration uses it.
        """
        with precision(self.device):
            mean, logvar = self.vae.encode(image)
            sampled = encoding and self.options.variational
            latent = self.vae.sample(mean, logvar, generator) if sampled else mean
            decoded = self.vae.decode(latent)
        losses = {"l1": l1(decoded, image)}
        total = losses["l1"]
        if self.options.variational:
            losses["kl"] = kl_to_standard_normal(mean, logvar)
            total = total + kl_share * self._kl_weight * losses["kl"]
        if "image" in self.critics:
            with frozen(self.critics["image"]), precision(self.device):
                losses["fooling"] = lsgan_generator(self.critics["image"](decoded))
            total = total + self.options.adversary * losses["fooling"]
        return total, losses, latent, decoded

    def _train_image_critic(self, real: torch.Tensor, fake: torch.Tensor) -> dict[str, torch.Tensor]:
        if "image" not in self.critics:
            return {}
        critic = self.critics["image"]
        with precision(self.device):
            loss = lsgan_discriminator(critic(real), critic(fake.detach()))
        update(self.optimisers["image"], loss)
        return {"critic": loss}


class OldVaeStage(_VaeStage):
    """VAE1, (E_RX, G_RX): half of each batch real old photos, half damaged ones, into one latent space.

    A shared one gives a third of each batch to clean photos.
    """

    name = "vae_x"

    def __init__(
        self,
        settings: VaeSettings,
        material: Material,
        *,
        look: Look | None,
        detect: Detect | None = None,
        seed: int = 0,
    ):
        super().__init__("vae_x", settings, material, seed)
        self.look = placed(look, self.device).eval().requires_grad_(False) if look is not None else None
        pace = {"steps_a_chunk": settings.steps_a_chunk, "pool_chunks": settings.pool_chunks, "device": self.device}
        make = synthetic_chunks(material.clean, material.degradation, photos=settings.chunk_photos, detect=detect)
        self._synthetic = CropSource(make, seed=seed, **pace)
        self.sources = [self._synthetic]
        self._old = None
        if material.old is not None:
            make = old_chunks(material.old, photos=settings.chunk_photos, detect=detect)
            self._old = CropSource(make, seed=seed, name="old", **pace)
            self.sources.append(self._old)
        self._clean = None
        if settings.shared:
            make = clean_chunks(material.clean, photos=settings.chunk_photos)
            self._clean = CropSource(make, seed=seed, name="clean", **pace)
            self.sources.append(self._clean)
        if settings.latent_adversary and self._old is not None:
            self._add_critic("latent", build_latent_discriminator)
        if settings.channel_adversary and self._old is not None:
            self.critics["channels"] = placed(build_channel_discriminator(preset(settings.preset)), self.device)
        self._judged = {"own": own_set(material), "second": second_set(material)}
        if material.old_held_out is not None:
            with torch.no_grad():
                make = old_chunks(material.old_held_out, photos=16)
                self._judged["old"] = make(seeded(0, "judging old", 0, self.device))

    def step(self, clock: Clock, generator: torch.Generator) -> tuple[dict[str, torch.Tensor], int]:
        options = self.options
        clean = max(1, options.batch // 3) if self._clean else 0
        rest = options.batch - clean
        count = rest // 2 if self._old else rest
        adversaries = {"latent", "channels"} & set(self.critics)  # only where there are old photos
        encoding = clock.share < options.encoder_until
        for part in self.vae.encoder_parts:
            part.requires_grad_(encoding)
        joined = bool(adversaries) and clock.share >= options.latent_from and encoding
        shown = self._shown(clock.step, rest - count or count, count, crop=options.crop, matched=joined)
        if self._clean:
            shown.append(self._clean.at(clock.step, crop_px=options.crop, batch=clean).image)
        image = torch.cat(shown)
        warm = min(1.0, clock.share / options.kl_warm_up) if options.kl_warm_up else 1.0
        total, losses, latent, decoded = self._reconstruct(image, generator, kl_share=warm, encoding=encoding)
        synthetic, *others = latent.split([len(i) for i in shown])
        old = others[0] if self._old else None
        if joined and "latent" in self.critics:
            critic = self.critics["latent"]
            with frozen(critic), precision(self.device):
                losses["alike"] = latent_encoder(critic(old)[0][0], critic(synthetic)[0][0])
            total = total + options.latent_adversary * losses["alike"]
        if joined and "channels" in self.critics:
            views = self._channel_latents(clock.step)
            if self.critics["channels"].ready:
                losses["channels"] = latent_encoder(*(self.critics["channels"](view) for view in views))
                total = total + options.channel_adversary * losses["channels"]
        update(self.optimisers["vae_x"], total)
        losses |= self._train_image_critic(image, decoded)
        if joined and "latent" in self.critics:
            with precision(self.device):
                losses["latent_critic"] = latent_adversary(
                    critic(old.detach())[0][0], critic(synthetic.detach())[0][0]
                )
            update(self.optimisers["latent"], losses["latent_critic"])
        if joined and "channels" in self.critics:
            self.critics["channels"].remember(*(view.detach() for view in views))
        return losses, len(image)

    def _channel_latents(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Gives the latents of larger crops, old ones and damaged ones like them: the means, which T is shown too."""
        count = self.options.channel_crops
        synthetic, old = self._shown(step, count, count, crop=self.options.channel_px, matched=True)
        with precision(self.device):
            means = self.vae.encode_mean(torch.cat([old, synthetic])).float()
        first, second = means.split([len(old), len(synthetic)])
        return first, second

    def _shown(self, step: int, synthetic: int, old: int, *, crop: int, matched: bool) -> list[torch.Tensor]:
        """Gives damaged crops, and old ones where there are any, as the encoder is shown them: toned, and matched."""
        surplus = self.options.matched if matched and self._old else 1
        crops = [self._synthetic.at(step, crop_px=crop, batch=synthetic * surplus)]
        if self._old:
            crops.append(self._old.at(step, crop_px=crop, batch=old))
        shown = [toned_crops(self.look, c) for c in crops]
        if surplus > 1:
            shown[0] = shown[0][nearest_partners(traits(shown[1]), traits(shown[0]))[0]]
        return shown

    def evaluate(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        figures = {}
        for name, photos in self._judged.items():
            shown = photos.image if self.look is None else toned_photos(self.look, photos)
            figures[f"{name}/psnr"] = psnr(reconstruct(networks["vae_x"], shown), shown)
        return figures


class CleanVaeStage(_VaeStage):
    """VAE2, (E_Y, G_Y), over clean photos. It starts from VAE1's weights, so that both latents share a geometry."""

    name = "vae_y"

    def __init__(self, settings: VaeSettings, material: Material, *, start: VAE | None = None, seed: int = 0):
        super().__init__("vae_y", settings, material, seed)
        if start is not None:
            self.vae.load_state_dict(start.state_dict())
        self._clean = CropSource(
            clean_chunks(material.clean, photos=settings.chunk_photos),
            seed=seed,
            name="clean",
            steps_a_chunk=settings.steps_a_chunk,
            pool_chunks=settings.pool_chunks,
            device=self.device,
        )
        self.sources = [self._clean]
        self._judged = untouched(second_set(material)).image

    def step(self, clock: Clock, generator: torch.Generator) -> tuple[dict[str, torch.Tensor], int]:
        image = self._clean.at(clock.step, crop_px=self.options.crop, batch=self.options.batch).image
        total, losses, _, decoded = self._reconstruct(image, generator, kl_share=1.0)
        update(self.optimisers["vae_y"], total)
        losses |= self._train_image_critic(image, decoded)
        return losses, len(image)

    def evaluate(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        vae = networks["vae_y"]
        sampled = reconstruct(vae, self._judged, generator=seeded(0, "judging noise", 0, self.device))
        return {
            "clean/psnr": psnr(reconstruct(vae, self._judged), self._judged),
            "clean/sampled_psnr": psnr(sampled, self._judged),
        }


def toned_crops(look: Look | None, crops: CropBatch) -> torch.Tensor:
    """Gives what the encoder is shown: the crops with their tone corrected, or the crops where there is no look."""
    if look is None:
        return crops.image
    with torch.no_grad(), precision(crops.image.device):
        glance = look(crops.thumbnail, crops.thumbnail_mask)
    return glance.tone.apply(crops.image, crops.window).clamp(-1, 1)


def reconstruct(vae: VAE, images: torch.Tensor, *, generator: torch.Generator | None = None) -> torch.Tensor:
    """Gives the images through the VAE: by the latent's mean, or a sampled latent where a generator is given."""
    parts = []
    for image in images.split(BATCH):
        with torch.no_grad(), precision(images.device):
            mean, logvar = vae.encode(image)
            latent = mean if generator is None else vae.sample(mean, logvar, generator)
            parts.append(vae.decode(latent).float())
    return torch.cat(parts).clamp(-1, 1)


@contextmanager
def frozen(network: nn.Module):
    """Keeps gradients from the network's weights, though not from what goes through it."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)


def _some_clean_crops(material: Material, seed: int) -> torch.Tensor:
    """Gives clean images in [-1, 1] to find principal components in."""
    return material.clean.draw(64, 128, seeded(seed, "principal components", 0)).cpu() * 2 - 1
