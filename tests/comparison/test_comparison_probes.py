"""What a window costs, against numbers worked out by hand."""

import torch
from torch import nn

from stgt.comparison.probes import count_flops


class Wrapped(nn.Module):
    """A layer that is called as models are."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


def test_products_convolutions_and_recurrent_layers_are_counted():
    assert count_flops(Wrapped(nn.Linear(6, 5)), {"x": torch.zeros(1, 6)}) == 2 * 6 * 5
    convolution = nn.Conv2d(2, 3, 3, padding=1)
    assert count_flops(Wrapped(convolution), {"x": torch.zeros(1, 2, 8, 8)}) == 2 * 2 * 3 * 9 * 64
    # Four gates, each of the input and of the state, at each of seven moments; two layers.
    lstm = nn.LSTM(6, 5, num_layers=2, batch_first=True)
    assert count_flops(Wrapped(lstm), {"x": torch.zeros(1, 7, 6)}) == 2 * 7 * 4 * 5 * ((6 + 5) + (5 + 5))


def test_attention_is_counted_although_it_is_fused():
    layer = nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, batch_first=True).eval()
    length, width = 10, 8
    projections = 2 * length * width * (4 * width)
    attention = 2 * (2 * length * length * width)
    feedforward = 2 * (2 * length * width * 16)
    assert count_flops(Wrapped(layer), {"x": torch.zeros(1, length, width)}) == projections + attention + feedforward
