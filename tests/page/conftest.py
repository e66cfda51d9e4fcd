"""A real browser for the tests of the page: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 10_000.0  # milliseconds
GONE = r"net::ERR_(CONNECTION|EMPTY|INCOMPLETE)"
"""What the browser writes when a host has stopped, as each does at the end of its test."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The browser of all tests; each page of theirs has a profile of its own."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("there is no Chromium on this machine (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS, headless=True)
        yield browser
        browser.close()


Open = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Opens the page of a host. Whatever the test does, it must load nothing from elsewhere and write no errors."""
    contexts, complaints = [], []

    def open_page(port: int, *, expect_errors: str = r"(?!)", path: str = "/", **options: Any) -> Page:
        context = browser.new_context(viewport={"width": 1440, "height": 900}, **options)
        context.set_default_timeout(PATIENCE)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        contexts.append(context)
        page = context.new_page()

        def complain(text: str) -> None:
            if not re.search(f"{GONE}|{expect_errors}", text):
                complaints.append(text)

        page.on("console", lambda message: complain(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complain(str(error)))
        page.on(
            "request",
            lambda asked: complain(asked.url) if not re.match(rf"https?://localhost:{port}/", asked.url) else None,
        )
        scheme = (options.get("ignore_https_errors") and "https") or "http"
        page.goto(f"{scheme}://localhost:{port}{path}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
