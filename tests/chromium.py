"""Finds a Chromium for the browser tests, and on Linux fetches one that needs no root and no system libraries.

    python -m tests.chromium        fetch it where none is found (`make venv` does this)

Playwright's own download comes from a server that many networks close to machines; npm's registry is open wherever
packages can be installed. There, the package @sparticuz/chromium (MIT; Chromium itself BSD) carries a headless
Chromium with the libraries it wants, made for places that have nothing. Its hash is pinned below.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import platform
import shutil
import sys
import tarfile
import tempfile
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

VERSION = "153.0.0"
URL = f"https://registry.npmjs.org/@sparticuz/chromium/-/chromium-{VERSION}.tgz"
SHA512 = "jiGWqSvPMdu4+P9TilYqAR7yEGPEHINx+lCvE/NqNO/EHYzF/x1hUiI5T6ioVIt7dEy7n88byyT0vk+dnsgQwA=="
"""The package's integrity as npm states it: base64 of its SHA-512."""

FETCHED = Path(sys.prefix) / f"chromium-{VERSION}"
"""Beside the tools that use it, so that it goes when the environment goes."""

ON_THE_MACHINE = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


class ChromiumMissing(Exception):
    """No Chromium is here; says what to do."""


@dataclass(frozen=True)
class Chromium:
    """A browser to start."""

    path: Path
    environment: dict[str, str] = field(default_factory=dict)
    """Variables it needs beside the usual ones."""


def find_chromium() -> Chromium:
    """Gives the machine's Chromium or Chrome, else the one fetched here, else Playwright's own.

    Raises:
        ChromiumMissing: There is none.
    """
    for name in ON_THE_MACHINE:
        if found := shutil.which(name):
            return Chromium(Path(found))
    if (FETCHED / "chromium").is_file():
        return Chromium(
            FETCHED / "chromium",
            {"LD_LIBRARY_PATH": str(FETCHED / "lib"), "FONTCONFIG_FILE": str(FETCHED / "fonts.conf")},
        )
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
    if own.is_file():
        return Chromium(own)
    raise ChromiumMissing("no Chromium here: install Chromium or Chrome, or run: .venv/bin/playwright install chromium")


def fetch_chromium() -> None:
    """Puts Chromium into FETCHED, whole or not at all.

    Raises:
        ChromiumMissing: It exists for Linux on x86-64 alone.
        OSError: The download failed.
        ValueError: What came is not what was pinned.
    """
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise ChromiumMissing(f"none to fetch for {platform.system()} on {platform.machine()}")
    import brotli

    with urllib.request.urlopen(URL, timeout=60) as answer:
        package = answer.read()
    if base64.b64encode(hashlib.sha512(package).digest()).decode() != SHA512:
        raise ValueError(f"{URL}: not the file that was pinned")
    FETCHED.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FETCHED.parent) as scratch:
        folder = Path(scratch) / "chromium"
        folder.mkdir()
        with tarfile.open(fileobj=io.BytesIO(package)) as files:
            for name in ("chromium", "al2023.tar", "swiftshader.tar", "fonts.tar"):
                data = brotli.decompress(files.extractfile(f"package/bin/{name}.br").read())
                if name == "chromium":
                    (folder / name).write_bytes(data)
                    (folder / name).chmod(0o755)
                else:
                    with tarfile.open(fileobj=io.BytesIO(data)) as parts:
                        parts.extractall(folder, filter="data")
        (folder / "fonts.conf").write_text(
            f"<fontconfig><dir>{FETCHED}/fonts</dir><cachedir>{FETCHED}/cache</cachedir></fontconfig>\n"
        )
        os.replace(folder, FETCHED)


def main() -> int:
    """Fetches where nothing is found. Never fails the set-up: the browser tests skip, and say why."""
    try:
        find_chromium()
    except ChromiumMissing as missing:
        print("Fetching Chromium for the browser tests (70 MB)")
        try:
            fetch_chromium()
        except (ChromiumMissing, OSError, ValueError) as error:
            print(f"oldphoto: {error}; {missing}. The browser tests will be skipped.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
