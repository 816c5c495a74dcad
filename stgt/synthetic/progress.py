"""One bar on the terminal over the clips that are rendered."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def clip_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar; gives the function that ``synthesize`` calls with the clips done and the clips in all."""
    from tqdm import tqdm

    with tqdm(desc=title, unit="clip", dynamic_ncols=True) as bar:

        def show(done: int, total: int) -> None:
            if bar.total is None:
                bar.total, bar.initial = total, done  # clips of an earlier run must not look like speed
            bar.n = done
            bar.refresh()

        yield show
