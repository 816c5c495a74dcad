"""Frame encoders on the road of clips: each crop of a window is read for itself, and a pool makes one of them."""

import numpy as np
import torch
from torch import Tensor, nn

from stgt.config import FRAMES_PREFIX, ModelConfig, WindowConfig
from stgt.errors import StgtError
from stgt.models.frame_pools import create_frame_pool
from stgt.models.frames import FrameModel, create_frame_model
from stgt.models.frames.weights import load_weights
from stgt.models.registry import Attention, ExpressionModel, Inputs

#: Crops that are read at once outside of training; their maps need memory.
CHUNK = 64


class FrameClipModel(ExpressionModel):
    """A frame encoder, and a pool over the frames of a window.

    It reads the frames stream alone: ``config.stream_frames`` crops spread over a window; those without a face are not
    read in training, and never counted. The classifier is the encoder's own, made for what the pool gives. A window of
    a single picture is a window of one frame.

    Args:
        config: ``name`` of the encoder, ``frame_pool``, ``frame_size``, ``frame_weights``, ``stream_frames``.
        num_classes: K.
        window: its windows.

    Raises:
        StgtError: an unknown encoder, a size that it cannot have, or weights that cannot be had or do not fit.
    """

    def __init__(self, config: ModelConfig, num_classes: int, window: WindowConfig) -> None:
        encoder = create_encoder(config, num_classes)
        parts = encoder.feature_parts
        pool = create_frame_pool(config, encoder.num_features // parts)
        super().__init__(config, num_classes, window, num_features=parts * pool.num_features)
        # The frames of a window that it looks at are those of `WindowReader.picked`.
        places = np.linspace(0, window.frames - 1, config.stream_frames).round().astype(np.int64)
        self.register_buffer("places", torch.eye(window.frames)[torch.from_numpy(places)], persistent=False)
        self.encoder = encoder
        self.pool = pool
        fits = self.num_features == encoder.num_features
        self.head = encoder.head if fits else encoder.make_head(num_classes, self.num_features)
        encoder.head = nn.Identity()

    def encode(self, inputs: Inputs) -> tuple[Tensor, Attention]:
        """See ``ExpressionModel``."""
        features, attention, _ = self.read(inputs)
        return features, attention

    def read(self, inputs: Inputs) -> tuple[Tensor, Attention, dict[str, Tensor]]:
        """Features, attention, and what `forward_training` says of every crop."""
        frames, mask = inputs.frames, inputs.frames_mask
        if frames is None:
            raise StgtError(f"the model {self.config.name} reads face crops alone, and was given none")
        if frames.ndim == 3:
            features, extras = frames * mask[..., None], {}
        elif self.training:
            features, extras = self._read_seen(frames, mask)
        else:
            flat = frames.flatten(0, 1)
            if torch.compiler.is_compiling():  # one graph for all masks
                features = self.encode_frames(flat)
            else:
                features = self._read_chunks(flat, mask.flatten())
            features, extras = features.unflatten(0, mask.shape) * mask[..., None], {}
        pooled, weights = self._pool(features, mask)
        return pooled, self._attention(weights, inputs.mask), {**extras, "frame_features": features}

    def forward_training(self, *inputs: Tensor | None, **named: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        """See ``ExpressionModel``."""
        prepared = self.prepare_inputs(Inputs(*inputs, **named))
        features, _, extras = self.read(prepared)
        logits, of_head = self._classify(features)
        return logits, {**extras, **of_head, "features": features, "frame_valid": prepared.frames_mask}

    def encode_frames(self, frames: Tensor) -> Tensor | None:
        """See ``ExpressionModel``."""
        return self.encoder.forward_head(self.encoder.forward_features(frames), pre_logits=True)

    def forward_head(self, features: Tensor) -> Tensor:
        """Features (B, D) -> logits (B, K)."""
        return self._classify(features)[0]

    def reset_classifier(self, num_classes: int) -> None:
        """See ``ExpressionModel``."""
        like = next(self.head.parameters())
        self.num_classes = num_classes
        self.head = self.encoder.make_head(num_classes, self.num_features).to(like).train(self.training)

    def _classify(self, features: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Features (B, D) -> logits (B, K), and the extras of the classifier."""
        if self.training and len(features) == 1:  # classifiers with batch normalisation need two rows
            logits, extras = self._classify(features.expand(2, -1))
            return logits[:1], {name: extra[:1] for name, extra in extras.items()}
        dropped = self.encoder.drop(features)
        logits = self.head(dropped)
        return logits, self.encoder.head_extras(self.head, dropped, logits)

    def _read_seen(self, frames: Tensor, mask: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Features (B, F, D) and extras (B, F, ...), zeros where masked; only faces are read.

        Others would cost time, and disturb the statistics of batch normalisation.
        """
        flat = frames.flatten(0, 1)
        seen = mask.flatten().nonzero()[:, 0]
        # Batch normalisation needs two; what comes of a frame that is read for its sake goes nowhere.
        read = seen if len(seen) > 1 else torch.cat((seen, seen.new_zeros(2 - len(seen))))
        pictures = flat[read]
        if len(seen) < 2:
            pictures[len(seen) :] = 0
        maps = self.encoder.forward_features(pictures)
        features, extras = self.encoder.pool(maps)
        extras = {**extras, **self.encoder.auxiliary(maps)}

        def everywhere(values: Tensor) -> Tensor:
            whole = values.new_zeros((len(flat), *values.shape[1:]))
            return whole.index_copy(0, seen, values[: len(seen)]).unflatten(0, mask.shape)

        return everywhere(features), {name: everywhere(extra) for name, extra in extras.items()}

    def _read_chunks(self, flat: Tensor, mask: Tensor) -> Tensor:
        """(N, 3, S, S), (N,) -> (N, D), zeros where masked."""
        seen = mask.nonzero()[:, 0]
        # At least one is read, so that the features are known to be of some width and kind.
        chunks = [self.encode_frames(flat[part]) for part in (seen if len(seen) else seen.new_zeros(1)).split(CHUNK)]
        features = torch.cat(chunks)
        return features.new_zeros(len(flat), features.shape[1]).index_copy(0, seen, features[: len(seen)])

    def _pool(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """(B, F, D), (B, F) -> (B, num_features), weights (B, F); the parts of a feature are pooled apart."""
        parts = self.encoder.feature_parts
        if parts == 1:
            return self.pool(features, mask)
        apart = features.unflatten(2, (parts, -1)).transpose(1, 2).flatten(0, 1)
        pooled, weights = self.pool(apart, mask.repeat_interleave(parts, dim=0))
        return pooled.unflatten(0, (-1, parts)).flatten(1), weights.unflatten(0, (-1, parts)).mean(dim=1)

    def _attention(self, weights: Tensor, mask: Tensor) -> Attention:
        """Weights (B, F) of the crops -> weights of the window's frames; the nodes of a frame are not told apart."""
        length, nodes = mask.shape[1], len(self.layout)
        frames = (weights @ self.places[: weights.shape[1]].to(weights.dtype))[:, :length] * mask
        # Crops may be known where landmarks are not; then all frames that are valid count alike.
        frames = torch.where(frames.sum(dim=1, keepdim=True) > 0, frames, mask.to(frames.dtype))
        frames = frames / frames.sum(dim=1, keepdim=True).clamp(min=torch.finfo(frames.dtype).tiny)
        return Attention(nodes=(mask[..., None] / nodes).expand(-1, -1, nodes), frames=frames)


def create_encoder(config: ModelConfig, num_classes: int) -> FrameModel:
    """The frame encoder that ``config.name`` names; its classifier is fresh, whatever weights it starts from."""
    encoder = create_frame_model(config.name.removeprefix(FRAMES_PREFIX), num_classes, image_size=config.frame_size)
    if config.frame_weights is not None:
        encoder.origin = load_weights(encoder, config.frame_weights, with_classifier=False)
    return encoder
