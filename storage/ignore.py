"""Which objects are no photos and are passed over, by which pattern. All else that cannot be decoded is quarantined."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable

DEFAULT_IGNORE_PATTERNS: tuple[str, ...] = (
    # What operating systems, scanners' software and network storage leave behind.
    "Thumbs.db", "ehthumbs*.db", "desktop.ini", "._*", ".DS_Store", ".*", ".*/", "@eaDir/", "__MACOSX/",
    "$RECYCLE.BIN/", "System Volume Information/", "lost+found/", "*.lnk", "*.url", "*.tmp", "*.part",
    # Sidecars: metadata and checksums beside the photos.
    "*.xmp", "*.aae", "*.thm", "*.json", "*.csv", "*.tsv", "*.xml", "*.yaml", "*.yml", "*.ini", "*.log",
    "*.md5", "*.sha1", "*.sha256", "*.sha512", "MD5SUMS", "SHA1SUMS", "SHA256SUMS", "SHA512SUMS",
    # Documents.
    "*.txt", "*.md", "*.rst", "*.rtf", "*.html", "*.htm", "*.pdf", "*.doc", "*.docx", "*.odt", "*.xls", "*.xlsx",
    "*.ods", "*.ppt", "*.pptx", "*.odp", "README", "LICENSE",
)  # fmt: skip
"""Compressed archives (``*.zip``) are not among them: photos may be inside, so a person should hear of them."""

NOT_INCLUDED = "not included"
"""Reason for what no pattern of ``include`` takes."""


class IgnoreRules:
    """Patterns in order, the first that matches counts.

    ``*``, ``?`` and ``[...]`` as in a shell, case ignored. A pattern is held against the file's name; one that ends
    with a slash against the name of each folder above it; one with a slash inside against the whole key.
    """

    def __init__(
        self, patterns: Iterable[str] = (), *, include: Iterable[str] = (), defaults: bool = True
    ) -> None:
        """Compiles the patterns; the caller's come before the defaults.

        Args:
            include: where there are any, only what one of them matches is taken, and of that not what is ignored.
        """
        self.patterns = tuple(dict.fromkeys((*patterns, *(DEFAULT_IGNORE_PATTERNS if defaults else ()))))
        self._of_name: list[tuple[str, re.Pattern[str]]] = []
        self._of_folder: list[tuple[str, re.Pattern[str]]] = []
        self._of_key: list[tuple[str, re.Pattern[str]]] = []
        for pattern in self.patterns:
            bare = pattern.rstrip("/")
            kind = self._of_key if "/" in bare else self._of_folder if bare != pattern else self._of_name
            kind.append((pattern, re.compile(fnmatch.translate(bare.strip("/")), re.IGNORECASE)))
        self._any_name = re.compile("|".join(p.pattern for _, p in self._of_name) or r"(?!)", re.IGNORECASE)
        self.include = tuple(dict.fromkeys(include))
        self._included = IgnoreRules(self.include, defaults=False) if self.include else None

    def match(self, key: str) -> str | None:
        """The pattern that ignores this key, ``NOT_INCLUDED`` where none takes it, or None."""
        pattern = self._ignoring(key)
        if pattern is None and self._included is not None and self._included.match(key) is None:
            return NOT_INCLUDED
        return pattern

    def _ignoring(self, key: str) -> str | None:
        *folders, name = key.split("/")
        for folder in folders:
            if folder in (".", ".."):  # a bucket's keys may hold them, and they hide nothing there
                continue
            for pattern, expression in self._of_folder:
                if expression.match(folder):
                    return pattern
        if self._any_name.match(name):
            return next(pattern for pattern, expression in self._of_name if expression.match(name))
        return next((pattern for pattern, expression in self._of_key if expression.match(key)), None)
