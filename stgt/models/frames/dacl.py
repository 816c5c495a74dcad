"""DACL: a centre loss that looks at those dimensions of a feature which count for its image."""

from torch import Tensor, nn

from stgt.models.frames.base import FrameModel, Maps
from stgt.models.frames.registry import register_frame_model
from stgt.models.frames.resnet18 import ResNet18Trunk

#: Widths of the attention network's hidden layers, for a map of 512 channels.
HIDDEN = (3584, 512, 64)
#: Side of the last map for the paper's images.
SIDE = 7


@register_frame_model("dacl")
class DeepAttentiveCenterLoss(FrameModel):
    """DACL of Farzaneh and Qi (WACV 2021): ResNet-18, and attention for a sparse centre loss.

    The feature ``x`` (512) is the mean of ResNet-18's last map. Beside it, an attention network reads the whole map
    through three fully connected layers, batch normalised, the last with tanh; each dimension j of the feature has a
    pair of linear outputs on top, and its weight is the softmax's share of the second: ``a_ij`` from 0 to 1. Training
    minimises cross entropy plus lambda (0.01) times the attentive centre loss

        (1 / 2N) sum_i sum_j a_ij (x_ij - c_yj)^2,    c_y the centre of the class of image i.

    Extras: ``attention`` (N, 512), the weights ``a``. The classifier does not read them.

    Published: RAF-DB 87.78 %, AffectNet-7 65.20 %, of a trunk trained on MS-Celeb-1M; 103.0 M parameters (counted in
    the authors' code) for images of 224 x 224 pixels, 92 M of them in the attention network, which shrinks with smaller
    images. Our reading: of larger ones it reads means of the map, as large as the paper's.
    """

    paper = "Farzaneh, Qi: Facial expression recognition in the wild via deep attentive center loss, WACV 2021"
    paper_loss = "cross_entropy(smoothing=0,class_weights=0)+attentive_centre:0.01"
    published_parameters = 103_042_311
    trunk_name = "resnet18"

    def build(self) -> int:
        """See `FrameModel`."""
        self.trunk = ResNet18Trunk()
        side = min(self.trunk.side(self.image_size), SIDE)
        widths = (self.trunk.channels * side * side, *HIDDEN)
        layers: list[nn.Module] = [nn.AdaptiveAvgPool2d(side), nn.Flatten()]
        for index, (inputs, outputs) in enumerate(zip(widths[:-1], HIDDEN, strict=True)):
            last = index == len(HIDDEN) - 1
            layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.Tanh() if last else nn.ReLU()]
        self.attention = nn.Sequential(*layers, nn.Linear(HIDDEN[-1], 2 * self.trunk.channels))
        return self.trunk.channels

    def encode(self, images: Tensor) -> Maps:
        """(N, 512, S / 32, S / 32)."""
        return self.trunk(images)

    def pool(self, maps: Maps) -> tuple[Tensor, dict[str, Tensor]]:
        """See `FrameModel`."""
        attention = self.attention(maps).unflatten(1, (-1, 2)).softmax(dim=2)[..., 1]
        return maps.mean(dim=(2, 3)), {"attention": attention}
