"""The frame encoders by name; whatever name they do not have is looked for among timm's models."""

from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path

from stgt.errors import StgtError
from stgt.models.frames.base import FrameModel

_MODELS: dict[str, type[FrameModel]] = {}


def register_frame_model(name: str) -> Callable[[type[FrameModel]], type[FrameModel]]:
    """Decorator: enter an encoder's class under ``name``."""

    def register(model: type[FrameModel]) -> type[FrameModel]:
        if name in _MODELS:
            raise ValueError(f"a frame encoder named {name!r} is registered already")
        model.name = name
        _MODELS[name] = model
        return model

    return register


def list_frame_models() -> list[str]:
    """Names of all encoders with a paper on facial expressions, sorted; timm's names come on top."""
    return sorted(_MODELS)


def create_frame_model(
    name: str,
    num_classes: int,
    *,
    image_size: int = 112,
    dropout: float | None = None,
    weights: str | Path | None = None,
) -> FrameModel:
    """A frame encoder.

    Args:
        name: one of `list_frame_models`, or the name of any model of timm.
        num_classes: K.
        image_size: side in pixels at which it reads images.
        dropout: probability before the classifier; None: the paper's.
        weights: None (from scratch), ``"timm"``, or a safetensors file; see `FrameModel`.

    Raises:
        StgtError: an unknown name, a setting that cannot be, or weights that cannot be had or do not fit.
    """
    import timm

    settings = {"image_size": image_size, "dropout": dropout, "weights": weights}
    if name in _MODELS:
        return _MODELS[name](num_classes, **settings)
    if timm.is_model(name):
        from stgt.models.frames.timm_backbone import TimmBackbone

        return TimmBackbone(name, num_classes, **settings)
    known = {known.lower(): known for known in (*timm.list_models(), *_MODELS)}
    near = [known[match] for match in get_close_matches(name.lower(), known, n=3, cutoff=0.5)]
    hint = f"did you mean {', '.join(near)}?" if near else f"the encoders are {', '.join(list_frame_models())}"
    raise StgtError(f"unknown frame encoder {name!r}, which is no model of timm either; {hint}")
