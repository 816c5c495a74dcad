"""The dense layers compute what they say: PyG's sparse layer, a masked convolution, weighted means."""

import pytest
import torch
from torch_geometric.nn import DenseGCNConv, GCNConv

from stgt.graphs.layout import LAYOUTS, load_layout
from stgt.models.blocks import (
    AttentionPool,
    DropChannels,
    GraphConvolution,
    MaskedBatchNorm,
    RegionAttentionPool,
    TemporalConvolution,
    TransformerLayer,
    stride_mask,
)
from stgt.models.stgcn import spatial_partition


@pytest.mark.parametrize("name", LAYOUTS)
def test_dense_graph_convolution_equals_pyg(name):
    """PyG's sparse layer, and its dense one; both normalise by themselves."""
    layout = load_layout(name)
    ours = GraphConvolution(9, 16, layout.adjacency())
    torch.nn.init.normal_(ours.bias)
    x = torch.randn(2, 3, len(layout), 9)
    sparse, dense = GCNConv(9, 16), DenseGCNConv(9, 16)
    for layer in (sparse, dense):
        layer.lin.weight.data = ours.linear.weight.data
        layer.bias.data = ours.bias.data
    graph = layout.graph()
    plain = torch.zeros(len(layout), len(layout))
    plain[tuple(graph.edge_index)] = 1
    y = ours(x)
    assert torch.allclose(y, sparse(x, graph.edge_index), atol=1e-5)
    assert torch.allclose(y.flatten(0, 1), dense(x.flatten(0, 1), plain), atol=1e-5)


def test_learned_importance_is_an_edge_weight_of_pyg():
    layout = load_layout("landmarks68")
    ours = GraphConvolution(9, 16, layout.adjacency())
    torch.nn.init.uniform_(ours.importance, 0, 2)
    weights = ours.adjacency[0] * ours.importance[0]
    edge_index = ours.adjacency[0].T.nonzero().T  # PyG's messages go from the first row to the second
    sparse = GCNConv(9, 16, normalize=False)
    sparse.lin.weight.data, sparse.bias.data = ours.linear.weight.data, ours.bias.data
    x = torch.randn(4, len(layout), 9)
    expected = sparse(x, edge_index, weights.T[tuple(edge_index)])
    assert torch.allclose(ours(x[None])[0], expected, atol=1e-5)


def test_importance_makes_no_new_edges():
    layout = load_layout("landmarks68")
    layer = GraphConvolution(4, 4, layout.adjacency())
    torch.nn.init.normal_(layer.importance)
    node = int(layout.edges[0, 0])
    neighbours = {node} | {int(b if a == node else a) for a, b in layout.edges if node in (a, b)}
    x = torch.randn(1, 1, 68, 4, requires_grad=True)
    layer(x)[0, 0, node].sum().backward()
    assert set(x.grad[0, 0].abs().sum(-1).nonzero()[:, 0].tolist()) == neighbours


def test_partition_splits_the_normalised_adjacency_by_distance_to_the_root():
    layout = load_layout("landmarks68")
    partition = spatial_partition(layout)
    plain = torch.eye(68)
    plain[layout.edges[:, 0], layout.edges[:, 1]] = plain[layout.edges[:, 1], layout.edges[:, 0]] = 1
    assert torch.allclose(partition.sum(0), plain / plain.sum(0))
    assert ((partition > 0).sum(0) <= 1).all()
    root = layout.root
    assert partition[1, root].sum() == 0  # nothing is nearer to the root than itself
    neighbours = [int(b if a == root else a) for a, b in layout.edges if root in (a, b)]
    assert (partition[2, root, neighbours] > 0).all()
    assert (partition[1, neighbours, root] > 0).all()


def test_sum_over_subsets_by_hand():
    partition = spatial_partition(load_layout("landmarks68"))
    layer = GraphConvolution(5, 7, partition)
    torch.nn.init.normal_(layer.importance)
    x = torch.randn(2, 3, 68, 5)
    weights = layer.linear.weight.unflatten(0, (3, 7))
    expected = sum((partition[k] * layer.importance[k]) @ (x @ weights[k].T) for k in range(3)) + layer.bias
    assert torch.allclose(layer(x), expected, atol=1e-5)


def test_temporal_convolution_is_conv1d_with_zeros_where_invalid():
    layer = TemporalConvolution(6, 4, kernel=3, stride=2)
    x, mask = torch.randn(2, 7, 5, 6), torch.rand(2, 7) > 0.3
    expected = torch.nn.functional.conv1d(
        (x * mask[..., None, None])[:, :, 3].transpose(1, 2),
        layer.convolution.weight[..., 0],
        layer.convolution.bias,
        2,
        1,
    )
    assert torch.allclose(layer(x, mask)[:, :, 3], expected.transpose(1, 2), atol=1e-5)
    assert layer(x, mask).shape == (2, 4, 5, 4)


def test_stride_mask():
    mask = torch.tensor([[1, 0, 0, 0, 1], [0, 1, 0, 0, 0]], dtype=torch.bool)
    assert stride_mask(mask, 1) is mask
    assert stride_mask(mask, 2).tolist() == [[True, False, True], [True, False, False]]


def test_batch_normalisation_counts_valid_frames_only():
    layer, reference = MaskedBatchNorm(5), torch.nn.BatchNorm1d(5)
    x, mask = torch.randn(3, 7, 5) * 3 + 1, torch.rand(3, 7) > 0.4
    y = layer(x, mask)
    assert torch.allclose(y[mask], reference(x[mask]), atol=1e-6)
    assert not y[~mask].any()
    assert torch.equal(layer.norm.running_var, reference.running_var)
    layer.eval()
    reference.eval()
    assert torch.allclose(layer(x, mask)[mask], reference(x[mask]), atol=1e-6)


def test_region_pool_weighs_nodes_within_their_region_and_regions_against_each_other():
    regions = [[0, 3], [1, 2, 4, 5], [6]]
    pool = RegionAttentionPool(8, 10, regions, heads=2)
    x = torch.randn(4, 7, 8)
    pooled, weights = pool(x)
    assert pooled.shape == (4, 10)
    normal = pool.norm(x)
    parts, gates = [], []
    for part in range(6):
        nodes = regions[part // 2]
        score = normal[:, nodes] @ pool.score.weight[part] + pool.score.bias[part] + pool.bias[part, nodes]
        share = torch.zeros(4, 7)
        share[:, nodes] = score.softmax(dim=1)
        parts.append(share)
        gates.append((share * (normal @ pool.gate.weight[part] + pool.gate.bias[part])).sum(dim=1))
    gate = torch.stack(gates, dim=1).softmax(dim=1)
    assert torch.allclose(weights, sum(gate[:, part, None] * parts[part] for part in range(6)), atol=1e-6)
    vectors = [6 * gate[:, part, None] * (parts[part][:, None] @ normal)[:, 0] for part in range(6)]
    assert torch.allclose(pooled, pool.out(torch.cat(vectors, dim=1)), atol=1e-5)


def test_drop_channels_drops_whole_channels_and_keeps_the_mean():
    x = torch.ones(50, 3, 4, 40)
    dropped = DropChannels(0.25).train()(x)
    assert torch.equal(dropped, dropped[:, :1, :1].expand_as(x))
    assert torch.allclose(dropped.unique(), torch.tensor([0, 1 / 0.75]))
    assert dropped.mean() == pytest.approx(1, abs=0.1)
    assert torch.equal(DropChannels(0.25).eval()(x), x)


def test_transformer_layer_and_pool_ignore_masked_tokens():
    layer, pool = TransformerLayer(8, 2, 0.0), AttentionPool(8, 2)
    x, mask = torch.randn(3, 6, 8), torch.ones(3, 6, dtype=torch.bool)
    mask[:, 4:] = False
    mask[2] = False
    pooled, weights = pool(layer(x, mask), mask)
    short, short_weights = pool(layer(x[:, :4]))
    assert torch.allclose(pooled[:2], short[:2], atol=1e-5)
    assert torch.allclose(weights[:2, :4], short_weights[:2], atol=1e-6)
    assert torch.allclose(weights[:2].sum(1), torch.ones(2))
    assert not pooled[2].any()
    assert not weights[2].any()
