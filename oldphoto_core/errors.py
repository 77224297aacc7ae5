"""The errors of the core, one root for all of them.

    CoreError
    ├── ImageRefused      an image that is not carried: named, with reason, expected, found, advice
    ├── LabelRefused      a label that is empty, corrupt, or of another size than its photo
    ├── ConfigError       a setting, preset or argument that cannot be right
    ├── ReleaseError      a release that is missing, incomplete or altered
    └── TrainingError     a training run that cannot start, resume or go on

Every message is one line: what, which file, expected, found, and what to do next. Errors cross process borders
(Dask, Prefect), so each survives pickling.
"""

from __future__ import annotations

from typing import Literal, get_args

RefusalReason = Literal[
    "empty",
    "not-an-image",
    "truncated",
    "corrupt",
    "bomb",
    "animated",
    "sixteen-bit-colour",
    "unsupported-mode",
    "too-small",
    "wrong-size",
]
"""Why an image is refused; these words are written to the catalogue."""

REFUSAL_REASONS: tuple[str, ...] = get_args(RefusalReason)


def one_line(text: object, limit: int = 300) -> str:
    """Gives the text on one line: control characters escaped, runs of blanks joined, at most `limit` characters."""
    shown = "".join(c if c.isprintable() or c.isspace() else c.encode("unicode_escape").decode() for c in str(text))
    joined = " ".join(shown.split())
    return joined if len(joined) <= limit else joined[: limit - 1] + "…"


class CoreError(Exception):
    """Root of all errors that `oldphoto_core` raises on purpose."""


class ConfigError(CoreError):
    """A setting, preset or argument that cannot be right."""


class LabelRefused(CoreError):
    """A label that cannot be used; the message says what was expected and found, and not which label."""


class ReleaseError(CoreError):
    """A release that is missing, incomplete or altered."""


class TrainingError(CoreError):
    """A training run that cannot start, resume or go on."""


class ImageRefused(CoreError):
    """An image that is not carried, and why.

    Attributes:
        name: The file name or object key, as the caller gave it; `, page 2` behind it where a page is at fault.
        reason: A short slug, one of `REFUSAL_REASONS`.
        expected: What would have been accepted.
        found: What the file holds instead.
        advice: What a person can do about it.
    """

    def __init__(self, *, name: str, reason: RefusalReason, expected: str, found: str, advice: str) -> None:
        """Keeps the fields and makes the one-line message of them."""
        self.name = name
        self.reason = reason
        self.expected = one_line(expected)
        self.found = one_line(found)
        self.advice = one_line(advice)
        shown = name.encode("unicode_escape").decode() if any(ord(c) < 32 for c in name) else name
        super().__init__(f"{shown}: {reason}: expected {self.expected}, found {self.found}; {self.advice}")

    def __reduce__(self) -> tuple[object, ...]:
        """Rebuilds the error from its fields: keyword-only arguments do not survive pickling by themselves."""
        fields = {key: getattr(self, key) for key in ("name", "reason", "expected", "found", "advice")}
        return _rebuild_refusal, (fields,)


def _rebuild_refusal(fields: dict[str, str]) -> ImageRefused:
    return ImageRefused(**fields)  # type: ignore[arg-type]


def is_out_of_memory(error: BaseException) -> bool:
    """Tells whether this error, of Python, OpenCV, torch or CUDA, is about memory; none need be loaded for it."""
    text = str(error).lower()
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (type(error).__name__ == "error" and "insufficient memory" in text)
        or (isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text))
    )
