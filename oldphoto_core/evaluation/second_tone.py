"""Tone and texture damage of the second generator: fading, casts, sepia, uneven light, blur, grain, scan, JPEG.

Colour is moved in Lab, by per-channel curves and by look-up tables, never in density, so that a network trained on the
first generator meets other mathematics here. Everything takes and gives (H, W, 3) float32 sRGB in [0, 1].
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from oldphoto_core.evaluation.second_fields import Field, Picture, fractal_noise, illumination, unit_grid

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_SEPIA = np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]], np.float32)


def _grey(image: Picture) -> Field:
    return image @ _LUMA


def fade_in_lab(rng: np.random.Generator, image: Picture, severity: float) -> Picture:
    """Gives the image with compressed lightness, weakened chroma and a shifted white point."""
    lab: Picture = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2Lab), np.float32)
    keep = 1 - rng.uniform(0.15, 0.6) * severity
    pivot = rng.uniform(50, 92)
    lab[..., 0] = lab[..., 0] * keep + pivot * (1 - keep)
    lab[..., 1:] *= 1 - rng.uniform(0.1, 0.85) * severity
    hue = rng.choice([1.45, 0.9, 0.3, -0.4, 2.6], p=[0.42, 0.23, 0.15, 0.1, 0.1]) + rng.normal(0, 0.2)
    strength = rng.uniform(3, 26) * severity
    lab[..., 1] += strength * math.cos(hue)
    lab[..., 2] += strength * math.sin(hue)
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_Lab2RGB)).clip(0, 1)


def channel_gamma(rng: np.random.Generator, image: Picture, severity: float) -> Picture:
    """Gives the image with its own gamma, lifted black and lowered white in each channel: dyes fade unlike."""
    common = math.exp(rng.normal(0, 0.3) * severity)
    gamma = common * np.exp(rng.normal(0, 0.22, 3) * severity)
    black = rng.uniform(0, 0.16) * severity + rng.uniform(0, 0.12, 3) * severity
    white = 1 - rng.uniform(0, 0.12) * severity - rng.uniform(0, 0.18, 3) * severity
    return (black + (white - black) * image ** gamma.astype(np.float32)).astype(np.float32)


def curve_table(rng: np.random.Generator, image: Picture, severity: float) -> Picture:
    """Gives the image through look-up tables drawn from random monotone knots, alike but not the same in R, G, B."""
    knots = np.linspace(0, 1, 6)
    steps = np.exp(rng.normal(0, 0.75, 5) * severity)
    shared = np.concatenate([[0], np.cumsum(steps) / steps.sum()])
    low, high = rng.uniform(0, 0.22) * severity, 1 - rng.uniform(0, 0.2) * severity
    tables = []
    for _ in range(3):
        own = shared + np.concatenate([[0], rng.normal(0, 0.045, 5)]) * severity
        own = low + (high - low) * np.maximum.accumulate(np.clip(own, 0, 1))
        table = np.interp(np.linspace(0, 1, 256), knots, own)
        tables.append(cv2.GaussianBlur(table.astype(np.float32)[None], (0, 0), 9, borderType=cv2.BORDER_REPLICATE)[0])
    grid = np.linspace(0, 1, 256)
    return np.stack([np.interp(image[..., c], grid, tables[c]) for c in range(3)], axis=-1).astype(np.float32)


def veil(rng: np.random.Generator, image: Picture, severity: float) -> Picture:
    """Gives the image mixed with the colour of old paper or varnish."""
    paper = np.array([rng.uniform(0.75, 0.98), 0, 0])
    paper[1] = paper[0] - rng.uniform(0.0, 0.14)
    paper[2] = paper[1] - rng.uniform(0.0, 0.22)
    share = rng.uniform(0.08, 0.4) * severity
    return (image * (1 - share) + paper * share).astype(np.float32)


def harden(rng: np.random.Generator, image: Picture, severity: float) -> Picture:
    """Gives a copy of a copy: blocked shadows, burnt highlights, wrong exposure."""
    slope = 1 + rng.uniform(0.2, 1.2) * severity
    middle = rng.uniform(0.38, 0.62)
    bleached = rng.uniform(0, 0.7) * severity
    image = image * (1 - bleached) + _grey(image)[..., None] * bleached
    return np.clip((image - middle) * slope + middle + rng.normal(0, 0.07) * severity, 0, 1).astype(np.float32)


def sepia(rng: np.random.Generator, image: Picture, severity: float) -> Picture:
    """Gives a toned print of a grey image, by one of four formulas."""
    grey = _grey(image)
    kind = rng.integers(0, 4)
    toned: Picture
    if kind == 0:
        toned = np.repeat(grey[..., None], 3, 2) @ _SEPIA.T * rng.uniform(0.7, 0.92)
    elif kind == 1:  # duotone through three inks
        shadow = rng.uniform([0.06, 0.03, 0.0], [0.28, 0.18, 0.14])
        middle = rng.uniform([0.46, 0.38, 0.26], [0.66, 0.54, 0.44])
        light = rng.uniform([0.88, 0.80, 0.62], [1.0, 0.96, 0.88])
        toned = np.stack([np.interp(grey, [0, 0.5, 1], [shadow[c], middle[c], light[c]]) for c in range(3)], -1)
    elif kind == 2:  # a Lab tint that is strongest in the middle tones
        lab = np.asarray(cv2.cvtColor(np.repeat(grey[..., None], 3, 2), cv2.COLOR_RGB2Lab))
        bell = 4 * grey * (1 - grey) * rng.uniform(0.3, 0.8) + 0.3
        lab[..., 1] = rng.uniform(0, 14) * bell
        lab[..., 2] = rng.uniform(8, 34) * bell
        toned = np.asarray(cv2.cvtColor(lab, cv2.COLOR_Lab2RGB), np.float32)
    else:  # one hue of HSV
        hsv = np.empty((*grey.shape, 3), np.float32)
        hsv[..., 0], hsv[..., 1] = rng.uniform(18, 48), rng.uniform(0.15, 0.5) * (1 - 0.5 * grey)
        hsv[..., 2] = grey * rng.uniform(0.85, 1.0)
        toned = np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.float32)
    share = min(1.0, 0.35 + severity)
    return np.clip(image * (1 - share) + toned.astype(np.float32) * share, 0, 1)


_FAMILIES = (fade_in_lab, channel_gamma, curve_table, veil, harden)
_MOST_CHANGE = 0.28
"""Root mean square change by tone (about 11 dB): beyond it there is a white or black sheet, and nothing to restore."""

_WEIGHTS = (0.34, 0.24, 0.2, 0.16, 0.06)


def damage_tone(rng: np.random.Generator, image: Picture, severity: float, *, grey: bool) -> Picture:
    """Gives the image faded, cast or toned by one to three families, evenly or by a large-scale field.

    Args:
        rng: source of chance.
        image: (H, W, 3) float32 in [0, 1].
        severity: 0 leaves the image nearly as it was, 1 is a badly faded print.
        grey: the photo has no colour: it may be toned, and half the casts are left out so that some stay neutral.
    """
    neutral = grey and rng.random() < 0.4
    result = image
    if grey and not neutral and rng.random() < 0.65:
        result = sepia(rng, result, severity)
    count = rng.choice([1, 2, 3], p=[0.5, 0.4, 0.1])
    for index in rng.choice(len(_FAMILIES), count, replace=False, p=_WEIGHTS):
        result = _FAMILIES[index](rng, result, severity / math.sqrt(count))
    if neutral:
        result = np.repeat(_grey(result)[..., None], 3, 2)
    if rng.random() < 0.65:
        result = _uneven(rng, image, result, severity, neutral=neutral)
    change = np.clip(result, 0, 1) - image
    share = min(1.0, _MOST_CHANGE / max(float(np.sqrt(np.mean(change**2))), 1e-6))
    return (image + share * change).astype(np.float32)


def _uneven(rng: np.random.Generator, image: Picture, toned: Picture, severity: float, *, neutral: bool) -> Picture:
    field = illumination(rng, image.shape[:2])[..., None]
    kind = rng.integers(0, 3)
    if kind == 0:  # the damage itself is stronger here than there
        share = 0.45 + 0.55 * field
        return image * (1 - share) + toned * share
    if kind == 1:  # uneven light, darker or brighter
        return toned * (1 + rng.choice([-0.6, 0.45]) * severity * field)
    tint = np.full(3, rng.uniform(0.7, 0.95)) if neutral else rng.uniform([0.6, 0.48, 0.25], [0.98, 0.85, 0.6])
    return toned * (1 - 0.6 * severity * field) + tint.astype(np.float32) * 0.6 * severity * field


def blur_lens(rng: np.random.Generator, image: Picture, severity: float) -> Picture:
    """Gives the image out of focus, shaken, or scanned small and enlarged."""
    kind = rng.integers(0, 4)
    if kind == 0:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), 0.3 + rng.uniform(0.2, 1.6) * severity), np.float32)
    if kind == 1:
        radius = 1 + rng.uniform(0, 1.6) * severity
        rows, columns = unit_grid((7, 7))
        disc = np.clip(radius + 0.5 - np.hypot(rows - 3, columns - 3), 0, 1)
        return _convolve(image, disc)
    if kind == 2:
        length, angle = 1 + 3.5 * severity * rng.random(), rng.uniform(0, math.pi)
        kernel = np.zeros((9, 9), np.float32)
        for t in np.linspace(-length, length, 33):
            kernel[round(4 + t * math.sin(angle) / 2), round(4 + t * math.cos(angle) / 2)] += 1
        return _convolve(image, kernel)
    height, width = image.shape[:2]
    factor = 1 - rng.uniform(0.1, 0.5) * severity
    small = cv2.resize(image, (round(width * factor), round(height * factor)), interpolation=cv2.INTER_AREA)
    return np.clip(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)


def _convolve(image: Picture, kernel: Field) -> Picture:
    blurred = cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT)
    return np.asarray(blurred, np.float32)


def add_grain(rng: np.random.Generator, image: Picture, severity: float, *, grey: bool) -> Picture:
    """Gives the image with shot noise gathered into clumps, and coarser mottle, strongest in the middle tones."""
    height, width = image.shape[:2]
    luma = np.clip(_grey(image), 0, 1)
    photons = 1 / (rng.uniform(0.02, 0.13) * severity + 0.008) ** 2
    shot = (rng.poisson(luma * photons + 2) / photons).astype(np.float32) - luma - 2 / photons
    clump = np.asarray(cv2.GaussianBlur(shot, (0, 0), rng.uniform(0.45, 1.3)), np.float32)
    clump *= shot.std() / max(float(clump.std()), 1e-6)
    mottle = (fractal_noise(rng, (height, width), cell_px=rng.uniform(4, 9), octaves=2) - 0.5) * 0.12 * severity
    noise = (clump + mottle * rng.random()) * (0.35 + 2.6 * luma * (1 - luma))
    if grey:
        return np.clip(image + noise[..., None], 0, 1)
    white = rng.standard_normal((height, width, 3)).astype(np.float32)
    dyes = np.asarray(cv2.GaussianBlur(white, (0, 0), 0.8), np.float32)
    dyes *= rng.uniform(0.1, 0.5) * float(noise.std()) / max(float(dyes.std()), 1e-6)
    return np.clip(image + noise[..., None] + dyes, 0, 1)


def paper_relief(rng: np.random.Generator, image: Picture, severity: float) -> Picture:
    """Gives the image on textured paper: linen or silk weave, rough stock, or a printed screen."""
    rows, columns = unit_grid(image.shape[:2])
    kind = rng.integers(0, 3)
    period = rng.uniform(2.6, 5.5)
    if kind == 0:
        relief = np.cos(2 * math.pi * rows / period) * np.cos(2 * math.pi * columns / period)
    elif kind == 1:
        relief = fractal_noise(rng, image.shape[:2], cell_px=3, octaves=2) * 2 - 1
    else:
        angle = rng.uniform(0.5, 1.1)
        u = rows * math.cos(angle) + columns * math.sin(angle)
        v = columns * math.cos(angle) - rows * math.sin(angle)
        relief = np.cos(2 * math.pi * u / period) + np.cos(2 * math.pi * v / period)
    return np.clip(image * (1 + rng.uniform(0.03, 0.11) * severity * relief[..., None]), 0, 1).astype(np.float32)


def jpeg(image: Picture, quality: int, *, shift: tuple[int, int] = (0, 0)) -> Picture:
    """Gives the image after JPEG by libjpeg, with its 8-pixel grid moved by `shift` (rows, columns)."""
    height, width = image.shape[:2]
    levels = np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)
    padded = cv2.copyMakeBorder(levels, shift[0], 0, shift[1], 0, cv2.BORDER_REPLICATE)
    _, data = cv2.imencode(".jpg", padded[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))[..., ::-1]
    return decoded[shift[0] : shift[0] + height, shift[1] : shift[1] + width].astype(np.float32) / 255
