"""What of a run's settings decides how rare classes and windows were treated, in words: it stands beside the scores."""

from collections.abc import Mapping
from typing import Any

from stgt.terms import PAPER, parse_loss, parse_targets

_LOSSES = {
    "cross_entropy": "cross entropy",
    "class_balanced": "class-balanced loss (Cui et al. 2019, beta {class_balance})",
    "logit_adjusted": "logit-adjusted loss (Menon et al. 2021, tau {logit_adjustment})",
    "focal": "focal loss (Lin et al. 2017, gamma {gamma:g})",
    "additive_angular_margin": "additive angular margin (Deng et al. 2019, margin {margin:g}, scale {scale:g})",
    "kullback_leibler": "Kullback-Leibler divergence",
    "jeffreys": "Jeffreys divergence",
    "multi_label": "any of several classes accepted (Barsoum et al. 2016)",
    "branches": "cross entropy of every branch",
}
#: The settings that parameters of losses stand for.
_SETTINGS = {"beta": "class_balance", "tau": "logit_adjustment"}
#: What a power of the inverse frequency is called.
_CLASS_WEIGHTS = {
    0.0: "with all clips weighed alike",
    0.5: "with classes weighed by inverse square-root frequency",
    1.0: "with classes weighed by inverse frequency",
}
_TARGETS = {
    "majority": "majority votes as targets",
    "multi_label": "all classes with enough votes as targets",
    "draw": "a class drawn from the votes in each epoch as target",
    "distribution": "shares of the classes as targets",
    "class_mean": "labels smoothed by what their class is mixed up with",
    "estimated": "shares of the classes estimated from similar clips as targets",
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
    fitted = [*_loss(optimisation), *_targets(optimisation), *_drawn(optimisation, config.get("dataset_weights") or "")]
    return [
        *(["Trained with " + ", ".join(fitted) + "."] if fitted else []),
        *_windows(window),
    ]


def _loss(settings: Mapping[str, Any]) -> list[str]:
    text = settings.get("loss")
    if text == PAPER:
        return ["the loss of the encoder's paper"]
    if not text:
        return []
    first, *further = parse_loss(text)
    given = {_SETTINGS.get(key, key): value for key, value in first.parameters.items() if value is not None}
    said = _LOSSES[first.name].format(**{**settings, **given})
    if first.name == "cross_entropy":
        power = given.get("class_weights", 0.5 if settings.get("class_weights") else 0.0)
        said += " " + _CLASS_WEIGHTS.get(power, f"with classes weighed by inverse frequency to the power {power:g}")
    return [said, *(f"{term.weight:g} times {term.name.replace('_', ' ')} loss" for term in further)]


def _targets(settings: Mapping[str, Any]) -> list[str]:
    text = settings.get("targets")
    said = _TARGETS.get(parse_targets(text).name) if text else None
    return [said] if said else []


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
