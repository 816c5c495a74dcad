"""ST-GCN, the baseline that every report is compared with."""

import warnings

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stgt.config import ModelConfig, WindowConfig
from stgt.graphs.geometry import GEOMETRY_CHANNELS
from stgt.graphs.layout import NodeLayout
from stgt.models.blocks import GraphConvolution, TemporalConvolution, stride_mask
from stgt.models.registry import Attention, ExpressionModel, Inputs, register_model

#: (out channels over the width, stride in time) of each layer, as published.
LAYERS = ((1, 1), (1, 1), (1, 1), (1, 1), (2, 2), (2, 1), (2, 1), (4, 2), (4, 1), (4, 1))
KERNEL = 9


def spatial_partition(layout: NodeLayout) -> Tensor:
    """(3, V, V) normalised adjacency by the spatial configuration of the paper (its section 3.3).

    The neighbours of a node (and itself) fall into those as far from the root as the node, those nearer to it
    (centripetal) and those farther from it (centrifugal), in edges. Each column of the whole is normalised by its
    degree.
    """
    with warnings.catch_warnings():
        # Its import of torch_geometric compiles scripts, which recent releases of torch advise against.
        warnings.simplefilter("ignore", FutureWarning)
        from torch_geometric.utils import k_hop_subgraph, to_dense_adj

    graph, nodes = layout.graph(), len(layout)
    distance = torch.full((nodes,), nodes)
    for hops in range(nodes):
        reached = k_hop_subgraph(layout.root, hops, graph.edge_index, num_nodes=nodes)[0]
        distance[reached] = distance[reached].clamp(max=hops)
        if len(reached) == nodes:
            break
    adjacency = to_dense_adj(graph.edge_index, max_num_nodes=nodes)[0] + torch.eye(nodes)
    adjacency = adjacency / adjacency.sum(dim=0)
    node, neighbour = distance[:, None], distance[None, :]
    return torch.stack([adjacency * subset for subset in (neighbour == node, neighbour < node, neighbour > node)])


class STGCNBlock(nn.Module):
    """Graph convolution over three subsets of edges, temporal convolution, residual connection; batch normalised.

    Shape: (B, T, V, in_channels), (B, T) -> (B, ceil(T / stride), V, out_channels).
    """

    def __init__(
        self, in_channels: int, out_channels: int, partition: Tensor, stride: int, dropout: float, residual: bool
    ) -> None:
        super().__init__()
        self.stride = stride
        self.spatial = GraphConvolution(in_channels, out_channels, partition)
        self.spatial_norm = nn.BatchNorm2d(out_channels)
        self.temporal = TemporalConvolution(out_channels, out_channels, KERNEL, stride)
        self.temporal_norm = nn.BatchNorm2d(out_channels)
        self.dropout = dropout
        self.residual: nn.Module | None = None
        if residual and (in_channels, stride) == (out_channels, 1):
            self.residual = nn.Identity()
        elif residual:
            self.residual = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, (stride, 1)), nn.BatchNorm2d(out_channels)
            )

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """See the class for the shapes."""
        y = F.relu(_channels_second(self.spatial_norm, self.spatial(x)))
        y = _channels_second(self.temporal_norm, self.temporal(y, mask))
        y = F.dropout(y, self.dropout, self.training)
        return F.relu(y if self.residual is None else y + _channels_second(self.residual, x))


def _channels_second(layer: nn.Module, x: Tensor) -> Tensor:
    """Apply a layer that wants (B, C, T, V); both permutations are views."""
    return layer(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


@register_model("stgcn")
class SpatialTemporalGraphConvolutionalNetwork(ExpressionModel):
    """ST-GCN of Yan, Xiong and Lin (AAAI 2018, arXiv 1801.07455) on the face's graph and the geometry stream.

    As published: batch normalised input, ten layers of 1, 2 and 4 times ``config.width`` channels (64 in the paper)
    with temporal kernel 9, spatial configuration partitioning, learned edge importance, mean pooling. Masked, which
    the original is not. It has no attention: what it reads out is uniform. Of the settings only layout, width and
    dropout apply; it reads geometry alone, whatever the streams.
    """

    def __init__(self, config: ModelConfig, num_classes: int, window: WindowConfig) -> None:
        super().__init__(config, num_classes, window, num_features=LAYERS[-1][0] * config.width)
        partition = spatial_partition(self.layout)
        self.input_norm = nn.BatchNorm1d(len(self.layout) * GEOMETRY_CHANNELS)
        channels = (GEOMETRY_CHANNELS, *(factor * config.width for factor, _ in LAYERS))
        self.layers = nn.ModuleList(
            STGCNBlock(channels[index], channels[index + 1], partition, stride, config.dropout, residual=index > 0)
            for index, (_, stride) in enumerate(LAYERS)
        )

    def encode(self, inputs: Inputs) -> tuple[Tensor, Attention]:
        """See ``ExpressionModel``."""
        geometry, mask = inputs.geometry, inputs.mask
        x = self.input_norm(geometry.flatten(2).transpose(1, 2)).transpose(1, 2).unflatten(2, geometry.shape[2:])
        steps = mask
        for layer in self.layers:
            x = layer(x, steps)
            steps = stride_mask(steps, layer.stride)
        weight = steps / steps.sum(dim=1, keepdim=True).clamp(min=1)
        features = (x.mean(dim=2) * weight[..., None]).sum(dim=1)
        frame_weights = mask / mask.sum(dim=1, keepdim=True).clamp(min=1)
        nodes = (mask[..., None] / len(self.layout)).expand(-1, -1, len(self.layout))
        return features, Attention(nodes=nodes, frames=frame_weights)
