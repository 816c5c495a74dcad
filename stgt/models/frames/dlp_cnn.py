"""DLP-CNN: a plain convolutional network whose features keep the neighbourhoods of their class."""

from torch import Tensor, nn

from stgt.models.frames.base import FrameModel, Maps
from stgt.models.frames.registry import register_frame_model

#: Channels of the convolutions, 3 x 3 each; a pool that halves the map follows where it says so.
LAYERS = ((64, True), (96, True), (128, False), (128, True), (256, False), (256, False))
FEATURES = 2000
#: Side of the last map for the paper's images.
SIDE = 12


@register_frame_model("dlp-cnn")
class DeepLocalityPreservingCNN(FrameModel):
    """DLP-CNN of Li and Deng (CVPR 2017; IEEE Transactions on Image Processing 28(1), 2019).

    Six convolutions with ReLU, three max pools, a fully connected layer that gives the deep feature ``x`` (2000), and
    the classifier. What makes the method is its loss: cross entropy plus

        (lambda / 2) mean_i || x_i - mean of the k features of the same class that are nearest to x_i ||^2

    with lambda = 0.003 and k = 20, which needs the features and nothing else, so there are no extras.

    Published: RAF-DB 84.13 %, without pre-training. The layers of the paper's table add up to 74.9 M parameters for its
    images of 100 x 100 pixels, 98 % of them in the first fully connected layer. Our reading: the feature is taken after
    its ReLU, pixels are normalised as for ImageNet, weights start by Glorot's rule, and of images larger than the
    paper's the last map is averaged to the side it has there, so that the network does not grow with them.
    """

    paper = "Li, Deng: Reliable crowdsourcing and deep locality-preserving learning for unconstrained facial expression recognition, IEEE TIP 2019"  # noqa: E501
    paper_loss = "cross_entropy(smoothing=0,class_weights=0)+locality_preserving(neighbours=20):0.003"
    published_parameters = 74_944_743
    published_image_size = 100

    def build(self) -> int:
        """See `FrameModel`."""
        layers: list[nn.Module] = []
        channels, side = 3, self.image_size
        for width, pooled in LAYERS:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            if pooled:
                layers.append(nn.MaxPool2d(2))
                side //= 2
            channels = width
        self.convolutions = nn.Sequential(*layers)
        side = min(side, SIDE)
        self.embed = nn.Sequential(
            nn.AdaptiveAvgPool2d(side), nn.Flatten(), nn.Linear(channels * side * side, FEATURES), nn.ReLU()
        )
        self.apply(_glorot)
        return FEATURES

    def encode(self, images: Tensor) -> Maps:
        """(N, 256, S / 8, S / 8), rounded down at every pool."""
        return self.convolutions(images)

    def pool(self, maps: Maps) -> tuple[Tensor, dict[str, Tensor]]:
        """See `FrameModel`."""
        return self.embed(maps), {}


def _glorot(module: nn.Module) -> None:
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
