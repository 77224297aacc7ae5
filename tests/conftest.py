"""What every test shares: a clean environment, a home, one seed for Hypothesis, and a real browser.

Environment variables are set before any test module is imported, since Prefect reads them at import; child processes
inherit them.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.chromium import ChromiumMissing, find_chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

OURS = ("OLDPHOTO_", "PREFECT_")
"""Prefixes of variables that a person's shell may hold and that no test may see."""

settings.register_profile(
    "default", deadline=None, derandomize=True, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile("default")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--run-slow", action="store_true", help="run the tests marked slow too")


def pytest_configure(config: pytest.Config) -> None:
    for name in [name for name in os.environ if name.startswith(OURS)]:
        del os.environ[name]
    alone = "PYTEST_XDIST_WORKER" not in os.environ and not config.getoption("numprocesses", None)
    prefect_home = tempfile.mkdtemp(prefix="oldphoto-prefect-")
    config.add_cleanup(lambda: shutil.rmtree(prefect_home, ignore_errors=True))
    os.environ |= {
        "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",  # it can lock a worker up: see flows/runners.py
        "DO_NOT_TRACK": "1",
        "MPLBACKEND": "Agg",
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "2" if alone else "1"),
        "PREFECT_HOME": prefect_home,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--run-slow"):
        return
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="slow: make test-full, or pytest --run-slow"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder for one installation, not made yet."""
    return tmp_path / "home"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real headless Chromium; the test is skipped, and says why, where there is none.

    One a module: while Playwright is open its event loop runs in this thread, and Prefect's calls then give coroutines.
    """
    from playwright.sync_api import sync_playwright

    try:
        chromium = find_chromium()
    except ChromiumMissing as missing:
        pytest.skip(str(missing))
    with sync_playwright() as playwright:
        # Chromium's own sandbox wants kernel features that containers lack; the pages opened here are ours.
        opened = playwright.chromium.launch(
            executable_path=chromium.path, env=os.environ | chromium.environment, args=["--no-sandbox"]
        )
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh tab that fails the test when its page has thrown a script error or asked the network for anything."""
    context = browser.new_context()
    tab = context.new_page()
    complaints: list[str] = []
    tab.on("pageerror", lambda error: complaints.append(f"script error: {error}"))
    tab.on(
        "request",
        lambda request: request.url.startswith(("file:", "data:", "blob:", "about:", "http://127.0.0.1"))
        or complaints.append(f"asked the network for {request.url}"),
    )
    yield tab
    context.close()
    assert not complaints, complaints
