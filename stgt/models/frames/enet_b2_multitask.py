"""EfficientNet-B2 for expressions, valence and arousal, and action units at once."""

import timm
from torch import Tensor, nn

from stgt.models.frames.base import FrameModel, Maps
from stgt.models.frames.registry import register_frame_model

#: The facial action units (FACS numbers) of the third head: those labelled in Aff-Wild2.
ACTION_UNITS = (1, 2, 4, 6, 7, 10, 12, 15, 23, 24, 25, 26)


@register_frame_model("enet-b2-multitask")
class MultiTaskEfficientNetB2(FrameModel):
    """Savchenko's EfficientNet-B2 (arXiv 2103.17107; with others, IEEE Trans. Affective Computing 13(4), 2022).

    EfficientNet-B2 (Tan & Le, ICML 2019, arXiv 1905.11946), pre-trained on identities of faces (VGGFace2), then on
    AffectNet with class weighted cross entropy; linear heads on the pooled feature (1408) for the expression and for
    valence and arousal. It reads 260 x 260 pixels. Over a video, the paper takes mean, maximum and standard deviation
    of the features.

    Extras: ``valence_arousal`` (N, 2), each from -1 to 1 by tanh, for a loss such as one minus the concordance
    correlation; ``action_units`` (N, 12), logits of `ACTION_UNITS`, for a binary cross entropy.

    Published: AffectNet-8 63.03 %, AffectNet-7 66.34 %; of the 9.1 M parameters of EfficientNet-B2 7.7 M are left
    without the classifier of ImageNet. Our reading: tanh, and a head for the action units, which later work of the same
    author has as a network on the features. Weights by ``"timm"`` are ImageNet's (noisy student), not faces.
    """

    paper = "Savchenko, Savchenko, Makarov: Classifying emotions and engagement in online learning based on a single facial expression recognition neural network, IEEE TAC 2022"  # noqa: E501
    paper_loss = "cross_entropy(smoothing=0,class_weights=1)"
    published_parameters = 7_700_994 + 8 * 1409
    published_classes = 8
    published_image_size = 260
    trunk_name = "tf_efficientnet_b2.ns_jft_in1k"

    def build(self) -> int:
        """See `FrameModel`."""
        self.trunk = timm.create_model(self.trunk_name, pretrained=False, num_classes=0)
        self.valence_arousal = nn.Linear(self.trunk.num_features, 2)
        self.action_units = nn.Linear(self.trunk.num_features, len(ACTION_UNITS))
        return self.trunk.num_features

    def encode(self, images: Tensor) -> Maps:
        """(N, 1408, S / 32, S / 32)."""
        return self.trunk.forward_features(images)

    def pool(self, maps: Maps) -> tuple[Tensor, dict[str, Tensor]]:
        """See `FrameModel`."""
        features = self.trunk.forward_head(maps, pre_logits=True)
        hidden = self.head_drop(features)
        extras = {"valence_arousal": self.valence_arousal(hidden).tanh(), "action_units": self.action_units(hidden)}
        return features, extras
