"""Which engine runs a model.

``auto`` measures: the first time that a model is loaded on a machine, both engines read one window on one thread, in
turns, a few times. What was faster is kept in the cache folder, and so is the exported file, both under a digest of the
weights. It takes onnxruntime only if it is installed, gives the same logits, and the graph is at hand: translating one
takes ten seconds, which ``stgt export`` and ``engine="onnxruntime"`` spend, but no start of a program unasked.
"""

import contextlib
import hashlib
import importlib.util
import json
import os
import platform
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from stgt import __version__
from stgt.engines.engine import ENGINES, Engine, TorchEngine
from stgt.engines.exported import ExportedModel, load_exported, save_exported
from stgt.errors import CheckpointError, StgtError
from stgt.files import read_json, write_json
from stgt.graphs.batch import WindowBatch
from stgt.models.registry import ExpressionModel

if TYPE_CHECKING:
    from stgt.engines.runtime import OnnxEngine
    from stgt.models.checkpoint import LoadedModel

#: Times that each engine reads a window when they are compared.
ROUNDS = 8
#: Where that takes longer than this many seconds, fewer will do, but no fewer than so many.
LONGEST_S, FEWEST_ROUNDS = 0.1, 4

#: Sizes of the batches that an export at a program's start is checked with.
STARTING_BATCHES = (1, 3)


def engine_for(loaded: "LoadedModel | ExportedModel", device: torch.device, wanted: str = "auto") -> Engine:
    """The engine that runs a model.

    Args:
        loaded: a checkpoint, or an exported model, which only onnxruntime runs.
        device: any but the CPU is PyTorch's alone.
        wanted: one of ``ENGINES``.

    Raises:
        StgtError: no such engine, or one that cannot run this model on this device.
        MissingExtraError: the engine is not installed.
    """
    if wanted not in ENGINES:
        raise StgtError(f"unknown engine {wanted!r}; the engines are {', '.join(ENGINES)}")
    exported = isinstance(loaded, ExportedModel)
    if exported and wanted == "torch":
        raise StgtError(f"{loaded.path} is an exported model, which torch cannot run; give the checkpoint it is from")
    if (exported or wanted == "onnxruntime") and device.type != "cpu":
        raise StgtError(f"the engine onnxruntime runs on the CPU, not on {device}; give the device cpu")
    if exported:
        from stgt.engines.runtime import OnnxEngine

        return OnnxEngine(loaded.path)
    torch_engine = TorchEngine(loaded.model, device)
    if wanted == "onnxruntime":
        return onnx_engine(loaded, engine_folder(), may_translate=True)
    installed = all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime"))
    if wanted == "torch" or device.type != "cpu" or not installed:
        return torch_engine
    return faster(loaded, torch_engine, engine_folder())


def engine_folder() -> Path:
    """Where exported files and choices are kept: in ``$STGT_CACHE``, else in the user's cache folder."""
    from stgt.data.preparation.prepare import cache_folder

    return cache_folder() / "engines"


def faster(loaded: "LoadedModel", torch_engine: TorchEngine, folder: Path) -> Engine:
    """The faster engine for one window on one thread, as it is kept in ``folder``, else as measured now.

    Whatever is wrong with the other engine or with the folder, PyTorch reads.
    """
    record = folder / f"{model_key(loaded)}.choice.json"
    try:
        here = environment()
        known = _kept_choice(record, here)
        if known == torch_engine.name:
            return torch_engine
        other = onnx_engine(loaded, folder, may_translate=False)
    except (StgtError, ValueError, OSError):
        return torch_engine
    if known == other.name:
        return other
    from stgt.engines.parity import random_windows

    engines: dict[str, Engine] = {engine.name: engine for engine in (torch_engine, other)}
    seconds = best_times(engines, random_windows(loaded.model_config, loaded.window, 1), ROUNDS, LONGEST_S)
    chosen = other if seconds[other.name] < seconds[torch_engine.name] else torch_engine
    with contextlib.suppress(OSError):  # a cache that cannot be written only costs the measuring, each time
        milliseconds = {name: round(1000 * value, 3) for name, value in seconds.items()}
        write_json(record, {"engine": chosen.name, "milliseconds": milliseconds, "environment": here})
    return chosen


def onnx_engine(loaded: "LoadedModel", folder: Path, may_translate: bool) -> "OnnxEngine":
    """ONNX Runtime on a checkpoint's model, whose exported file is kept in ``folder``.

    Raises:
        MissingExtraError: what it needs is not installed.
        StgtError: the graph of this architecture is not at hand, and must not be made.
    """
    from stgt.engines.conversion import convert
    from stgt.engines.runtime import OnnxEngine, runtime_version

    path = folder / f"{model_key(loaded)}.onnx"
    with contextlib.suppress(CheckpointError):  # not there yet, or damaged
        kept = load_exported(path)
        # What another onnxruntime was held against PyTorch with says nothing of this one.
        if kept.meta["onnx"].get("onnxruntime") == runtime_version():
            return OnnxEngine(kept.path)
    made = convert(loaded, folder, may_translate, batches=STARTING_BATCHES)
    with contextlib.suppress(OSError):  # it is only a cache
        save_exported(path, made.content, loaded.meta, made.facts)
    return made.engine


def model_key(loaded: "LoadedModel") -> str:
    """A name for a model's weights and graph: not of the file they came from, since a loaded model may have changed."""
    from stgt.engines.graph import graph_key

    return f"{_digest(loaded.model)}-{graph_key(loaded.model_config, loaded.window)}"


def best_times(
    engines: dict[str, Engine], batch: WindowBatch, rounds: int, longest_s: float = float("inf")
) -> dict[str, float]:
    """Seconds of one thread that each engine takes for a batch: the best of some turns.

    Of this thread's own time, where that can be read finely: what other programs take of the processor does not count.

    Args:
        engines: by the names in the result.
        batch: what they read.
        rounds: turns of each.
        longest_s: no further turn begins after so many seconds, on a busy machine.
    """
    clock = time.thread_time if time.get_clock_info("thread_time").resolution < 1e-5 else time.perf_counter
    best = dict.fromkeys(engines, float("inf"))
    begun = time.perf_counter()
    with one_thread():
        for done in range(rounds):
            if done >= FEWEST_ROUNDS and time.perf_counter() - begun > longest_s:
                break
            for name, engine in engines.items():
                started = clock()
                engine.logits(batch)
                best[name] = min(best[name], clock() - started)
    return best


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch on one thread inside the block. Any number of threads may be inside at once.

    PyTorch keeps the number for each thread, and when a thread first asks for it takes that which was set last, by any
    thread. So whoever enters while others are inside cannot tell what it was before: the first one does.
    """
    this = threading.get_ident()
    with _inside.lock:
        nested = this in _inside.threads
        known = torch.get_num_threads()  # or a new thread would take another's number for its own later, in the block
        if not _inside.threads:
            _inside.before = known
        if not nested:
            _inside.threads.add(this)
            torch.set_num_threads(1)
    try:
        yield
    finally:
        if not nested:
            with _inside.lock:
                _inside.threads.remove(this)
                torch.set_num_threads(_inside.before)


class _Inside:
    """Who is inside of `one_thread`, and what the number was before anyone was."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.threads: set[int] = set()
        self.before = 1


_inside = _Inside()


def environment() -> dict[str, str | int | None]:
    """What a measurement holds for."""
    from stgt.engines.runtime import runtime_version

    return {
        "machine": platform.node(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "stgt": __version__,
        "torch": torch.__version__,
        "onnxruntime": runtime_version(),
    }


def _digest(model: ExpressionModel) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy())
    return digest.hexdigest()[:16]


def _kept_choice(record: Path, here: dict[str, Any]) -> str | None:
    try:
        kept = read_json(record)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError):
        return None
    return kept.get("engine") if isinstance(kept, dict) and kept.get("environment") == here else None
