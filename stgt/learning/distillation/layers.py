"""What models make of windows on the way to their logits, caught while they run: layers as vectors, and attention."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from stgt.models.blocks import TransformerLayer, stride_mask
from stgt.models.registry import Attention, ExpressionModel

#: The vector that the classifier reads, which every model has.
FEATURES = "features"


@dataclass
class Seen:
    """What a model made of B windows; complete when the block of ``watching`` has ended.

    Attributes:
        layers: name -> (B, C), each the mean over valid frames, and over nodes or places, of a layer's output.
        attention: where it looked.
    """

    layers: dict[str, Tensor] = field(default_factory=dict)
    attention: Attention | None = None


@contextmanager
def watching(model: ExpressionModel, mask: Tensor, frames_mask: Tensor | None = None) -> Iterator[Seen]:
    """Catch the layers and the attention of one pass of ``model`` within the block.

    Args:
        model: any of the registry.
        mask: (B, T) the frames of the windows that it is given.
        frames_mask: (B, F) the crops.
    """
    seen = Seen()
    images, nodes = reads_images(model), len(model.layout)
    outputs: dict[str, list[Tensor]] = {}
    kept: dict[str, Tensor] = {}
    handles = [
        module.register_forward_hook(lambda _, __, output, name=name: outputs.setdefault(name, []).append(output))
        for name, module in layers_of(model).items()
    ]
    # The method that all passes go through; a model of frames reads its crops in one of its own.
    method = "read" if images else "encode"
    original = getattr(model, method)

    def keep(*arguments, **named):  # noqa: ANN202 - as the model's own
        result = original(*arguments, **named)
        kept[FEATURES], seen.attention = result[:2]
        return result

    setattr(model, method, keep)
    try:
        yield seen
    finally:
        delattr(model, method)  # the instance's: the class's is seen again
        for handle in handles:
            handle.remove()
    for name, parts in outputs.items():
        vector = crop_summary(parts, frames_mask) if images else window_summary(parts, mask, nodes)
        if vector is not None:
            seen.layers[name] = vector
    seen.layers |= kept  # last, as it comes last


def reads_images(model: ExpressionModel) -> bool:
    """Whether a model is a frame encoder with a pool."""
    return isinstance(getattr(model, "encoder", None), nn.Module) and hasattr(model, "read")


def layers_of(model: ExpressionModel) -> dict[str, nn.Module]:
    """The layers that are watched, by name, in the model's order.

    Of a model of nodes its blocks and its transformer layers; of a frame encoder the stages of its trunk.
    """
    if reads_images(model):
        return stages(model)
    found: dict[str, nn.Module] = {}
    for name, module in model.named_children():
        if isinstance(module, TransformerLayer):
            found[name] = module
        elif isinstance(module, nn.ModuleList):
            found |= {f"{name}.{number}": block for number, block in enumerate(module)}
    return found


def stages(model: nn.Module) -> dict[str, nn.Module]:
    """The stages of the first trunk in a model: of a ResNet of ours, or as timm lists them; empty if it has none."""
    for path, module in model.named_modules():
        listed = getattr(module, "feature_info", None)
        if isinstance(listed, list) and listed:
            names = [entry["module"] for entry in listed if entry.get("module")]
        else:
            names = [name for name in ("layer1", "layer2", "layer3", "layer4") if hasattr(module, name)]
        if names:
            prefix = f"{path}." if path else ""
            return {prefix + name: module.get_submodule(name) for name in names}
    return {}


def window_summary(outputs: list[Tensor | tuple], mask: Tensor, nodes: int) -> Tensor | None:
    """What a layer of nodes or steps gave -> (B, C), its mean over valid steps and over nodes.

    Args:
        outputs: one tensor, (B, L, C), (B, L, V, C) or (B, C, L, V), or the first two of these with B and L as one;
            L steps cover T frames.
        mask: (B, T) the frames that are valid.
        nodes: V.

    Returns:
        None where it is no such tensor.
    """
    output = outputs[0][0] if isinstance(outputs[0], tuple) else outputs[0]
    batch, length = mask.shape
    if len(outputs) > 1 or not isinstance(output, Tensor) or output.ndim < 3 or len(output) % batch:
        return None
    if len(output) != batch:
        output = output.unflatten(0, (batch, -1))
    if output.ndim == 4 and output.shape[2] != nodes:
        output = output.permute(0, 2, 3, 1)
    vectors = output.mean(dim=2) if output.ndim == 4 else output
    steps = stride_mask(mask, -(-length // vectors.shape[1]))
    return masked_mean(vectors, steps) if steps.shape[1] == vectors.shape[1] else None


def crop_summary(outputs: list[Tensor | tuple], mask: Tensor) -> Tensor | None:
    """What a stage of a trunk gave -> (B, C), its mean over valid crops and over places.

    Args:
        outputs: (N, C, H, W) each, of some crops after the other: of all, or of the valid ones and then any others.
        mask: (B, F) the crops that are valid.

    Returns:
        None where these are no such maps.
    """
    if any(not isinstance(output, Tensor) or output.ndim != 4 for output in outputs):
        return None
    vectors = torch.cat([output.mean(dim=(2, 3)) for output in outputs])
    if len(vectors) == mask.numel():
        return masked_mean(vectors.unflatten(0, mask.shape), mask)
    rows = mask.flatten().nonzero()[:, 0]
    if len(vectors) < len(rows):
        return None
    whole = vectors.new_zeros(mask.numel(), vectors.shape[1]).index_copy(0, rows, vectors[: len(rows)])
    return masked_mean(whole.unflatten(0, mask.shape), mask)


def masked_mean(vectors: Tensor, mask: Tensor) -> Tensor:
    """(B, L, C), (B, L) -> (B, C); zeros where all are masked."""
    weight = mask.to(vectors.dtype)[..., None]
    return (vectors * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)


@torch.no_grad()
def channels_of(model: ExpressionModel, inputs: dict[str, Tensor | None]) -> tuple[dict[str, int], frozenset[str]]:
    """How many channels each watched layer has, and which of ``nodes`` and ``frames`` the model chooses among.

    A model without attention says that it looks everywhere alike.

    Args:
        model: in evaluation mode.
        inputs: of its ``forward``: a few windows, the first without invalid frames.
    """
    with watching(model, inputs["mask"], inputs["frames_mask"]) as seen:
        model(**inputs)
    channels = {name: vector.shape[1] for name, vector in seen.layers.items()}
    return channels, frozenset(kind for kind in Attention._fields if uneven(getattr(seen.attention, kind)[0]))


def uneven(weights: Tensor) -> bool:
    """Whether weights, all of valid frames and not all zero, differ."""
    given = weights[weights > 0]
    return float(given.max() - given.min()) > 1e-4 * float(given.mean())
