"""The index of the documentation is complete, and what its pages link to exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INDEX = ROOT / "docs/README.md"
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/**/*.md", "findings/*.md", "hack/**/*.md", "image/**/*.md")
    for page in ROOT.glob(pattern)
)
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def text_without_code(page: Path) -> str:
    """Return a page's text without its blocks of code, which have no links and no headings."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)


def links(page: Path) -> list[tuple[Path, str]]:
    """Return file and anchor of each link of a page to another file or to itself."""
    targets = [link for link in LINK.findall(text_without_code(page)) if "://" not in link]
    parts = [target.partition("#") for target in targets]
    return [((page.parent / path).resolve() if path else page, anchor) for path, _, anchor in parts]


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives a page's headings."""
    headings = re.findall(r"^#+ (.+)$", text_without_code(page), flags=re.M)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.replace(" ", "-") for heading in plain}


def test_there_are_pages() -> None:
    assert len(PAGES) > 40
    assert sum(len(links(page)) for page in PAGES) > 100


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in links(page):
        assert target.exists(), target
        if anchor:
            assert anchor in anchors(target), f"{target}#{anchor}"


def test_the_index_lists_every_page() -> None:
    listed = {target for target, _ in links(INDEX)}
    missing = [name for name, page in zip(NAMES, PAGES, strict=True) if page not in listed]
    assert missing == ["docs/README.md"]


def test_the_index_gives_a_decision_its_own_title() -> None:
    text = INDEX.read_text(encoding="utf-8")
    for page in (ROOT / "docs/decisions").glob("*.md"):
        number, _, title = page.read_text(encoding="utf-8").partition("\n")[0][2:].partition(". ")
        assert f"{number}. [{title}](decisions/{page.name})" in text
