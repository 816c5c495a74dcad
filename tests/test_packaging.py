"""The wheel holds every package of the tree; an editable install would not show that one was forgotten."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_package_is_listed():
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    moved = {folder: name for name, folder in setuptools["package-dir"].items()}
    there = set()
    for top in moved:
        for init in (ROOT / top).rglob("__init__.py"):
            inner = init.parent.relative_to(ROOT / top).parts
            there.add(".".join((moved[top], *inner)))
    assert set(setuptools["packages"]) == there


def test_every_file_of_the_page_is_listed():
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    web = ROOT / "realtime" / "web"
    listed = {file for pattern in setuptools["package-data"]["stgt.realtime.web"] for file in web.glob(pattern)}
    assert {file for file in (web / "page").rglob("*") if file.is_file()} <= listed
