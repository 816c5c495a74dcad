"""What a method costs: parameters, operations and time of a window, and the time that its training will take."""

import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from stgt.benchmarks.models import random_batch, threads
from stgt.benchmarks.timing import interleaved
from stgt.comparison.entrants import Entrant, MethodTask
from stgt.config import ModelConfig, WindowConfig, to_dict
from stgt.files import read_json, write_json
from stgt.learning.loaders import evaluation_loader, training_loader
from stgt.learning.progress import Progress
from stgt.models.registry import ExpressionModel, create_model

#: Windows of the step that training is estimated from, at most; a step's time is nearly in proportion to them.
STEP_WINDOWS = 8
#: Windows that reading is estimated from.
READ_WINDOWS = 4
#: Clips whose loading is timed.
LOADED = 4
#: Seconds that measuring the windows of all methods of a dataset may take, about.
LATENCY_S = 20.0
ROUNDS = (5, 60)


@dataclass(frozen=True)
class Cost:
    """Of one window.

    Attributes:
        parameters: learned numbers of the model.
        flops: operations of convolutions and matrix products; a multiplication with an addition counts as two.
        seconds: on one core.
    """

    parameters: int
    flops: int
    seconds: float


def measure_costs(entrants: Sequence[Entrant], path: Path) -> dict[str, Cost]:
    """What a window costs each method, by its name; measured in turns, so that a busy machine is so for all.

    What an earlier run measured is read from ``path`` as long as the methods are the same.
    """
    keys = {entrant.method.name: cost_key(entrant) for entrant in entrants}
    kept = read_json(path) if path.exists() else {}
    if kept.get("keys") == keys:
        return {name: Cost(**values) for name, values in kept["costs"].items()}
    costs = {}
    models = {entrant.method.name: new_model(entrant) for entrant in entrants}
    batches = {entrant.method.name: inputs_of(entrant, models[entrant.method.name], 1) for entrant in entrants}
    reads = {name: reading(model, batches[name]) for name, model in models.items()}
    with threads(1):
        once = interleaved(reads, 1)
        rounds = int(max(ROUNDS[0], min(ROUNDS[1], LATENCY_S / max(sum(once.values()), 1e-6))))
        seconds = interleaved(reads, rounds, warmup=2)
    for name, model in models.items():
        parameters = sum(parameter.numel() for parameter in model.parameters())
        costs[name] = Cost(parameters, count_flops(model, batches[name]), seconds[name])
    write_json(path, {"keys": keys, "costs": {name: asdict(cost) for name, cost in costs.items()}})
    return costs


def cost_key(entrant: Entrant) -> list[Any]:
    """All that a window's cost depends on."""
    return [to_dict(entrant.model), to_dict(entrant.config.window), len(entrant.ground.labels)]


def new_model(entrant: Entrant) -> ExpressionModel:
    """An untrained model of a method, as it is evaluated."""
    return create_model(entrant.model, len(entrant.ground.labels), entrant.config.window).eval()


def inputs_of(entrant: Entrant, model: ExpressionModel, size: int) -> dict[str, torch.Tensor | None]:
    """Inputs of the streams that a model reads; the numbers do not matter."""
    return stream_inputs(entrant.model, model.streams, entrant.config.window, size)


def stream_inputs(
    config: ModelConfig, streams: Sequence[str], window: WindowConfig, size: int
) -> dict[str, torch.Tensor | None]:
    """``size`` windows of some streams."""
    return random_batch(replace(config, streams=",".join(streams)), window, size).inputs


def reading(model: nn.Module, inputs: dict[str, torch.Tensor | None]) -> Callable[[], None]:
    """Reads the windows once."""

    def read() -> None:
        with torch.inference_mode():
            model(**inputs)

    return read


def count_flops(model: nn.Module, inputs: dict[str, torch.Tensor | None]) -> int:
    """Operations of one pass, two for a multiply-add: convolutions, matrix products, recurrent layers.

    PyTorch counts them, but for recurrent layers, whose products are in one piece on a CPU.
    """
    from torch.utils.flop_counter import FlopCounterMode

    recurrent = 0

    def count(layer: nn.RNNBase, arguments: tuple) -> None:
        nonlocal recurrent
        steps = arguments[0].data.shape[:-1].numel()
        # A step multiplies its input and the state with matrices of so many numbers.
        recurrent += 2 * steps * sum(weight.numel() for weight in layer.parameters() if weight.ndim == 2)

    layers = [layer for layer in model.modules() if isinstance(layer, nn.RNNBase)]
    hooks = [layer.register_forward_pre_hook(count) for layer in layers]
    try:
        with torch.no_grad(), plain_attention(), FlopCounterMode(display=False) as counter:
            model(**inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return int(counter.get_total_flops()) + recurrent


@contextmanager
def plain_attention():  # noqa: ANN201 - a context manager
    """Attention as matrix products: what is fused on a CPU, the counter would not see."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def epoch_seconds(entrant: Entrant) -> float:
    """How long an epoch of one fold will take, about, on the threads that it will have.

    Timed are a step of a few windows, reading a few, and loading a few clips.
    """
    task = entrant.tasks[0]
    fit = FitSizes(task)
    config = entrant.config
    size = min(STEP_WINDOWS, config.optimisation.batch_size, max(2, fit.trained))
    model = new_model(entrant)
    read = reading(model, inputs_of(entrant, model, READ_WINDOWS))
    step = training_step(model, inputs_of(entrant, model, size), len(entrant.ground.labels), config.seed)
    seconds = {
        "step": timed(step) / size,
        "read": timed(read) / READ_WINDOWS,
        "load": timed(lambda: [fit.load(index) for index in range(min(LOADED, fit.trained))]) / LOADED,
    }
    if entrant.teacher is not None:
        # The teacher reads all that the student is trained on.
        teacher = new_model(entrant.teacher)
        read = reading(teacher, inputs_of(entrant.teacher, teacher, READ_WINDOWS))
        seconds["step"] += timed(read) / READ_WINDOWS
    return fit.trained * (seconds["step"] + seconds["load"]) + fit.read * (seconds["read"] + seconds["load"])


class FitSizes:
    """How many windows an epoch of a fold trains on and reads.

    Args:
        task: the fold.
    """

    def __init__(self, task: MethodTask) -> None:
        fit = task.new_fit(Progress())
        self.dataset = training_loader(task, fit.fit_clips, 0).dataset
        self.trained = len(self.dataset)
        clips = [*fit.validation_clips, *fit.test_clips]
        loader = evaluation_loader(clips, task.prepared, task.labels, task.model, task.config.window)
        self.read = len(loader.dataset)

    def load(self, index: int) -> object:
        """A window as it is trained on."""
        return self.dataset[0, index]


def training_step(
    model: nn.Module, inputs: dict[str, torch.Tensor | None], classes: int, seed: int
) -> Callable[[], None]:
    """One step of gradient descent; the model is back in evaluation after it."""
    optimizer = torch.optim.AdamW(model.parameters())
    count = len(inputs["mask"])
    target = torch.randint(0, classes, (count,), generator=torch.Generator().manual_seed(seed))

    def step() -> None:
        model.train()
        optimizer.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(model(**inputs), target).backward()
        optimizer.step()
        model.eval()

    return step


def timed(task: Callable[[], object]) -> float:
    """The better of two times, after one for warming up; what is slow is timed once."""
    started = time.perf_counter()
    task()
    first = time.perf_counter() - started
    again = []
    for _ in range(2 if first < 1 else 1):
        started = time.perf_counter()
        task()
        again.append(time.perf_counter() - started)
    return min(again)
