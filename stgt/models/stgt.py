"""STGT: a spatio-temporal graph transformer over facial landmarks, fused with appearance.

After the geometry-guided networks of Zhao et al. (IEEE Transactions on Affective Computing, 2023); parts and widths are
chosen so that it trains on a few hundred clips and on two CPU cores.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stgt.config import ModelConfig, WindowConfig, parse_parts
from stgt.errors import StgtError
from stgt.graphs.geometry import GEOMETRY_CHANNELS
from stgt.models.actions import STRIDE, ActionEncoder
from stgt.models.appearance import FrameEncoder, GatedFusion, PatchEmbedding, modality_keep
from stgt.models.blocks import (
    AttentionPool,
    MaskedBatchNorm,
    MeanPool,
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

    For ablations ``config.without`` leaves out parts of it:

    ====================  ========================================================================================
    graph                 a linear map of every node for itself stands for each graph convolution
    spatial_transformer   pooled is what the graph blocks give
    temporal_transformer  pooled is what the spatial pool gives
    attention_pooling     a mean over all nodes, over the steps and over the appearance frames
    geometry              the other streams alone. Patches enter with a learned vector per node where they join
                          otherwise; without them there is nothing over nodes (actions alone are the tokens of the
                          steps), and without both nothing but appearance frames. No stream is hidden in training.
                          Attention is uniform over what is not looked at.
    ====================  ========================================================================================

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
        self.without = parse_parts(config.without)
        self.reads_geometry = "geometry" not in self.without
        self.reads_nodes = self.reads_geometry or "patches" in self.streams
        self.reads_steps = self.reads_nodes or "actions" in self.streams
        if self.reads_nodes:
            self._add_node_layers(width, token)
        if self.reads_steps:
            self._add_step_layers(token, -(-window.frames // STRIDE))
        if "actions" in self.streams:
            self.action_encoder = ActionEncoder(width, token)
        if "patches" in self.streams:
            self.patch_embedding = PatchEmbedding(config.patch_size, width)
        if "frames" in self.streams:
            self.frame_encoder = FrameEncoder(config, token, self._pool(token))
            if self.reads_steps:
                self.fusion = GatedFusion(token)
        self.norm = nn.LayerNorm(token)

    def _add_node_layers(self, width: int, token: int) -> None:
        """What looks at nodes, up to a token for every step."""
        config, nodes = self.config, len(self.layout)
        if self.reads_geometry:
            self.stem = GeometryStem(nodes, width // 2, config.identity_dropout)
        else:
            self.node = nn.Parameter(torch.empty(nodes, width))
            nn.init.trunc_normal_(self.node, std=0.5)
        adjacency = None if "graph" in self.without else self.layout.adjacency()
        self.blocks = nn.ModuleList(
            SpatioTemporalBlock(
                width // 2 if index == 0 else width,
                width,
                adjacency,
                stride=2 if index in (0, config.blocks // 2) else 1,
                dropout=config.dropout,
            )
            for index in range(0 if self.reads_geometry else 1, config.blocks)
        )
        self.spatial_transformer = None
        if "spatial_transformer" not in self.without:
            self.spatial_transformer = TransformerLayer(width, config.heads, config.dropout)
        regions = list(self.layout.regions.values())
        self.spatial_pool = (
            MeanPool(width, token)
            if "attention_pooling" in self.without
            else RegionAttentionPool(width, token, regions, heads=max(1, config.heads // 2))
        )

    def _add_step_layers(self, token: int, steps: int) -> None:
        """What looks at the steps of a window."""
        self.token_norm = MaskedBatchNorm(token)
        self.step = nn.Parameter(torch.empty(steps, token))
        nn.init.trunc_normal_(self.step, std=0.02)
        self.temporal_transformer = None
        if "temporal_transformer" not in self.without:
            self.temporal_transformer = TransformerLayer(token, self.config.heads, self.config.dropout)
        self.temporal_pool = self._pool(token)

    def _pool(self, width: int) -> nn.Module:
        return (
            MeanPool(width, width) if "attention_pooling" in self.without else AttentionPool(width, self.config.heads)
        )

    def encode(self, inputs: Inputs) -> tuple[Tensor, Attention]:
        """See ``ExpressionModel``."""
        mask, frames = inputs.mask, inputs.frames
        attention = uniform_attention(mask, len(self.layout))
        features = None
        if self.reads_steps:
            features, attention = self._encode_steps(inputs, attention)
        if frames is not None:
            keep = self._keep(mask)
            appearance = self.frame_encoder(frames, inputs.frames_mask, keep)
            features = appearance if features is None else self.fusion(features, appearance, keep)
        if features is None:  # of a model that reads frames alone, and has none
            features = inputs.geometry.new_zeros(len(mask), self.num_features)
        return self.norm(features), attention

    def encode_frames(self, frames: Tensor) -> Tensor | None:
        """See ``ExpressionModel``."""
        return self.frame_encoder.encode(frames) if "frames" in self.streams else None

    def _encode_steps(self, inputs: Inputs, attention: Attention) -> tuple[Tensor, Attention]:
        """All streams but frames -> (B, 2 C), and ``attention`` with the weights that were given."""
        mask, actions = inputs.mask, inputs.actions
        if self.reads_nodes:
            tokens, node_weights = self._encode_nodes(inputs)
            nodes = node_weights.repeat_interleave(STRIDE, dim=1)[:, : mask.shape[1]] * mask[..., None]
            attention = attention._replace(nodes=nodes)
        steps = stride_mask(mask, STRIDE)
        if actions is not None:
            read = self.action_encoder(actions, mask) * self._keep(actions)[:, None, None]
            tokens = tokens + read if self.reads_nodes else read
        elif not self.reads_nodes:  # actions alone, and there are none
            tokens = inputs.geometry.new_zeros(*steps.shape, self.num_features)
        tokens = self.token_norm(tokens, steps) + self.step[: steps.shape[1]]
        if self.temporal_transformer is not None:
            tokens = self.temporal_transformer(tokens, steps)
        features, step_weights = self.temporal_pool(tokens, steps)
        return features, attention._replace(frames=frame_weights(step_weights, mask))

    def _encode_nodes(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """Geometry and patches -> a token for every step (B, T / 4, 2 C), and the weights of nodes (B, T / 4, V)."""
        mask, patches = inputs.mask, inputs.patches
        halved = stride_mask(mask, 2)
        if self.reads_geometry:
            x = self.blocks[0](self.stem(inputs.geometry, mask), mask)
        else:
            x = self.node.expand(*halved.shape, -1, -1)
        if patches is not None:
            # Of every two frames the first: the rate is halved here.
            keep = self._keep(patches)
            x = x + self.patch_embedding(patches[:, ::2], mask[:, ::2] & keep[:, None])
        steps = halved
        for block in self.blocks[1 if self.reads_geometry else 0 :]:
            x = block(x, steps)
            steps = stride_mask(steps, block.stride)
        # Frames apart from each other: the spatial transformer and the pooling see one step at a time.
        x = x.flatten(0, 1)
        if self.spatial_transformer is not None:
            x = self.spatial_transformer(x)
        tokens, weights = self.spatial_pool(x)
        return tokens.unflatten(0, steps.shape), weights.unflatten(0, steps.shape)

    def _keep(self, like: Tensor) -> Tensor:
        """(B,) bool: the samples that see a stream beside geometry."""
        return modality_keep(like, self.config.modality_dropout, self.training and self.reads_geometry)


def uniform_attention(mask: Tensor, nodes: int) -> Attention:
    """That of a model which has none: every valid frame (B, T) and every node of it counts alike."""
    frames = mask / mask.sum(dim=1, keepdim=True).clamp(min=1)
    return Attention(nodes=(mask[..., None] / nodes).expand(-1, -1, nodes), frames=frames)


def frame_weights(step_weights: Tensor, mask: Tensor) -> Tensor:
    """Weights of steps (B, T / 4) -> weights (B, T) of the valid frames under them, which share those of their step."""
    length = mask.shape[1]
    frames = F.pad(mask, (0, -length % STRIDE)).unflatten(1, (-1, STRIDE)).to(step_weights.dtype)
    frames = frames / frames.sum(dim=2, keepdim=True).clamp(min=1) * step_weights[..., None]
    return frames.flatten(1)[:, :length]
