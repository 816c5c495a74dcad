"""What all tests share."""

import functools
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

# Two test processes on two cores: more threads in each would only take turns. Set before torch and OpenCV are imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# First of all, as it imports triton, which crashes when Mesa's software renderer has been loaded before it (VTK and
# MediaPipe do that in other tests of the same process): both have an LLVM of their own.
import lightning  # noqa: F401

import stgt.synthetic
from stgt.telemetry import refuse_telemetry

# Some native library starts a profiling timer in long test processes, and its signal would end them.
signal.signal(signal.SIGPROF, signal.SIG_IGN)


@pytest.fixture(scope="session", autouse=True)
def nothing_is_reported() -> None:
    """As in every command. Not on import: the processes among which pytest divides tests would take it for a proxy."""
    refuse_telemetry()


@pytest.fixture(autouse=True)
def own_places(tmp_path_factory, monkeypatch):
    """No test reads or writes the user's data, cache or environment."""
    monkeypatch.setenv("STGT_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.delenv("STGT_DATA", raising=False)


@pytest.fixture(scope="session", autouse=True)
def docstrings_are_parsed_once() -> Iterator[None]:
    """Every command builds a parser anew, whose options are told by the sources of the same few classes."""
    import docstring_parser

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(docstring_parser, "parse_from_object", functools.cache(docstring_parser.parse_from_object))
        yield


@pytest.fixture(scope="session")
def rendered_face_clip() -> Path:
    """A happy face that our generator rendered: 16 frames a second, neutral at first, then a smile, always found."""
    return Path(stgt.synthetic.__file__).with_name("sample.mp4")


@pytest.fixture(scope="session")
def blank_figures() -> Callable[[], AbstractContextManager[None]]:
    """``with blank_figures():`` saves figures without what is in them: most of a small run's time is its report's.

    For runs whose pictures another test looks at.
    """
    from matplotlib.figure import Figure

    save = Figure.savefig

    def save_blank(figure: Figure, *arguments, **settings) -> None:
        figure.clear()
        save(figure, *arguments, **settings)

    @contextmanager
    def blank() -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Figure, "savefig", save_blank)
            yield

    return blank


@pytest.fixture
def figures_are_blank(blank_figures) -> Iterator[None]:
    """``blank_figures`` for a whole test."""
    with blank_figures():
        yield
