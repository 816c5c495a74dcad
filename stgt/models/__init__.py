"""Models that read windows of face graphs; importing the package registers all of them."""

from stgt.models import landmark_lstm, landmark_transformer, stgcn, stgcnpp, stgt
from stgt.models.registry import Attention, ExpressionModel, create_model, list_models, register_model

__all__ = [
    "Attention",
    "ExpressionModel",
    "create_model",
    "landmark_lstm",
    "landmark_transformer",
    "list_models",
    "register_model",
    "stgcn",
    "stgcnpp",
    "stgt",
]
