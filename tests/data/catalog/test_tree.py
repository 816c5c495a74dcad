"""Folders are opened once each, and patterns over them find what they should."""

import os
import threading
import time
from collections import Counter

import pytest
from layout_trees import all_layouts, build

from stgt.data.catalog.cards import load_card
from stgt.data.catalog.tree import Finder, Medium, Tree


@pytest.fixture
def opened(monkeypatch):
    counts, scandir = Counter(), os.scandir

    def counted(path):
        counts[str(path)] += 1
        return scandir(path)

    monkeypatch.setattr(os, "scandir", counted)
    return counts


@pytest.mark.parametrize(("card", "layout"), [pair for pair in all_layouts() if pair[0] != "ck+"])
def test_no_folder_is_opened_twice(card, layout, tmp_path, opened):
    built = build(card, layout, tmp_path / card)
    opened.clear()
    load_card(card).find_clips(built.root)
    assert opened
    assert max(opened.values()) == 1


def test_patterns(place, tmp_path):
    for name in ("a/1.mp4", "a/2.avi", "a/b/3.MP4", "a/b/notes.txt", "c/s1/0.png", "c/s1/1.png", "c/.hidden/0.png"):
        place(name)
    root, tree = str(tmp_path), Tree()

    def found(pattern, kind="any"):
        return sorted(medium.path.removeprefix(f"{root}/") for medium in tree.media(root, pattern, kind))

    assert found("**/*") == ["a/1.mp4", "a/2.avi", "a/b/3.MP4", "c/s1"]
    assert found("**/*", "images") == ["c/s1"]
    assert found("a/*") == ["a/1.mp4", "a/2.avi"]
    assert found("a/**/[13]*", "video") == ["a/1.mp4", "a/b/3.MP4"]
    assert found("?/s*") == ["c/s1"]
    assert found("./a/../c/*") == ["a/../c/s1"]
    assert found("nowhere/*") == []
    assert list(tree.files(root, "a/*/*.txt")) == [f"{root}/a/b/notes.txt"]


def test_names_with_and_without_suffix_and_zeros(place, tmp_path):
    for name in ("x/00012.mp4", "x/7.avi", "y/0012/0.png", "x/012.txt"):
        place(name)
    root = str(tmp_path)
    finder = Finder(Tree(), root, "any")
    assert finder.find("x/12") == [Medium(f"{root}/x/00012.mp4", "video")]
    assert finder.find("x/00007.mp4") == [Medium(f"{root}/x/7.avi", "video")]
    assert [medium.kind for medium in finder.find("*/12")] == ["video", "images"]
    assert finder.find("y/00012.mp4") == [Medium(f"{root}/y/0012", "images")]
    assert finder.find("x/13") == []


def test_many_folders_are_opened_at_once(tmp_path, monkeypatch):
    """On a network disk every opening is a wait, so they wait together."""
    for number in range(200):
        (tmp_path / f"{number:05d}").mkdir()
        (tmp_path / f"{number:05d}/1.jpg").touch()
    lock, under_way, most, scandir = threading.Lock(), 0, 0, os.scandir

    def slow(path):
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        time.sleep(0.002)
        with lock:
            under_way -= 1
        return scandir(path)

    monkeypatch.setattr(os, "scandir", slow)
    tree = Tree()
    assert len(list(tree.media(str(tmp_path), "*", "images"))) == 200
    assert most > 1
    assert tree.opened == 201
