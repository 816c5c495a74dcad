"""How a model is best fitted, where neither the recipe nor the command line says otherwise.

The settings of ``OptimisationConfig`` are those of graphs of landmarks, which are small. Encoders of images have ten to
a hundred times as many parameters, and most of them batch normalisation over crops.
"""

from typing import Any

from stgt.config import FRAME_MODELS, ModelConfig, is_frame_model

#: Of frame encoders: a window is several crops, each of which costs far more than a window of landmarks.
FRAME_SETTINGS = {
    "optimisation.learning_rate": 5e-4,
    "optimisation.weight_decay": 0.05,
    "optimisation.batch_size": 16,
}
#: Where a trunk has weights already, large steps would undo them.
FINE_TUNING_RATE = 2e-4


def recommended_settings(model: str, has_weights: bool = False, alone: bool = True) -> dict[str, Any]:
    """The settings that a model is fitted with by default, where they are not those of ``OptimisationConfig``.

    Args:
        model: ``model.name``.
        has_weights: whether it starts from weights of a trunk, an encoder or a checkpoint.
        alone: whether no other model is fitted with the same settings; an encoder then has its paper's loss.

    Returns:
        Dotted option name -> value.
    """
    if not is_frame_model(model):
        return {}
    settings: dict[str, Any] = dict(FRAME_SETTINGS)
    if has_weights:
        settings["optimisation.learning_rate"] = FINE_TUNING_RATE
    if alone and model in FRAME_MODELS:
        settings["optimisation.loss"] = "paper"
    return settings


def describe_frame_model(config: ModelConfig) -> str:
    """In a sentence what a frame encoder reads of a window; empty for other models."""
    if not is_frame_model(config.name):
        return ""
    crops = "one crop" if config.stream_frames == 1 else f"{config.stream_frames} crops"
    start = f"weights: {config.frame_weights}" if config.frame_weights else "weights from scratch"
    return (
        f"{config.name} reads face crops and no landmarks: {crops} of a window at {config.frame_size} pixels, pooled "
        f"by {config.frame_pool}; {start}"
    )
