"""The appearance streams: patches around the nodes, and a backbone over crops of a few frames; and how they join."""

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stgt.config import FRAME_MODELS, ModelConfig
from stgt.errors import StgtError

if TYPE_CHECKING:
    from stgt.models.frames import FrameModel


def modality_keep(like: Tensor, probability: float, training: bool) -> Tensor:
    """(B,) bool: the samples of a batch that see a stream.

    In training each is hidden with ``probability``, so that the model learns to do without (ModDrop, Neverova et al.,
    IEEE TPAMI 38(8), 2016).
    """
    if not training:
        return torch.ones(like.shape[0], dtype=torch.bool, device=like.device)
    return torch.rand(len(like), device=like.device) >= probability


class PatchEmbedding(nn.Module):
    """A vector for the patch around every node.

    Every patch is brought to mean 0 and variance 1 first: what counts is its texture, not light or skin tone.

    Args:
        size: P, side in pixels.
        width: C.

    Shape: patches (B, T, V, P, P, 3) uint8, mask (B, T) -> (B, T, V, C); zeros where masked.
    """

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.project = nn.Linear(size * size * 3, width)
        self.mix = nn.Linear(width, width)

    def forward(self, patches: Tensor, mask: Tensor) -> Tensor:
        """See the class for the shapes."""
        pixels = patches.flatten(3).to(self.project.weight.dtype) / 255
        pixels = F.layer_norm(pixels, pixels.shape[-1:], eps=1e-3)  # eps: the noise of a flat patch stays small
        return self.mix(F.silu(self.project(pixels))) * mask[:, :, None, None]


class FrameEncoder(nn.Module):
    """A backbone on every appearance frame, then a pool over the frames.

    Args:
        config: ``backbone`` (any timm model, at the crops' own size; or a frame encoder, at ``frame_size``),
            ``backbone_weights`` (a safetensors file or None).
        width: D.
        pool: (B, F, D), mask (B, F) -> pooled (B, D), and weights, like ``AttentionPool``.

    Shape: frames (B, F, 3, S, S) uint8, or (B, F, D) as `encode` has read them, mask (B, F), keep (B,) -> (B, D).
    """

    def __init__(self, config: ModelConfig, width: int, pool: nn.Module) -> None:
        super().__init__()
        self.reads_pixels = config.backbone in FRAME_MODELS
        if self.reads_pixels:
            self.backbone = create_frame_backbone(config)
            features = self.backbone.num_features
        else:
            self.backbone = create_backbone(config.backbone, config.backbone_weights)
            features = self.backbone.head_hidden_size
            # What the backbone's weights expect of their input.
            expected = self.backbone.pretrained_cfg
            self.register_buffer("mean", torch.tensor(expected["mean"])[:, None, None], persistent=False)
            self.register_buffer("std", torch.tensor(expected["std"])[:, None, None], persistent=False)
        self.project = nn.Linear(features, width)
        self.pool = pool

    def forward(self, frames: Tensor, mask: Tensor, keep: Tensor) -> Tensor:
        """See the class for the shapes."""
        if frames.ndim == 3:  # read already
            return self.pool(frames, mask)[0]
        batch, count = mask.shape
        flat = frames.flatten(0, 1)
        if self.training:
            # Hidden and invalid frames would only cost time, and disturb the statistics of batch normalisation.
            seen = (mask & keep[:, None]).flatten()
            seen[:2] |= seen.sum() < 2  # batch normalisation needs two; their features are masked again below
            features = flat.new_zeros((len(flat), self.project.out_features), dtype=self.project.weight.dtype)
            encoded = self.encode(flat[seen] * mask.flatten()[seen, None, None, None])  # an invalid one as black
            features = features.to(encoded.dtype).index_copy(0, seen.nonzero()[:, 0], encoded)
        else:
            features = self.encode(flat)
        return self.pool(features.unflatten(0, (batch, count)), mask)[0]

    def encode(self, pixels: Tensor) -> Tensor:
        """(N, 3, S, S) uint8 -> (N, D): each frame for itself, so that whoever sees it again need not do so twice."""
        if self.reads_pixels:
            return self.project(self.backbone.forward_head(self.backbone.forward_features(pixels), pre_logits=True))
        pixels = (pixels.to(self.mean.dtype) / 255 - self.mean) / self.std
        return self.project(self.backbone(pixels))


class GatedFusion(nn.Module):
    """``g + keep * s(W [g; a]) * U a``: the geometry decides, channel by channel, how much appearance to let in.

    Where appearance is hidden or absent the result is the geometry alone.

    Shape: geometry (B, D), appearance (B, D), keep (B,) -> (B, D).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = nn.Linear(2 * width, width)
        self.project = nn.Linear(width, width)

    def forward(self, geometry: Tensor, appearance: Tensor, keep: Tensor) -> Tensor:
        """See the class for the shapes."""
        gate = torch.sigmoid(self.gate(torch.cat((geometry, appearance), dim=-1)))
        return geometry + keep[:, None] * gate * self.project(appearance)


def create_frame_backbone(config: ModelConfig) -> "FrameModel":
    """The frame encoder that ``config.backbone`` names, without classifier.

    Raises:
        StgtError: its weights cannot be had, or do not fit it.
    """
    from stgt.models.frames import create_frame_model
    from stgt.models.frames.weights import load_weights

    encoder = create_frame_model(config.backbone, 2, image_size=config.frame_size)
    if config.backbone_weights is not None:
        load_weights(encoder, config.backbone_weights, with_classifier=False)
    encoder.head = nn.Identity()
    return encoder


def create_backbone(name: str, weights: str | None) -> nn.Module:
    """A timm backbone without classifier; nothing is downloaded.

    Args:
        name: of a timm model.
        weights: safetensors file with its parameters under timm's names (a classifier in it is ignored), or None.

    Raises:
        StgtError: timm has no such model, it takes no crops of ours, or the file is missing or belongs to another one.
    """
    import timm
    from safetensors.torch import load_file

    if not timm.is_model(name):
        known = {known.lower(): known for known in (*timm.list_models(), *FRAME_MODELS)}
        near = [known[match] for match in get_close_matches(name.lower(), known, n=3, cutoff=0.5)]
        hint = f"did you mean {', '.join(near)}?" if near else "model.backbone takes what timm.list_models() lists"
        raise StgtError(f"timm has no model {name!r}, and it is no frame encoder; {hint}")
    backbone = timm.create_model(name, pretrained=False, num_classes=0)
    if backbone.pretrained_cfg.get("fixed_input_size"):
        raise StgtError(
            f"the backbone {name} reads only pictures of one size; choose one that takes any size, such as "
            "efficientnet_lite0"
        )
    if weights is None:
        return backbone
    if not Path(weights).is_file():
        raise StgtError(f"model.backbone_weights names {weights}, which is not a file")
    try:
        state = load_file(weights)
    except Exception as error:
        raise StgtError(f"model.backbone_weights {weights} is not a readable safetensors file: {error}") from error
    expected = backbone.state_dict()
    unfit = [key for key in expected if key not in state or state[key].shape != expected[key].shape]
    if unfit:
        raise StgtError(
            f"model.backbone_weights {weights} does not fit the backbone {name}: {unfit[0]} is absent or differs"
        )
    backbone.load_state_dict({key: state[key] for key in expected})
    return backbone
