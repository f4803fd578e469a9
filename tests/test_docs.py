"""The documentation names only what exists."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import napari_animalpose

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md")), ROOT / "examples/README.md"]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def find_blocks(text: str, language: str) -> str:
    """Return the fenced code blocks of a language, joined."""
    return "\n".join(re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_pictures_exist(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_make_targets_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))
    named = re.findall(r"(?:^|`|&& )make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(named) <= targets


def test_readme_names_commands_that_exist() -> None:
    named = set(re.findall(r"^animalpose ([a-z]+)", find_blocks(README, "bash"), re.MULTILINE))
    command = [sys.executable, "-m", "napari_animalpose", "--help"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert named
    assert {name for name in named if not re.search(rf"\b{name}\b", listed)} == set()


def test_readme_python_uses_names_that_exist() -> None:
    used = set(re.findall(r"\bap\.(\w+)", find_blocks(README, "python")))
    assert used
    assert used <= set(napari_animalpose.__all__)
