"""Makes docs/page.png, the picture of the page in the readme: ``make screenshot``.

It runs the sample app, sends it requests for a minute, and photographs the page in Chromium.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from support.hosting import RunningHost, running_host  # noqa: E402

SECONDS = 60
NAMES = ("Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald")


def send_requests(host: RunningHost) -> None:
    """What a day of work looks like, in a minute."""
    dice = random.Random(7)
    orders = 0
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        path = dice.choices(("HttpTrigger", "AsyncTrigger", "orders", "order", "fail"), (8, 5, 3, 4, 0.6))[0]
        if path == "orders":
            host.request("POST", "/api/orders", json.dumps({"item": dice.choice(("tea", "coffee", "cake"))}))
            orders += 1
        elif path == "order":
            host.get(f"/api/orders/{dice.randint(1, orders + 1)}")
        else:
            host.get(f"/api/{path}?name={dice.choice(NAMES)}")
        time.sleep(dice.expovariate(14 + 10 * dice.random()))


def photograph(page: Page, host: RunningHost) -> None:
    """The page with a failed invocation opened."""
    page.goto(f"http://localhost:{host.port}/")
    page.wait_for_selector("#state[data-state=Running]")
    send_requests(host)
    for path in ("fail", "HttpTrigger?name=Ada", "AsyncTrigger?name=Grace"):
        host.get(f"/api/{path}")
    page.locator("#invocations li", has_text="RuntimeError").first.click()
    page.wait_for_selector(".place")
    page.wait_for_timeout(1500)  # until the second in which all of this happened is in the charts
    page.screenshot(path=ROOT / "docs" / "page.png")


def main() -> None:
    """Start everything, and end it."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        app = Path(shutil.copytree(ROOT / "sample_app", Path(folder) / "sample_app"))
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        with running_host(app) as host:
            view = {"width": 1440, "height": 860}
            photograph(browser.new_page(viewport=view, device_scale_factor=1.2, color_scheme="dark"), host)
        browser.close()


if __name__ == "__main__":
    main()
