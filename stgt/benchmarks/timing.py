"""Timing that holds while a machine's speed drifts: the things compared take turns."""

import statistics
import time
from collections.abc import Callable, Mapping


def interleaved(tasks: Mapping[str, Callable[[], object]], rounds: int, warmup: int = 1) -> dict[str, float]:
    """Median seconds of each task, measured in turns A B A B ….

    >>> seconds = interleaved({"short": lambda: time.sleep(0.001), "long": lambda: time.sleep(0.02)}, rounds=3)
    >>> seconds["short"] < seconds["long"]
    True
    """
    for _ in range(warmup):
        for task in tasks.values():
            task()
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            started = time.perf_counter()
            task()
            seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}
