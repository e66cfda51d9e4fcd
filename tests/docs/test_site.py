"""The documentation as a site: it can be built, and its links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "readme.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_page_is_part_of_it(site):
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    for page in sorted((ROOT / "docs").glob("*.md")):
        assert re.search(rf": {page.name}$", navigation, re.M), f"{page.name} is not in the navigation"
        name = "index.html" if page.stem == "index" else f"{page.stem}/index.html"
        assert (site / name).is_file()


def test_the_reference_is_made_of_the_docstrings(site):
    text = re.sub(r"<[^>]+>", "", (site / "hook-reference" / "index.html").read_text(encoding="utf-8"))
    for hook in (
        "around_invocation_app_level", "on_invocation_error_app_level", "on_startup", "on_shutdown", "on_log", "ready",
        "data", "detach", "around_invocation", "attach", "scope", "invoke", "trigger",
    ):  # fmt: skip
        assert hook in text, hook
    assert "See a line that user code has written, before anybody else does." in text
    assert ":param" not in text


def test_nothing_is_fetched_from_elsewhere(site):
    for page in site.rglob("*.html"):
        sources = re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="(https?://[^"]+)"', page.read_text("utf-8"))
        assert not [source for source in sources if "localhost" not in source], page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_to_files_lead_somewhere(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    links = re.findall(r"\]\((?!https?:|mailto:|#)([^)#]+)", text)
    assert not [link for link in links if not (page.parent / link).exists()]
