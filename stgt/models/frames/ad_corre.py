"""Ad-Corre: several embeddings of a face, told by their correlations which way to go."""

import timm
from torch import Tensor, nn
from torch.nn import functional as F

from stgt.models.frames.base import FrameModel, Maps
from stgt.models.frames.registry import register_frame_model

EMBEDDINGS = 10
WIDTH = 256


@register_frame_model("ad-corre")
class AdaptiveCorrelation(FrameModel):
    """Ad-Corre of Fard and Mahoor (IEEE Access 10, 2022): Xception and ten embeddings.

    The mean of the last map of Xception (Chollet, CVPR 2017, arXiv 1610.02357), 2048, goes through ten linear layers of
    256, each scaled to length 1; side by side they are the feature, with dropout of 0.5 before the classifier. Besides
    cross entropy, three losses on the embeddings' correlations pull together images of a class (weighted by how often
    the class is mistaken), push apart the means of the classes, and push apart the embeddings of one image.

    Extras: ``embeddings`` (N, 10, 256), of length 1, before dropout.

    Published: RAF-DB 86.9 %, AffectNet-7 63.36 %, of Xception at 224 x 224 pixels from weights of ImageNet; 26.07 M
    parameters (counted in the authors' code, 7 classes). The code's other trunk, ResNet-50, is not here.
    """

    paper = "Fard, Mahoor: Ad-Corre: adaptive correlation-based loss for facial expression recognition in the wild, IEEE Access 2022"  # noqa: E501
    # As the authors' code weighs them, for 7 classes.
    paper_loss = "cross_entropy(smoothing=0,class_weights=0)+adaptive_correlation:0.14"
    published_parameters = 26_070_319
    default_dropout = 0.5
    trunk_name = "legacy_xception"
    pixel_mean = (0.5, 0.5, 0.5)
    pixel_std = (0.5, 0.5, 0.5)

    def build(self) -> int:
        """See `FrameModel`."""
        self.trunk = timm.create_model(self.trunk_name, pretrained=False, num_classes=0)
        self.embed = nn.Linear(self.trunk.num_features, EMBEDDINGS * WIDTH)
        return EMBEDDINGS * WIDTH

    def encode(self, images: Tensor) -> Maps:
        """(N, 2048, S / 32, S / 32)."""
        return self.trunk.forward_features(images)

    def pool(self, maps: Maps) -> tuple[Tensor, dict[str, Tensor]]:
        """See `FrameModel`."""
        pooled = self.trunk.forward_head(maps, pre_logits=True)
        embeddings = F.normalize(self.embed(pooled).unflatten(1, (EMBEDDINGS, WIDTH)), dim=2)
        return embeddings.flatten(1), {"embeddings": embeddings}
