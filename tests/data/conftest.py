"""Datasets built in a temporary folder in their exact layouts, with tiny files where pixels do not matter."""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

# Test modules are imported by themselves, so what several of them share has to be found.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def place(tmp_path: Path) -> Callable[..., Path]:
    """Writes a file below the test's folder; returns its path."""

    def write(name: str, content: bytes | str = b"x") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.fixture
def ck_tree(tmp_path: Path, place) -> Callable[..., Path]:
    """Builds a CK+ tree from (subject, sequence, code, images); the code None leaves the label folder empty."""

    def build(
        sequences: Iterable[tuple[str, str, int | None, int]],
        images: str = "cohn-kanade-images",
        emotion: str = "Emotion",
    ) -> Path:
        for subject, sequence, code, count in sequences:
            for number in range(1, count + 1):
                place(f"CK+/{images}/{subject}/{sequence}/{subject}_{sequence}_{number:08d}.png")
            (tmp_path / "CK+" / emotion / subject / sequence).mkdir(parents=True, exist_ok=True)
            if code is not None:
                label = f"CK+/{emotion}/{subject}/{sequence}/{subject}_{sequence}_{count:08d}_emotion.txt"
                place(label, f"   {code:.7e}\n")
        return tmp_path / "CK+"

    return build
