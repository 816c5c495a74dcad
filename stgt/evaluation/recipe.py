"""What of a run's settings decides how rare classes and windows were treated, in words: it stands beside the scores."""

from collections.abc import Mapping
from typing import Any

_LOSSES = {
    "cross_entropy": "cross entropy",
    "class_balanced": "class-balanced loss (Cui et al. 2019, beta {class_balance})",
    "logit_adjusted": "logit-adjusted loss (Menon et al. 2021, tau {logit_adjustment})",
}
_SAMPLINGS = {
    "natural": "every clip drawn once an epoch",
    "balanced": "every class drawn as often as any other",
    "square_root": "classes drawn by the square root of their frequency",
}
_TRAINING = {
    "random": "a random window of each clip, another one in each epoch",
    "centre": "the middle window of each clip",
    "uniform": "one window stretched over the whole clip",
}
_TESTING = {
    "dense": "all windows of a clip averaged, one every {hop_s} s",
    "centre": "the middle window of a clip",
    "uniform": "one window stretched over the whole clip",
}
_SHORT = {
    "mask": "are followed by frames without a face",
    "hold": "hold their last face",
    "loop": "begin again",
}


def recipe_sentences(config: Mapping[str, Any]) -> list[str]:
    """Sentences on the loss, on what was drawn, and on windows; only what ``config`` says, so empty for other configs.

    Args:
        config: the settings of a training, nested as ``stgt.config.to_dict`` gives them.
    """
    optimisation, window = config.get("optimisation") or {}, config.get("window") or {}
    fitted = [*_loss(optimisation), *_drawn(optimisation, config.get("dataset_weights") or "")]
    return [
        *(["Trained with " + ", ".join(fitted) + "."] if fitted else []),
        *_windows(window),
    ]


def _loss(settings: Mapping[str, Any]) -> list[str]:
    loss = settings.get("loss")
    if loss not in _LOSSES:
        return []
    text = _LOSSES[loss].format(**settings)
    if loss == "cross_entropy":
        weighed = settings.get("class_weights")
        text += " with classes weighed by inverse square-root frequency" if weighed else " with all clips weighed alike"
    return [text]


def _drawn(settings: Mapping[str, Any], dataset_weights: str) -> list[str]:
    sampling = _SAMPLINGS.get(settings.get("sampling", ""))
    return [*([sampling] if sampling else []), *([f"datasets drawn as {dataset_weights}"] if dataset_weights else [])]


def _windows(settings: Mapping[str, Any]) -> list[str]:
    training, testing, short = (settings.get(key) for key in ("training", "testing", "short"))
    if training not in _TRAINING or testing not in _TESTING:
        return []
    text = f"Training saw {_TRAINING[training]}; a score is from {_TESTING[testing].format(**settings)}"
    views = settings.get("views", 1)
    if views > 1:
        text += f", {views} views averaged"
    if short in _SHORT:
        text += f"; clips shorter than a window {_SHORT[short]}"
    return [text + "."]
