"""A transformer over landmarks that is told nothing of a graph."""

import torch
from torch import Tensor, nn

from stgt.config import ModelConfig, WindowConfig
from stgt.errors import StgtError
from stgt.graphs.geometry import GEOMETRY_CHANNELS
from stgt.models.blocks import AttentionPool, MaskedBatchNorm, TransformerLayer
from stgt.models.registry import Attention, ExpressionModel, Inputs, register_model


@register_model("landmark-transformer")
class LandmarkTransformer(ExpressionModel):
    """Self-attention over the nodes of each frame, then over the frames: the factorised encoder of ViViT.

    Arnab et al. (ICCV 2021, arXiv 2103.15691, model 2) factorise video into a spatial and a temporal encoder; here the
    tokens of a frame are its nodes (a linear map of their channels plus a learned vector for each node, as Vaswani et
    al., arXiv 1706.03762, give positions) instead of image patches, and attention pools stand where theirs has class
    tokens. Which nodes belong together is learned from data alone: beside STGT it shows what the graph is worth.

    ===================  ==========  ======================================================
    tokens               (T, V, C)   C = ``config.width``, batch normalised input
    spatial encoder      (T, V, C)   half of ``config.blocks`` layers, frames apart
    spatial attention    (T, C)      nodes -> a token per frame, and its place in time
    temporal encoder     (T, C)      the other half of the layers, over the valid frames
    temporal attention   (C,)        frames -> the window
    ===================  ==========  ======================================================

    Of the settings layout, width, blocks, heads and dropout apply; it reads geometry alone, whatever the streams.
    """

    def __init__(self, config: ModelConfig, num_classes: int, window: WindowConfig) -> None:
        if config.width < 1 or config.width % config.heads:
            raise StgtError(
                f"model.width is {config.width}; it must be a positive multiple of model.heads, {config.heads}"
            )
        if config.blocks < 2:
            raise StgtError(f"model.blocks is {config.blocks}; the model needs one layer over nodes and one over time")
        width, heads, dropout = config.width, config.heads, config.dropout
        super().__init__(config, num_classes, window, num_features=width)
        nodes = len(self.layout)
        self.input_norm = MaskedBatchNorm(nodes * GEOMETRY_CHANNELS)
        self.embed = nn.Linear(GEOMETRY_CHANNELS, width)
        self.node = nn.Parameter(torch.empty(nodes, width))
        self.step = nn.Parameter(torch.empty(window.frames, width))
        nn.init.trunc_normal_(self.node, std=0.5)
        nn.init.trunc_normal_(self.step, std=0.02)
        spatial = config.blocks // 2
        self.spatial = nn.ModuleList(TransformerLayer(width, heads, dropout) for _ in range(spatial))
        self.spatial_pool = AttentionPool(width, heads)
        self.temporal = nn.ModuleList(TransformerLayer(width, heads, dropout) for _ in range(config.blocks - spatial))
        self.temporal_pool = AttentionPool(width, heads)
        self.norm = nn.LayerNorm(width)

    def encode(self, inputs: Inputs) -> tuple[Tensor, Attention]:
        """See ``ExpressionModel``."""
        geometry, mask = inputs.geometry, inputs.mask
        x = self.input_norm(geometry.flatten(2), mask).unflatten(2, geometry.shape[2:])
        x = (self.embed(x) + self.node).flatten(0, 1)
        for layer in self.spatial:
            x = layer(x)
        tokens, node_weights = self.spatial_pool(x)
        tokens = tokens.unflatten(0, mask.shape) + self.step[: mask.shape[1]]
        for layer in self.temporal:
            tokens = layer(tokens, mask)
        features, frame_weights = self.temporal_pool(tokens, mask)
        nodes = node_weights.unflatten(0, mask.shape) * mask[..., None]
        return self.norm(features), Attention(nodes=nodes, frames=frame_weights)
