"""Label Studio's brush: a painted RGBA picture, packed bit by bit (thi.ng's rle-pack), of which alpha is the mask.

    32 bits   number of values, 4 x height x width
    5 bits    bits of a value - 1
    4 x 4     bits of a length - 1, for the four kinds of length
    then      1 bit: a run, or values one by one; 2 bits: which kind of length; the length - 1; a value, or so many
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from oldphoto_core.errors import LabelRefused
from oldphoto_core.labels.drawing import Size

PAINTED_FROM = 128
"""Alpha from which a pixel is painted; the rim of a stroke is softened."""

_HEAD_BITS = 53
_VALUE_BITS = 8
_LENGTH_BITS = (3, 4, 8, 16)


@dataclass(frozen=True)
class Brush:
    """What somebody painted.

    Attributes:
        packed: numbers 0 to 255, as the export lists them.
        size: (height, width).
    """

    packed: Sequence[Any]
    size: Size

    def paint(self, mask: np.ndarray) -> None:
        """See `Shape.paint`."""
        if self.size != mask.shape:
            raise LabelRefused(f"is corrupt: painted at {self.size}, in a drawing of {mask.shape}")
        np.maximum(mask, decode_brush(self.packed, self.size), out=mask)


def decode_brush(packed: Sequence[Any], size: Size) -> np.ndarray:
    """Gives (H, W) uint8, 255 where painted.

    Raises:
        LabelRefused: it is not of this size, or ends too early.
    """
    bits = np.unpackbits(_bytes_of(packed))
    height, width = size
    expected = 4 * height * width
    if len(bits) < _HEAD_BITS:
        raise LabelRefused("is corrupt: a brush of no bytes")
    found, value_bits = _number(bits, 0, 32), _number(bits, 32, 5) + 1
    if found != expected or value_bits != _VALUE_BITS:
        raise LabelRefused(
            f"is corrupt: a brush of {found} values of {value_bits} bits, expected 4 x {height} x {width} = "
            f"{expected} of {_VALUE_BITS}"
        )
    length_bits = [_number(bits, 37 + 4 * kind, 4) + 1 for kind in range(4)]
    alpha = np.zeros(height * width, np.uint8)
    done, at = 0, _HEAD_BITS
    while done < expected:
        kind = _number(bits, at + 1, 2)
        is_run = _number(bits, at, 1)
        length = _number(bits, at + 3, length_bits[kind]) + 1
        at += 3 + length_bits[kind]
        values = 1 if is_run else length
        if done + length > expected or at + values * _VALUE_BITS > len(bits):
            raise LabelRefused(f"is corrupt: a brush that ends or goes astray after {done} of {expected} values")
        # Every fourth value is alpha: of those from `done` on, the first is here.
        first, last = -(-(done - 3) // 4), (done + length - 4) // 4 + 1
        if is_run:
            alpha[first:last] = _number(bits, at, _VALUE_BITS)
        else:
            row = np.packbits(bits[at : at + length * _VALUE_BITS].reshape(length, _VALUE_BITS), axis=1)[:, 0]
            alpha[first:last] = row[4 * first + 3 - done :: 4]
        at += values * _VALUE_BITS
        done += length
    return np.where(alpha >= PAINTED_FROM, np.uint8(255), np.uint8(0)).reshape(size)


def encode_brush(mask: np.ndarray) -> list[int]:
    """Gives the packed numbers of a mask (H, W) uint8, painted white where it is above 127.

    Label Studio takes them as a brush that was painted already.
    """
    flat = (mask >= PAINTED_FROM).ravel()
    starts = np.concatenate([[0], np.flatnonzero(np.diff(flat)) + 1])
    lengths = np.diff(np.concatenate([starts, [flat.size]])) * 4
    words = [f"{flat.size * 4:032b}{_VALUE_BITS - 1:05b}", *(f"{bits - 1:04b}" for bits in _LENGTH_BITS)]
    for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
        value = "11111111" if flat[start] else "00000000"
        while length:
            kind = next((k for k, bits in enumerate(_LENGTH_BITS) if length <= 1 << bits), 3)
            taken = min(length, 1 << _LENGTH_BITS[kind])
            words.append(f"1{kind:02b}{taken - 1:0{_LENGTH_BITS[kind]}b}{value}")
            length -= taken
    bits = np.frombuffer("".join(words).encode(), np.uint8) - ord("0")
    return [int(number) for number in np.packbits(bits)]


def _bytes_of(packed: Sequence[Any]) -> np.ndarray:
    try:
        numbers = np.array(packed, np.float64)
    except (TypeError, ValueError) as error:
        raise LabelRefused(f"is corrupt: a brush with other things than numbers ({error})") from error
    if numbers.ndim != 1 or not np.isin(numbers, np.arange(256)).all():
        raise LabelRefused("is corrupt: a brush is a list of whole numbers from 0 to 255")
    return numbers.astype(np.uint8)


def _number(bits: np.ndarray, at: int, count: int) -> int:
    """The number in so many bits, the highest first; zeros where they end."""
    number = 0
    for bit in bits[at : at + count].tolist():
        number = number << 1 | bit
    return number
