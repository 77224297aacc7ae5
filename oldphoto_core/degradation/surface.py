"""Damage on the print's surface, each kind in its own colour: it is not toned with the picture below."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from oldphoto_core.degradation import areas, shapes
from oldphoto_core.degradation.dice import Dice, each
from oldphoto_core.degradation.fields import Size, edge_distance, fractal_noise, smooth_noise
from oldphoto_core.degradation.film import from_density, to_density
from oldphoto_core.degradation.optics import gaussian_blur
from oldphoto_core.degradation.paper import bare_paper, paper_relief
from oldphoto_core.degradation.recipe import Recipe
from oldphoto_core.degradation.textures import TextureLibrary

FAINT = 0.1
"""Opacity below which structured damage is neither damage nor ignored."""

Shape = Callable[[Dice, Tensor, Size], Tensor]


class Surface:
    """A batch of pictures whose surface is being damaged.

    Attributes:
        image: (B, 3, H, W) in [0, 1].
        opacity: (B, 1, H, W) of structured damage so far.
    """

    def __init__(
        self, image: Tensor, severity: Tensor, *, exact: Tensor, recipe: Recipe, textures: TextureLibrary, dice: Dice
    ) -> None:
        """Starts with an undamaged surface.

        Args:
            image: (B, 3, H, W); it is not written to.
            severity: (B,) on the CPU.
            exact: (B,) bool on the CPU: leave out what is fainter than `FAINT`, so that all that is not masked or
                ignored stays as it was.
            recipe: probabilities.
            textures: may be empty.
            dice: randomness.
        """
        self.image = image.clone()
        self.severity = severity
        self.recipe = recipe
        self.textures = textures
        self.dice = dice
        self._floor = each(dice.send(exact).float() * FAINT)
        self.exact = exact
        self.size: Size = (image.shape[-2], image.shape[-1])
        self.opacity = torch.zeros_like(image[:, :1])

    def add_tonal(self) -> None:
        """Adds what lies on the surface yet hides nothing: relief, dried
        water or coffee, silver mirroring. Exact samples get none."""
        recipe, dice = self.recipe, self.dice
        changes = (
            (recipe.p_relief, self._relief),
            (recipe.p_tint, self._tint),
            (recipe.p_mirroring, self._mirroring),
        )
        for probability, change in changes:
            chosen = dice.chance(probability, len(self.image)) & ~self.exact
            if chosen.any():
                index = dice.indices(chosen)
                self.image[index] = change(self.image[index], self.severity[chosen])

    def add_structured(self) -> None:
        """Adds stains, cracks, folds, holes, flakes, tears, worn edges, tape, scratches, dust and hair in turn."""
        recipe = self.recipe
        self._each_chosen(recipe.p_stain, self._stain)
        self._each_chosen(recipe.p_foxing, self._foxing)
        self._each_chosen(recipe.p_fingerprint, self._fingerprint)
        self._each_chosen(recipe.p_crack, self._crack)
        self._each_chosen(recipe.p_crease, self._crease)
        self._each_chosen(recipe.p_hole, self._hole)
        self._each_chosen(recipe.p_flake, self._flake)
        self._each_chosen(recipe.p_lost, self._lost)
        self._each_chosen(recipe.p_border, self._border)
        self._each_chosen(recipe.p_tape, self._tape)
        self._each_chosen(recipe.p_scratch, self._scratch)
        self._each_chosen(recipe.p_dust, self._dust)
        self._each_chosen(recipe.p_hair, self._hair)

    def _each_chosen(self, probability: float, add: Callable[[Tensor, Tensor, int], None]) -> None:
        chosen = self.dice.chance(probability, len(self.image))
        if chosen.any():
            add(self.dice.indices(chosen), self.severity[chosen], int(chosen.sum()))

    def _lay(self, index: Tensor, alpha: Tensor, colour: Tensor, *, mode: Tensor | None = None) -> None:
        """Lays a colour over some of the pictures.

        Args:
            index: (N,) positions.
            alpha: (N, 1, H, W) opacity.
            colour: (N, 3, 1, 1) or (N, 3, H, W).
            mode: (N,) 0 over, 1 screen, 2 lighten only, 3 multiply; over where not given.
        """
        alpha = alpha * (alpha >= self._floor[index].clamp_min(0.004))
        below = self.image[index]
        laid = colour
        if mode is not None:
            m = each(mode)
            laid = torch.where(m == 1, below + colour - below * colour, laid.expand_as(below))
            laid = torch.where(m == 2, torch.maximum(below, colour), laid)
            laid = torch.where(m == 3, below * colour, laid)
        self.image[index] = below + (laid - below) * alpha
        self.opacity[index] = 1 - (1 - self.opacity[index]) * (1 - alpha)

    def _drawn_or_read(
        self,
        kinds: dict[str, float],
        severity: Tensor,
        draw: Shape,
        *,
        zoom: tuple[float, float],
        most: int,
    ) -> Tensor:
        """Gives (N, 1, H, W): for each sample one to `most` textures of one kind, or the procedural shape."""
        dice, count = self.dice, len(severity)
        kinds = {kind: weight for kind, weight in kinds.items() if self.textures.has(kind)}
        drawn = dice.chance(self.recipe.procedural_share if kinds else 1.0, count)
        out = torch.zeros(count, 1, *self.size, device=dice.device)
        if drawn.any():
            out[dice.indices(drawn)] = draw(dice, severity[drawn], self.size)
        if drawn.all():
            return out
        kind = dice.choice(list(kinds.values()), count)
        layers = 1 + (severity * most * dice.shares(count)).long()
        faded = dice.uniform(0.3, 1.2, count)
        for number, name in enumerate(kinds):
            for layer in range(most):
                chosen = ~drawn & (kind == number) & (layers > layer)
                if not chosen.any():
                    break
                index = dice.indices(chosen)
                read = self.textures.draw(name, dice, len(index), size=self.size, zoom=zoom)
                strength = (faded[index] * dice.uniform(0.7, 1.3, len(index))).clamp(0.15, 1)
                out[index] = torch.maximum(out[index], (read * 1.3).clamp_max(1) * each(strength))
        return out

    def _light(self, count: int, *, dark: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Gives colours (N, 3, 1, 1) of bared paper or, where dark, of dirt; and blending modes (N,)."""
        dice = self.dice
        value = 1 - 0.4 * dice.uniform(0, 1, count).square()
        tint = dice.normal(count, 3) * dice.log_uniform(0.004, 0.06, count)[:, None]
        warm = dice.send(torch.tensor([0.02, 0.0, -0.08])) * dice.uniform(0, 1, count)[:, None]
        mode = dice.send(dice.choice([0.6, 0.2, 0.2], count))
        if dark is not None:
            dark = dice.send(dark)
            value = torch.where(dark, dice.uniform(0, 0.28, count), value)
            mode = torch.where(dark, dice.send(dice.choice([0.6, 0, 0, 0.4], count)), mode)
        return each((value[:, None] + tint + warm).clamp(0, 1)), mode

    def _scratch(self, index: Tensor, severity: Tensor, count: int) -> None:
        alpha = self._drawn_or_read({"scratch": 1.0}, severity, shapes.scratches, zoom=(0.5, 1.6), most=3)
        colour, mode = self._light(count, dark=self.dice.chance(0.2, count))
        self._lay(index, alpha, colour, mode=mode)

    def _dust(self, index: Tensor, severity: Tensor, count: int) -> None:
        kinds = {"dust": 0.35, "dirt": 0.3, "film-dust": 0.35}
        alpha = self._drawn_or_read(kinds, severity, shapes.dust, zoom=(0.7, 2.0), most=3)
        colour, mode = self._light(count, dark=self.dice.chance(0.35, count))
        self._lay(index, alpha, colour, mode=mode)

    def _hair(self, index: Tensor, severity: Tensor, count: int) -> None:
        alpha = self._drawn_or_read({"hair": 0.65, "lint": 0.35}, severity, shapes.hairs, zoom=(0.35, 1.2), most=3)
        colour, mode = self._light(count, dark=self.dice.chance(0.5, count))
        self._lay(index, alpha, colour, mode=mode)

    def _crease(self, index: Tensor, severity: Tensor, count: int) -> None:
        core, dark, light = shapes.creases(self.dice, severity, self.size)
        shade = each(self.dice.uniform(0.05, 0.3, count)).expand(-1, 3, -1, -1)
        self._lay(index, dark, shade)
        bright, mode = self._light(count)
        self._lay(index, light, bright)
        self._lay(index, core, bright, mode=mode)

    def _crack(self, index: Tensor, severity: Tensor, count: int) -> None:
        alpha = areas.crack_network(self.dice, severity, self.size)
        colour, mode = self._light(count, dark=self.dice.chance(0.25, count))
        self._lay(index, alpha, colour, mode=mode)

    def _hole(self, index: Tensor, severity: Tensor, count: int) -> None:
        alpha = self._drawn_or_read({"patch": 1.0}, severity, areas.holes, zoom=(0.15, 1.0), most=2)
        alpha = (alpha * 1.6).clamp_max(1)
        rim = 4 * alpha * (1 - alpha) * each(self.dice.normal(count) * 0.2)  # the torn edge catches light, or shades
        self._lay(index, alpha, (self._bared_paper(index, count) + rim).clamp(0, 1))

    def _flake(self, index: Tensor, severity: Tensor, count: int) -> None:
        alpha = areas.flakes(self.dice, severity, self.size)
        self._lay(index, alpha * each(self.dice.uniform(0.6, 1, count)), self._bared_paper(index, count))

    def _lost(self, index: Tensor, severity: Tensor, count: int) -> None:
        """A piece torn off: white fibres along the tear, beyond it what the print was laid upon, in its shadow."""
        dice = self.dice
        lost, torn = areas.lost_pieces(dice, count, self.size)
        fibres = 0.9 + 0.06 * fractal_noise(dice, count, self.size, cells=20, octaves=3)
        self._lay(index, torn, fibres.clamp(0, 1).expand(-1, 3, -1, -1))
        beneath = self._bared_paper(index, count)
        shade = gaussian_blur(torn, dice.uniform(1, 4, count), reach=6)
        self._lay(index, lost, beneath * (1 - each(dice.uniform(0, 0.5, count)) * (1 - shade)).clamp(0, 1))

    def _border(self, index: Tensor, severity: Tensor, count: int) -> None:
        alpha = areas.worn_border(self.dice, severity, self.size)
        self._lay(index, alpha, self._bared_paper(index, count))

    def _tape(self, index: Tensor, severity: Tensor, count: int) -> None:
        """Adhesive tape: clear at first, amber after decades."""
        dice = self.dice
        alpha = areas.tape(dice, severity, self.size)
        amber = dice.send(torch.tensor([0.85, 0.68, 0.38])) * dice.uniform(0.75, 1.15, count)[:, None]
        aged = dice.uniform(0, 1, count)[:, None]
        pale = dice.uniform(0.6, 0.95, count)[:, None]
        self._lay(index, alpha, each((pale + (amber - pale) * aged).clamp(0, 1)))

    def _bared_paper(self, index: Tensor, count: int) -> Tensor:
        """Gives (N, 3, H, W): the print's own paper, as its highlights show it, or another's; torn, it is fibrous."""
        dice = self.dice
        paper = bare_paper(dice, self.textures, count, self.size, procedural_share=self.recipe.procedural_share)
        own = (
            self.image[index]
            .flatten(2)[..., ::7]
            .kthvalue(max(1, int(0.97 * (self.size[0] * self.size[1] // 7))))
            .values
        )
        own = own / paper.mean((2, 3)).clamp_min(0.05) * dice.uniform(0.92, 1.05, count)[:, None]
        paper = torch.where(each(dice.send(dice.chance(0.4, count))), paper * each(own), paper)
        torn = dice.uniform(0.02, 0.12, count) * dice.send(dice.chance(0.35, count))
        fibres = fractal_noise(dice, count, self.size, cells=20, octaves=4)
        return (paper * (1 + each(torn) * fibres)).clamp(0, 1)

    def _stain(self, index: Tensor, severity: Tensor, count: int) -> None:
        """Paint, ink, mould or lost emulsion: opaque enough to hide what lies below."""
        dice = self.dice
        alpha = self._drawn_or_read({"stain": 1.0}, severity, areas.blotches, zoom=(0.25, 1.0), most=2)
        mottle = fractal_noise(dice, count, self.size, cells=6, octaves=4)
        peak = alpha.amax((1, 2, 3), keepdim=True).clamp_min(0.1)
        alpha = (alpha / peak * each(dice.uniform(0.85, 1.6, count)) * (1 + 0.2 * mottle)).clamp(0, 1)
        brown = dice.send(torch.tensor([0.6, 0.46, 0.32])) * dice.uniform(0.1, 1.4, count)[:, None]
        colour = (brown * (1 + dice.normal(count, 3) * 0.12)).clamp(0, 1)
        pale = dice.send(dice.chance(0.4, count))[:, None]
        colour = torch.where(pale, 1 - 0.2 * dice.uniform(0, 1, count, 1) - 0.06 * dice.uniform(0, 1, count, 3), colour)
        grain = each(dice.uniform(0.02, 0.2, count)) * mottle.roll((7, 11), (2, 3))
        self._lay(index, alpha, (each(colour) * (1 + grain)).clamp(0, 1))

    def _foxing(self, index: Tensor, severity: Tensor, count: int) -> None:
        alpha = shapes.foxing(self.dice, severity, self.size)
        brown = self.dice.send(torch.tensor([0.55, 0.36, 0.18])) * self.dice.uniform(0.5, 1.4, count)[:, None]
        mode = self.dice.send(self.dice.choice([0.4, 0, 0, 0.6], count))
        self._lay(index, alpha, each(brown.clamp(0, 1)), mode=mode)

    def _fingerprint(self, index: Tensor, severity: Tensor, count: int) -> None:
        alpha = areas.fingerprints(self.dice, count, self.size)
        colour, mode = self._light(count, dark=self.dice.chance(0.5, count))
        self._lay(index, alpha, colour, mode=mode)

    def _relief(self, image: Tensor, severity: Tensor) -> Tensor:
        share = self.recipe.procedural_share
        relief = paper_relief(self.dice, self.textures, len(image), self.size, procedural_share=share)
        depth = self.dice.log_uniform(0.006, 0.03, len(image)) * (0.5 + self.dice.send(severity))
        return (image + relief * each(depth)).clamp(0, 1)

    def _tint(self, image: Tensor, severity: Tensor) -> Tensor:
        """A translucent stain with the outline of a real one: it darkens by density and hides nothing."""
        dice, count = self.dice, len(image)
        shape = self._drawn_or_read({"stain": 1.0}, severity, areas.blotches, zoom=(0.3, 1.8), most=2)
        colour = dice.send(torch.tensor([0.08, 0.2, 0.42])) * dice.log_uniform(0.3, 2, count)[:, None]
        colour = (colour * (1 + dice.normal(count, 3) * 0.3)) * (0.4 + 1.2 * dice.send(severity))[:, None]
        return from_density((to_density(image) + shape * each(colour)).clamp_min(0))

    def _mirroring(self, image: Tensor, severity: Tensor) -> Tensor:
        """Bluish metal sheen that dark parts take on near the edges."""
        dice, count = self.dice, len(image)
        near = torch.exp(-edge_distance(self.size, dice.device) / each(dice.uniform(0.08, 0.4, count)))
        cloud = (0.6 + 0.4 * smooth_noise(dice, count, self.size, cells=5)).clamp(0, 1)
        dark = (1 - image.mean(1, keepdim=True)).pow(1.5)
        sheen = each(dice.send(torch.tensor([0.62, 0.68, 0.76])).expand(count, -1))
        amount = near * cloud * dark * each(dice.uniform(0.2, 0.8, count) * (0.5 + dice.send(severity)))
        return image + (sheen - image) * amount.clamp(0, 0.7)
