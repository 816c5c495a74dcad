"""A model as an ONNX graph.

The graph of a model is a matter of its architecture: translating it takes torch.onnx ten seconds, and gives the same
for all weights. So it is kept without weights, and those of a model are poured into it, which takes milliseconds. The
package brings the graph of its own weights, which is also that of every model fine-tuned from them; others are kept in
the cache folder once they were made.
"""

import hashlib
import json
import warnings
from collections.abc import Iterable
from dataclasses import asdict, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from stgt.config import ModelConfig, WindowConfig
from stgt.engines.engine import EXTRA
from stgt.engines.parity import random_windows
from stgt.engines.runtime import OUTPUTS
from stgt.errors import MissingExtraError
from stgt.faces.crops import CROP_SIZE
from stgt.files import atomic_path
from stgt.graphs.layout import load_layout
from stgt.models.checkpoint import FORMAT_VERSION
from stgt.models.registry import ExpressionModel, create_model

if TYPE_CHECKING:
    import onnx

#: Of ONNX operators: the first with all that torch translates our models to, which every onnxruntime since 1.17 runs.
#: From 23 on attention is one operator, which onnxruntime 1.31 refuses with our masks.
OPSET = 20
#: Of the file format: that of the same release of ONNX.
IR_VERSION = 9

#: Grows with every change of the models' code or of this file that changes graphs.
GRAPH_VERSION = 1

#: How the names of a model's parameters and buffers begin in a graph.
PREFIX = "model."

#: Settings that do not count outside of training, or do not change the graph.
WITHOUT_EFFECT = ("dropout", "modality_dropout", "identity_dropout", "pooling", "backbone_weights", "frame_weights")

#: Settings that are younger than graphs which were kept, and what holds in those: there they are no part of the key.
YOUNGER = {"without": "", "frame_pool": "attention", "frame_size": 112}


def graph_key(config: ModelConfig, window: WindowConfig) -> str:
    """The same for all models that have the same graph; the number of classes is not in it."""
    settings = {name: value for name, value in asdict(config).items() if name not in WITHOUT_EFFECT}
    settings = {name: value for name, value in settings.items() if name not in YOUNGER or YOUNGER[name] != value}
    settings |= {
        "nodes": load_layout(config.layout).fingerprint,
        "window_frames": window.frames,
        "crop": CROP_SIZE,
        "format": FORMAT_VERSION,
        "graph": GRAPH_VERSION,
        "opset": OPSET,
    }
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def kept_graph(config: ModelConfig, window: WindowConfig, cache: Path) -> bytes | None:
    """The graph of an architecture as the package brings it, or as ``cache`` keeps it; None if neither does."""
    name = f"{graph_key(config, window)}.onnx"
    packaged = resources.files("stgt.engines").joinpath("graphs", name)
    if packaged.is_file():
        return packaged.read_bytes()
    kept = cache / f"graph-{name}"
    return kept.read_bytes() if kept.is_file() else None


def keep_graph(graph: bytes, config: ModelConfig, window: WindowConfig, cache: Path) -> None:
    """Keep a graph in ``cache``."""
    with atomic_path(cache / f"graph-{graph_key(config, window)}.onnx") as temporary:
        temporary.write_bytes(graph)


def translate(config: ModelConfig, window: WindowConfig) -> bytes:
    """The graph of an architecture, without weights, by torch.export and torch.onnx; takes about ten seconds.

    Raises:
        MissingExtraError: onnx or onnxscript is not installed.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript.optimizer
    except ImportError as error:
        raise MissingExtraError("translating a model to ONNX", EXTRA) from error

    model = create_model(replace(config, backbone_weights=None), 2, window).eval()
    batch = random_windows(config, window, 3)
    inputs = {name: value for name, value in batch.inputs.items() if value is not None}
    dynamic = {name: {0: torch.export.Dim.DYNAMIC} for name in inputs}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # deprecations inside of torch
        program = torch.export.export(_WithAttention(model).eval(), (), inputs, dynamic_shapes=dynamic, strict=False)
        translation = torch.onnx.export(
            program,
            dynamo=True,
            optimize=False,  # only once the weights are gone, so that they are not folded into the graph
            verbose=False,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=list(OUTPUTS),
        )
    proto = translation.model_proto
    weights = _take_out(proto, _state(model))
    # As inputs they are what the optimiser knows nothing of.
    proto.graph.input.extend(weights)
    proto = onnxscript.optimizer.optimize(proto)
    _remove(proto.graph.input, {value.name for value in weights} | (set(inputs) - _read_names(proto)))
    _name_batch(proto)
    _clear_notes(proto)
    proto.ir_version = IR_VERSION
    return proto.SerializeToString(deterministic=True)


def pour(graph: bytes, model: ExpressionModel) -> bytes:
    """The graph with the weights of a model in it: a whole ONNX file.

    Raises:
        MissingExtraError: onnx is not installed.
        ValueError: the graph is damaged, or reads weights that the model does not have.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError("exporting a model to ONNX", EXTRA) from error
    from google.protobuf.message import DecodeError

    try:
        proto = onnx.load_from_string(graph)
    except DecodeError as error:
        raise ValueError("the graph is damaged") from error
    if [output.name for output in proto.graph.output] != list(OUTPUTS):
        raise ValueError("this is no graph of a model")
    given = {value.name for value in (*proto.graph.input, *proto.graph.initializer)}
    made = {name for node in proto.graph.node for name in node.output}
    state = _state(model)
    for name in sorted(_read_names(proto) - given - made):
        if name not in state:
            raise ValueError(f"the graph reads {name}, which the model does not have")
        proto.graph.initializer.append(onnx.numpy_helper.from_array(state[name].detach().cpu().numpy(), name))
    logits = proto.graph.output[0]
    logits.type.tensor_type.shape.dim[1].dim_value = model.num_classes
    return proto.SerializeToString(deterministic=True)


class _WithAttention(nn.Module):
    """A model whose forward gives its logits, and where it looked."""

    def __init__(self, model: ExpressionModel) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        geometry: Tensor,
        mask: Tensor,
        actions: Tensor | None = None,
        patches: Tensor | None = None,
        frames: Tensor | None = None,
        frames_mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        logits, attention = self.model.forward_with_attention(geometry, mask, actions, patches, frames, frames_mask)
        return logits, attention.nodes, attention.frames


def _state(model: ExpressionModel) -> dict[str, Tensor]:
    """Every parameter and buffer, those too that checkpoints do not hold, under its name in a graph."""
    return {
        PREFIX + name: value for named in (model.named_parameters(), model.named_buffers()) for name, value in named
    }


def _take_out(proto: "onnx.ModelProto", names: Iterable[str]) -> "list[onnx.ValueInfoProto]":
    """Remove the initialisers of these names, and say what they were."""
    import onnx

    weights = [value for value in proto.graph.initializer if value.name in names]
    described = [onnx.helper.make_tensor_value_info(value.name, value.data_type, value.dims) for value in weights]
    _remove(proto.graph.initializer, {value.name for value in weights})
    return described


def _read_names(proto: "onnx.ModelProto") -> set[str]:
    """The names of everything that the nodes of a graph read."""
    return {name for node in proto.graph.node for name in node.input if name}


def _remove(values: "list[onnx.ValueInfoProto] | list[onnx.TensorProto]", names: set[str]) -> None:
    for value in [value for value in values if value.name in names]:
        values.remove(value)


def _name_batch(proto: "onnx.ModelProto") -> None:
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    # Sizes inside of the graph follow from these; some of them are of the number of classes it was made with.
    del proto.graph.value_info[:]


def _clear_notes(proto: "onnx.ModelProto") -> None:
    """Remove the notes of torch on where each node comes from: most of the bytes, and paths of this machine."""
    graph = proto.graph
    for part in (proto, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
        part.ClearField("doc_string")
