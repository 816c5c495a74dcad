"""What a server says of itself: its model and its limits, and that it is alive."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel

from stgt import __version__

if TYPE_CHECKING:
    from .service import Service

router = APIRouter()

_GENERATED = "Generated faces alone: 8,000 synthetic people in motion, and not one photograph or video of a person."
_UNKNOWN = "It does not say what it was trained on."


class Health(BaseModel):
    """The server is alive."""

    status: Literal["ok"] = "ok"


class Layout(BaseModel):
    """The graph of a face: its nodes and the pairs of them that are joined."""

    name: str
    nodes: int
    edges: list[tuple[int, int]]


class ModelCard(BaseModel):
    """The model, what it says, and what the server takes."""

    version: str
    checkpoint: str
    labels: list[str]
    colours: dict[str, str]
    window_s: float
    frame_rate: float
    hop_s: float
    layout: Layout
    engine: str
    device: str
    min_confidence: float
    trained_on: str
    limits: dict[str, float | int]


@router.get("/healthz", tags=["about"])
async def healthz() -> Health:
    """Whether the server is alive; the only address that needs no token."""
    return Health()


@router.get("/api/model", tags=["about"])
async def model(request: Request) -> ModelCard:
    """The model, what it can say, and what the server takes."""
    return request.app.state.model_card


def model_card(service: "Service") -> ModelCard:
    """What a service says of itself. Made at the start: what it imports would keep visitors waiting."""
    from stgt.evaluation.plots import PALETTE

    reader = service.reader
    layout = reader.layout
    return ModelCard(
        version=__version__,
        checkpoint=Path(service.checkpoint).name,
        labels=list(reader.labels),
        colours={label: PALETTE[index % len(PALETTE)] for index, label in enumerate(reader.labels)},
        window_s=reader.window.duration_s,
        frame_rate=reader.window.frame_rate,
        hop_s=reader.window.hop_s,
        layout=Layout(name=layout.name, nodes=len(layout), edges=layout.edges.tolist()),
        engine=reader.engine.name,
        device=str(reader.device),
        min_confidence=reader.min_confidence,
        trained_on=trained_on(service.checkpoint),
        limits=service.limits.public(),
    )


def trained_on(checkpoint: str) -> str:
    """What a model was trained on, for those who read what it says."""
    from stgt.models.checkpoint import PRETRAINED

    if checkpoint == PRETRAINED:
        return _GENERATED
    try:
        description: Any = json.loads(Path(checkpoint).with_suffix(".json").read_text(encoding="utf-8"))
        return f"The dataset {description['dataset']}."
    except (OSError, ValueError, KeyError, TypeError):
        return _UNKNOWN
