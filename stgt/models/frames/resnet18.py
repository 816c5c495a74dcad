"""ResNet-18 (He et al., CVPR 2016, arXiv 1512.03385), the trunk that most encoders of this room begin with; and 34."""

from typing import ClassVar

import timm
from torch import Tensor, nn


class ResNet18Trunk(nn.Module):
    """The convolutions of timm's ResNet-18, under timm's names, so that its weights fit.

    Args:
        stages: how many of its four stages to keep.

    Attributes:
        channels: of the last map: 64, 128, 256 or 512.
        stride: pixels of the image for each step of the last map: 4, 8, 16 or 32.

    Shape: (N, 3, S, S) -> (N, channels, S / stride, S / stride), rounded up.
    """

    timm_name: ClassVar[str] = "resnet18"

    def __init__(self, stages: int = 4) -> None:
        super().__init__()
        # Residual blocks do not begin as identities, as in the code of the papers.
        resnet = timm.create_model(self.timm_name, pretrained=False, num_classes=0, zero_init_last=False)
        self.conv1, self.bn1, self.act1, self.maxpool = resnet.conv1, resnet.bn1, resnet.act1, resnet.maxpool
        for stage in range(1, stages + 1):
            setattr(self, f"layer{stage}", getattr(resnet, f"layer{stage}"))
        self.stages = stages
        self.channels = 32 << stages
        self.stride = 2 << stages

    def forward(self, images: Tensor) -> Tensor:
        """The last map; see the class for the shapes."""
        return self.forward_stages(images)[-1]

    def forward_stages(self, images: Tensor) -> list[Tensor]:
        """The map after every stage: 64, 128, 256, 512 channels at strides 4, 8, 16, 32."""
        x = self.maxpool(self.act1(self.bn1(self.conv1(images))))
        maps = []
        for stage in range(1, self.stages + 1):
            x = getattr(self, f"layer{stage}")(x)
            maps.append(x)
        return maps

    def side(self, image_size: int) -> int:
        """Side of the last map for images of ``image_size`` pixels."""
        return -(-image_size // self.stride)


class ResNet34Trunk(ResNet18Trunk):
    """The same of ResNet-34: maps of the same shapes, from twice the layers."""

    timm_name = "resnet34"
