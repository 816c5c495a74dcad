"""STGT: a spatio-temporal graph transformer over facial landmarks, fused with appearance.

After the geometry-guided networks of Zhao et al. (IEEE Transactions on Affective Computing, 2023); parts and widths are
chosen so that it trains on a few hundred clips and on two CPU cores.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stgt.config import ModelConfig, WindowConfig
from stgt.errors import StgtError
from stgt.graphs.geometry import GEOMETRY_CHANNELS
from stgt.models.actions import STRIDE, ActionEncoder
from stgt.models.appearance import FrameEncoder, GatedFusion, PatchEmbedding, modality_keep
from stgt.models.blocks import (
    AttentionPool,
    MaskedBatchNorm,
    RegionAttentionPool,
    SpatioTemporalBlock,
    TransformerLayer,
    stride_mask,
)
from stgt.models.registry import Attention, ExpressionModel, Inputs, register_model


class GeometryStem(nn.Module):
    """Node features from the geometry stream.

    Where the nodes of a face are says more about whose face it is than about its expression. So position and bone are
    also given relative to their mean over the window and to the first valid frame; all channels are normalised over the
    training clips, node by node; and in training, a share of the samples shows nothing but what moves, so that a
    model cannot learn the training subjects' faces by heart. A learned vector per node says which node it is.

    Args:
        nodes: V.
        width: C.
        hiding: probability of showing nothing but what moves, in training.

    Shape: geometry (B, T, V, 12), zero where invalid, mask (B, T) -> (B, T, V, C).
    """

    def __init__(self, nodes: int, width: int, hiding: float) -> None:
        super().__init__()
        self.hiding = hiding
        channels = GEOMETRY_CHANNELS + 2 * 6
        self.norm = MaskedBatchNorm(nodes * channels)
        self.project = nn.Linear(channels, width)
        self.node = nn.Parameter(torch.empty(nodes, width))
        nn.init.trunc_normal_(self.node, std=0.5)

    def forward(self, geometry: Tensor, mask: Tensor) -> Tensor:
        """See the class for the shapes."""
        position, motion, bone, displacement = geometry.split(3, dim=-1)
        shape = torch.cat((position, bone), dim=-1)
        mean = shape.sum(dim=1, keepdim=True) / mask.sum(dim=1).clamp(min=1)[:, None, None, None]
        earliest = mask.int().argmax(dim=1)[:, None, None, None]
        first = shape.gather(1, earliest.expand(-1, -1, *shape.shape[2:]))
        x = torch.cat((shape, displacement, motion, shape - mean, shape - first), dim=-1)
        x = self.norm(x.flatten(2), mask).unflatten(2, (geometry.shape[2], -1))
        if self.training:
            hidden = torch.rand(len(x), device=x.device) < self.hiding
            x = torch.cat((x[..., :9].masked_fill(hidden[:, None, None, None], 0), x[..., 9:]), dim=-1)
        return self.project(x) + self.node


@register_model("stgt")
class SpatioTemporalGraphTransformer(ExpressionModel):
    """Graph convolutions, a spatial and a temporal transformer, attention pooling; gated fusion with appearance.

    The road of a window of T frames and V nodes, C = ``config.width``:

    ====================  ==============  ========================================================================
    stem                  (T, V, C / 2)   position, motion, bone, and what they are relative to the window
    graph blocks          (T / 4, V, C)   graph convolution and temporal convolution; the first and the middle one
                                          halve the rate; patches join after the first
    spatial transformer   (T / 4, V, C)   what the edges miss
    spatial attention     (T / 4, 2 C)    nodes -> regions -> a token per step; actions join here
    temporal transformer  (T / 4, 2 C)    over the steps
    temporal attention    (2 C,)          steps -> the window; appearance frames join here
    ====================  ==============  ========================================================================

    Args:
        config: settings; ``width`` must be a multiple of ``2 heads``.
        num_classes: K.
        window: its number of frames is the most that the model reads.
    """

    def __init__(self, config: ModelConfig, num_classes: int, window: WindowConfig) -> None:
        if config.width % (2 * config.heads) or config.width < 1:
            raise StgtError(
                f"model.width is {config.width}; it must be a positive multiple of twice model.heads, "
                f"{2 * config.heads}"
            )
        if config.blocks < 2:
            raise StgtError(f"model.blocks is {config.blocks}; the model needs at least 2 graph blocks")
        width, token = config.width, 2 * config.width
        super().__init__(config, num_classes, window, num_features=token)
        nodes = len(self.layout)
        adjacency = self.layout.adjacency()
        self.stem = GeometryStem(nodes, width // 2, config.identity_dropout)
        self.blocks = nn.ModuleList(
            SpatioTemporalBlock(
                width // 2 if index == 0 else width,
                width,
                adjacency,
                stride=2 if index in (0, config.blocks // 2) else 1,
                dropout=config.dropout,
            )
            for index in range(config.blocks)
        )
        self.spatial_transformer = TransformerLayer(width, config.heads, config.dropout)
        regions = list(self.layout.regions.values())
        self.spatial_pool = RegionAttentionPool(width, token, regions, heads=max(1, config.heads // 2))
        self.token_norm = MaskedBatchNorm(token)
        steps = -(-window.frames // STRIDE)
        self.step = nn.Parameter(torch.empty(steps, token))
        nn.init.trunc_normal_(self.step, std=0.02)
        self.temporal_transformer = TransformerLayer(token, config.heads, config.dropout)
        self.temporal_pool = AttentionPool(token, config.heads)
        if "actions" in self.streams:
            self.action_encoder = ActionEncoder(width, token)
        if "patches" in self.streams:
            self.patch_embedding = PatchEmbedding(config.patch_size, width)
        if "frames" in self.streams:
            self.frame_encoder = FrameEncoder(config, token)
            self.fusion = GatedFusion(token)
        self.norm = nn.LayerNorm(token)

    def encode(self, inputs: Inputs) -> tuple[Tensor, Attention]:
        """See ``ExpressionModel``."""
        geometry, mask, actions, patches, frames, frames_mask = inputs
        batch = geometry.shape[0]
        x = self.stem(geometry, mask)
        steps = mask
        for index, block in enumerate(self.blocks):
            x = block(x, steps)
            steps = stride_mask(steps, block.stride)
            if index == 0 and patches is not None:
                x = x + self._embed_patches(patches, mask)
        # Frames apart from each other: the spatial transformer and the pooling see one step at a time.
        x = self.spatial_transformer(x.flatten(0, 1))
        pooled, node_weights = self.spatial_pool(x)
        tokens = pooled.unflatten(0, (batch, -1))
        if actions is not None:
            keep = modality_keep(actions, self.config.modality_dropout, self.training)
            tokens = tokens + self.action_encoder(actions, mask) * keep[:, None, None]
        tokens = self.token_norm(tokens, steps) + self.step[: steps.shape[1]]
        tokens = self.temporal_transformer(tokens, steps)
        features, step_weights = self.temporal_pool(tokens, steps)
        if frames is not None:
            keep = modality_keep(features, self.config.modality_dropout, self.training)
            features = self.fusion(features, self.frame_encoder(frames, frames_mask, keep), keep)
        attention = self._attention(node_weights.unflatten(0, (batch, -1)), step_weights, mask)
        return self.norm(features), attention

    def encode_frames(self, frames: Tensor) -> Tensor | None:
        """See ``ExpressionModel``."""
        return self.frame_encoder.encode(frames) if "frames" in self.streams else None

    def _embed_patches(self, patches: Tensor, mask: Tensor) -> Tensor:
        """Of every two frames the first: what joins after the first block, which halves the rate."""
        keep = modality_keep(patches, self.config.modality_dropout, self.training)
        return self.patch_embedding(patches[:, ::2], mask[:, ::2] & keep[:, None])

    def _attention(self, node_weights: Tensor, step_weights: Tensor, mask: Tensor) -> Attention:
        """Weights of steps -> weights of the frames under them."""
        length = mask.shape[1]
        nodes = node_weights.repeat_interleave(STRIDE, dim=1)[:, :length] * mask[..., None]
        frames = F.pad(mask, (0, -length % STRIDE)).unflatten(1, (-1, STRIDE)).to(step_weights.dtype)
        frames = frames / frames.sum(dim=2, keepdim=True).clamp(min=1) * step_weights[..., None]
        return Attention(nodes=nodes, frames=frames.flatten(1)[:, :length])
