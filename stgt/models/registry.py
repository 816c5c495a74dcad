"""The models by name, and the surface that all of them share."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from difflib import get_close_matches
from typing import NamedTuple

import torch
from torch import Tensor, nn

from stgt.config import FRAME_MODELS, FRAMES_PREFIX, ModelConfig, WindowConfig, is_frame_model, parse_streams
from stgt.errors import StgtError
from stgt.graphs.actions import ACTION_CHANNELS
from stgt.graphs.geometry import GEOMETRY_CHANNELS
from stgt.graphs.layout import NodeLayout, load_layout


class Attention(NamedTuple):
    """Where a model looked. Weights are not negative.

    Attributes:
        nodes: (B, T, V), sums to 1 over the nodes of each valid frame, zeros where invalid.
        frames: (B, T), sums to 1 over the valid frames of a window, zeros where invalid.
    """

    nodes: Tensor
    frames: Tensor


class Inputs(NamedTuple):
    """The arguments of ``ExpressionModel.forward``, as ``WindowBatch.inputs`` names them."""

    geometry: Tensor
    mask: Tensor
    actions: Tensor | None = None
    patches: Tensor | None = None
    frames: Tensor | None = None
    frames_mask: Tensor | None = None


class ExpressionModel(nn.Module, ABC):
    """What every model of the registry is: tensors of windows in, logits of the classes out.

    A subclass computes frame and node features of its own; it must not let invalid frames influence its output, and
    gives finite logits for a window without any valid frame. Streams that a model does not read are ignored, and a
    model that reads actions, patches or frames also works without them.

    Args:
        config: the model's settings.
        num_classes: K.
        window: length and rate of the windows it is made for.
        num_features: D, size of the vector that the classifier reads.
    """

    def __init__(self, config: ModelConfig, num_classes: int, window: WindowConfig, num_features: int) -> None:
        super().__init__()
        self.config = config
        self.window = window
        self.num_classes = num_classes
        self.num_features = num_features
        self.streams = parse_streams(config.streams)
        self.layout: NodeLayout = load_layout(config.layout)
        self.head_drop = nn.Dropout(config.dropout)
        self.head = nn.Linear(num_features, num_classes)

    @abstractmethod
    def encode(self, inputs: Inputs) -> tuple[Tensor, Attention]:
        """Features (B, D) and attention; the inputs are checked, and streams are zero in invalid frames."""

    def encode_frames(self, frames: Tensor) -> Tensor | None:  # noqa: ARG002 - what others need
        """(N, 3, S, S) uint8 crops -> (N, D) what `forward` takes instead of them; None: it takes nothing else.

        For whoever sees the same crops in many windows, outside of training.
        """
        return None

    def forward(
        self,
        geometry: Tensor,
        mask: Tensor,
        actions: Tensor | None = None,
        patches: Tensor | None = None,
        frames: Tensor | None = None,
        frames_mask: Tensor | None = None,
    ) -> Tensor:
        """Logits (B, K).

        Args:
            geometry: (B, T, V, 12) float, see ``stgt.graphs.geometry.geometry_stream``.
            mask: (B, T) bool, true where the frame is valid.
            actions: (B, T, 104) float, see ``stgt.graphs.actions.action_stream``, or None.
            patches: (B, T, V, P, P, 3) uint8, the crop around every node, or None.
            frames: (B, F, 3, S, S) uint8, aligned crops, or (B, F, D) as ``encode_frames`` reads them, or None.
            frames_mask: (B, F) bool, true where the crop shows a face; None: all of them do.

        Raises:
            StgtError: a tensor of another shape.
        """
        return self.forward_head(self.forward_features(geometry, mask, actions, patches, frames, frames_mask))

    def forward_features(self, *inputs: Tensor | None, **named: Tensor | None) -> Tensor:
        """Features (B, D) of whole windows; arguments as in ``forward``."""
        return self._encode(Inputs(*inputs, **named))[0]

    def forward_head(self, features: Tensor) -> Tensor:
        """Features (B, D) -> logits (B, K)."""
        return self.head(self.head_drop(features))

    def forward_with_attention(self, *inputs: Tensor | None, **named: Tensor | None) -> tuple[Tensor, Attention]:
        """Logits (B, K), and where the model looked; arguments as in ``forward``."""
        features, attention = self._encode(Inputs(*inputs, **named))
        return self.forward_head(features), attention

    def forward_training(self, *inputs: Tensor | None, **named: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        """Logits (B, K), and what losses read besides; arguments as in ``forward``.

        ``"features"`` (B, D), what the classifier read, is always among it. A frame encoder adds the extras that its
        paper's losses need: of every crop as (B, F, ...), zeros where there is no face, with ``"frame_valid"`` (B, F)
        bool and ``"frame_features"`` (B, F, C); of its classifier as (B, ...).
        """
        features = self.forward_features(*inputs, **named)
        return self.forward_head(features), {"features": features}

    def reset_classifier(self, num_classes: int) -> None:
        """A new, untrained classifier for another number of classes on the same features."""
        self.num_classes = num_classes
        self.head = nn.Linear(self.num_features, num_classes).to(self.head.weight)

    def _encode(self, inputs: Inputs) -> tuple[Tensor, Attention]:
        return self.encode(self.prepare_inputs(inputs))

    def prepare_inputs(self, inputs: Inputs) -> Inputs:
        """The inputs as `encode` takes them: checked, without streams that the model does not read, zero in invalid
        frames.

        Raises:
            StgtError: a tensor of another shape.
        """
        hidden = {name: None for name in ("actions", "patches", "frames") if name not in self.streams}
        inputs = inputs._replace(**hidden)
        if not torch.compiler.is_compiling():  # shapes are fixed then, and checks would only break the graph
            self._check_shapes(inputs)
        # Not a product: whatever an invalid frame holds, even NaN, ends here.
        mask, actions = inputs.mask, inputs.actions
        inputs = inputs._replace(geometry=inputs.geometry.masked_fill(~mask[:, :, None, None], 0))
        if actions is not None:
            inputs = inputs._replace(actions=actions.masked_fill(~mask[:, :, None], 0))
        if inputs.frames is not None and inputs.frames_mask is None:
            inputs = inputs._replace(frames_mask=inputs.frames.new_ones(inputs.frames.shape[:2], dtype=torch.bool))
        return inputs

    def _check_shapes(self, inputs: Inputs) -> None:
        geometry, mask, actions, patches, frames, frames_mask = inputs
        nodes, size = len(self.layout), self.config.patch_size
        if geometry.ndim != 4 or geometry.shape[2:] != (nodes, GEOMETRY_CHANNELS):
            raise StgtError(
                f"geometry has the shape {tuple(geometry.shape)}, but this model reads (B, T, {nodes}, "
                f"{GEOMETRY_CHANNELS}): make it with geometry_stream and the layout {self.layout.name}"
            )
        if geometry.shape[1] > self.window.frames:
            raise StgtError(
                f"the window has {geometry.shape[1]} frames, but this model reads at most {self.window.frames}: "
                "cut windows with the model's own window settings"
            )
        batch, length = geometry.shape[:2]
        if mask.shape != (batch, length) or mask.dtype != torch.bool:
            raise StgtError(
                f"mask is {mask.dtype} of the shape {tuple(mask.shape)}; it must be bool of the shape "
                f"({batch}, {length}), one value for each frame of geometry"
            )
        if actions is not None and actions.shape != (batch, length, ACTION_CHANNELS):
            raise StgtError(
                f"actions have the shape {tuple(actions.shape)}, but this model reads ({batch}, {length}, "
                f"{ACTION_CHANNELS}): make them with action_stream"
            )
        if patches is not None and patches.shape != (batch, length, nodes, size, size, 3):
            raise StgtError(
                f"patches have the shape {tuple(patches.shape)}, but this model reads ({batch}, {length}, {nodes}, "
                f"{size}, {size}, 3): cut them with its layout and patch_size"
            )
        encoded = frames is not None and frames.ndim == 3
        pictures = frames is not None and frames.ndim == 5 and frames.shape[2] == 3
        if frames is not None and (frames.shape[0] != batch or not (encoded or pictures)):
            raise StgtError(
                f"frames have the shape {tuple(frames.shape)}, but this model reads ({batch}, F, 3, S, S): "
                "channels come before height and width"
            )
        if frames is not None and frames_mask is not None and frames_mask.shape != frames.shape[:2]:
            raise StgtError(
                f"frames_mask has the shape {tuple(frames_mask.shape)}; it must be {tuple(frames.shape[:2])}, "
                "one value for each appearance frame"
            )


ModelFactory = Callable[[ModelConfig, int, WindowConfig], ExpressionModel]

_FACTORIES: dict[str, ModelFactory] = {}


def register_model(name: str) -> Callable[[ModelFactory], ModelFactory]:
    """Decorator: enter a model class, or a function that makes a model, under ``name``."""

    def register(factory: ModelFactory) -> ModelFactory:
        if name in _FACTORIES:
            raise ValueError(f"a model named {name!r} is registered already")
        _FACTORIES[name] = factory
        return factory

    return register


def list_models() -> list[str]:
    """Names of all models that read landmarks, sorted; the frame encoders (``FRAME_MODELS``) come on top."""
    return sorted(_FACTORIES)


def create_model(config: ModelConfig, num_classes: int, window: WindowConfig | None = None) -> ExpressionModel:
    """A freshly initialised model.

    Raises:
        StgtError: no model of this name, or settings that it cannot be made with.
    """
    if num_classes < 2:
        raise StgtError(f"a model needs at least 2 classes, not {num_classes}")
    window = window or WindowConfig()
    if is_frame_model(config.name):
        from stgt.models.frame_clips import FrameClipModel  # late: geometry alone needs no timm

        return FrameClipModel(config, num_classes, window)
    if config.name not in _FACTORIES:
        raise StgtError(f"unknown model {config.name!r}; {_what_there_is(config.name)}")
    return _FACTORIES[config.name](config, num_classes, window)


def _what_there_is(name: str) -> str:
    """The names nearest to one that no model has."""
    import timm

    if timm.is_model(name):
        return f"for timm's model of this name say {FRAMES_PREFIX}{name}"
    known = [*list_models(), *FRAME_MODELS]
    near = get_close_matches(name.lower(), known, n=3, cutoff=0.6)
    if near:
        return f"did you mean {', '.join(near)}?"
    return (
        f"the models are {', '.join(list_models())}; of single frames {', '.join(FRAME_MODELS)}, and "
        f"{FRAMES_PREFIX}NAME for any model of timm"
    )
