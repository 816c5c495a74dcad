"""What is painted on a face: its mesh or node graph, its box, and the tag that names it."""

from functools import lru_cache

import cv2
import numpy as np

from stgt.evaluation.plots import ATTENTION_COLOURS, strongest_attention, times_uniform
from stgt.faces.drawing import MESH_COLOUR, draw_mesh, mesh_connections
from stgt.graphs.alignment import load_reference_face
from stgt.graphs.layout import NodeLayout

from .circle import Circle
from .lettering import Colour

_BITS = 4  # fixed-point coordinates: 1/16 pixel keeps a slow mesh from jumping between pixels
_SHADES = 8  # colours that attention is drawn in: lines of one colour are drawn at once
_NEAREST = 3  # nodes that a landmark between them takes its attention from
_DARK = (10, 12, 15)


class MeshStyle(Circle):
    """How a face is drawn."""

    MESH = "mesh"
    """The web of all landmarks."""
    GRAPH = "graph"
    """The nodes and edges that the model reads."""
    OFF = "off"


def attention_strength(attention: np.ndarray) -> np.ndarray:
    """(V,) attention -> (V,) from 0 (even attention or less) to 1 (the most of this face)."""
    return np.clip((times_uniform(attention) - 1) / (strongest_attention([attention]) - 1), 0, 1)


def draw_face(
    picture: np.ndarray, points: np.ndarray, style: MeshStyle, layout: NodeLayout, attention: np.ndarray | None = None
) -> None:
    """Draw one face, in place.

    Args:
        picture: ``(H, W, 3)`` uint8 RGB.
        points: ``(478, >=2)`` landmarks in its pixels; they may lie outside of it.
        style: what is drawn.
        layout: the model's V nodes.
        attention: (V,) that each node gets; grey where it is even or less, vermilion where it is strongest. None: the
            colours of the parts of a face.
    """
    if style is MeshStyle.OFF:
        return
    flat = np.asarray(points, np.float64)[:, :2]
    low, high = flat.min(axis=0), flat.max(axis=0)
    limits = picture.shape[1::-1]
    left, top = np.clip(np.floor(low) - 8, 0, limits).astype(int)
    right, bottom = np.clip(np.ceil(high) + 9, 0, limits).astype(int)
    if right <= left or bottom <= top:
        return
    region, flat, size = picture[top:bottom, left:right], flat - (left, top), float((high - low).max())
    if style is MeshStyle.GRAPH:
        _draw_graph(region, flat[layout.landmarks], layout, attention, size)
    elif attention is None:
        region[...] = draw_mesh(region, flat)
    else:
        _draw_web(region, flat, _spread(layout) @ attention_strength(attention), size)


def draw_corners(picture: np.ndarray, box: tuple[float, float, float, float], colour: Colour, width: int) -> None:
    """The four corners of a box, in place, with a dark rim that keeps them visible on light skin and walls."""
    left, top, right, bottom = (round(value) for value in box)
    reach = max(4, round(0.16 * min(right - left, bottom - top)))
    lines = [
        np.array([(x, y + dy), (x, y), (x + dx, y)], np.int32)
        for x, dx in ((left, reach), (right, -reach))
        for y, dy in ((top, reach), (bottom, -reach))
    ]
    for stroke, shade in ((width + 2, _DARK), (width, colour)):
        cv2.polylines(picture, lines, False, shade, stroke, cv2.LINE_AA)


def _draw_web(region: np.ndarray, points: np.ndarray, strength: np.ndarray, size: float) -> None:
    """The mesh in the colours of attention: a faint web, features and what is looked at above it."""
    connections = mesh_connections()
    web = region.copy()
    thin, stroke = max(1, round(size / 500)), max(1, round(size / 220))
    _draw_shaded(web, points, connections["mesh"], strength, thin)
    # On a small face the lines lie so close that they would hide it.
    opacity = 0.4 * float(np.clip(size / 350, 0.4, 1.0))
    _blend(region, web, opacity)
    strong = region.copy()
    edges = connections["mesh"]
    looked_at = edges[strength[edges].mean(axis=1) > 0.3]
    _draw_shaded(strong, points, looked_at, strength, thin)
    features = np.concatenate([connections[name] for name in ("oval", "eyes", "brows", "lips")])
    _draw_shaded(strong, points, features, strength, stroke)
    _blend(region, strong, 0.75)


def _draw_graph(
    region: np.ndarray, nodes: np.ndarray, layout: NodeLayout, attention: np.ndarray | None, size: float
) -> None:
    strength = None if attention is None else attention_strength(attention)
    drawn = region.copy()
    stroke = max(1, round(size / 260))
    _draw_shaded(drawn, nodes, layout.edges, strength, stroke)
    _blend(region, drawn, 0.55)
    rounded = _fixed(nodes)
    base = float(np.clip(size / 110, 1.2, 4.0)) * (68 / len(layout)) ** 0.5
    order = range(len(nodes)) if strength is None else np.argsort(strength)  # the strongest on top
    shades = _shade_numbers(strength) if strength is not None else None
    for node in order:
        colour = MESH_COLOUR if shades is None else _shades()[shades[node]]
        radius = base * (1 if strength is None else 0.75 + 1.1 * strength[node])
        centre = tuple(int(value) for value in rounded[node])
        cv2.circle(region, centre, round((radius + 0.8) * 2**_BITS), _DARK, -1, cv2.LINE_AA, _BITS)
        cv2.circle(region, centre, round(radius * 2**_BITS), colour, -1, cv2.LINE_AA, _BITS)


def _draw_shaded(
    picture: np.ndarray, points: np.ndarray, edges: np.ndarray, strength: np.ndarray | None, width: int
) -> None:
    segments = _fixed(points[edges])
    if strength is None:
        cv2.polylines(picture, list(segments), False, MESH_COLOUR, width, cv2.LINE_AA, _BITS)
        return
    numbers = _shade_numbers(strength[edges].mean(axis=1))
    for number, colour in enumerate(_shades()):
        chosen = segments[numbers == number]
        if len(chosen):
            cv2.polylines(picture, list(chosen), False, colour, width, cv2.LINE_AA, _BITS)


def _shade_numbers(strength: np.ndarray) -> np.ndarray:
    return np.minimum((strength * _SHADES).astype(int), _SHADES - 1)


@lru_cache(maxsize=1)
def _shades() -> tuple[Colour, ...]:
    shares = np.linspace(0, 1, _SHADES)
    return tuple(tuple(round(255 * part) for part in ATTENTION_COLOURS(share)[:3]) for share in shares)


_spreads: dict[str, np.ndarray] = {}


def _spread(layout: NodeLayout) -> np.ndarray:
    """(478, V): what a landmark takes from each node, by inverse squared distance on the reference face."""
    if layout.name not in _spreads:
        reference = load_reference_face().points
        distances = ((reference[:, None] - layout.reference[None]) ** 2).sum(axis=-1)
        closest = np.argsort(distances, axis=1)[:, :_NEAREST]
        weights = np.zeros_like(distances)
        rows = np.arange(len(reference))[:, None]
        weights[rows, closest] = 1 / (distances[rows, closest] + 1e-4)
        _spreads[layout.name] = weights / weights.sum(axis=1, keepdims=True)
    return _spreads[layout.name]


def _fixed(points: np.ndarray) -> np.ndarray:
    return np.round(points * 2**_BITS).astype(np.int32)


def _blend(below: np.ndarray, above: np.ndarray, opacity: float) -> None:
    below[...] = cv2.addWeighted(above, opacity, below, 1.0 - opacity, 0.0)
