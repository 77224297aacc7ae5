"""Takes the pictures of Prefect's page that the docs show, from a running `oldphoto serve`.

python infra/picture-prefect.py http://127.0.0.1:4200 docs
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import httpx
from PIL import Image
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.chromium import find_chromium

SIZE = {"width": 1280, "height": 900}
SETTLED_MS = 4000


def pages(url: str) -> dict[str, str]:
    """Addresses of the pages by the name of their picture."""
    found = httpx.post(f"{url}/api/deployments/filter", json={}).json()
    nightly = next(deployment for deployment in found if deployment["name"].startswith("nightly-"))
    wanted = {
        "sort": "START_TIME_DESC",
        "flows": {"name": {"any_": ["restore"]}},  # the part of a run that leaves artifacts
        "flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}},
        "limit": 1,
    }
    runs = httpx.post(f"{url}/api/flow_runs/filter", json=wanted).json()
    shown = {
        "prefect-deployments": f"{url}/deployments",
        "prefect-form": f"{url}/deployments/deployment/{nightly['id']}/run",
    }
    if runs:
        shown["prefect-run"] = f"{url}/runs/flow-run/{runs[0]['id']}"
    artifacts = httpx.post(f"{url}/api/artifacts/filter", json={}).json()
    pictures = [one["id"] for one in artifacts if one["key"] == "restore-before-after-1"]
    if pictures:
        shown["prefect-before-after"] = f"{url}/artifacts/artifact/{pictures[0]}"
    return shown


def main() -> None:
    """Opens each page and keeps it as a small PNG."""
    url, folder = sys.argv[1].rstrip("/"), Path(sys.argv[2])
    chromium = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium.path, env=os.environ | chromium.environment, args=["--no-sandbox"]
        )
        tab = browser.new_page(viewport=SIZE, color_scheme="light")
        for name, address in pages(url).items():
            tab.goto(address)
            tab.wait_for_timeout(SETTLED_MS)
            if name == "prefect-run":
                tab.get_by_text("Artifacts", exact=True).first.click()
                tab.wait_for_timeout(SETTLED_MS)
            picture = Image.open(io.BytesIO(tab.screenshot())).convert("RGB")
            picture.quantize(128, dither=Image.Dither.NONE).save(folder / f"{name}.png", optimize=True)
        browser.close()


if __name__ == "__main__":
    main()
