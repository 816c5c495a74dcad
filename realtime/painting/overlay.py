"""A `LiveFrame` as a picture: the frame that was analysed, what was found on it, and timelines beside or below it."""

import math
import time
from collections.abc import Sequence

import cv2
import numpy as np

from stgt.faces.drawing import mesh_connections
from stgt.graphs.layout import NodeLayout

from ..frames import FaceState, LiveFace, LiveFrame
from ..smoothing import ExponentialSmoother
from .arrangement import Arrangement, Timelines, arrange
from .cards import CardContent, draw_flat_card, draw_foot, draw_ground, draw_large_card, draw_small_card
from .face_marks import MeshStyle, draw_corners, draw_face
from .hints import draw_corner_note
from .lettering import LINE, MUTED, Box, label_colour
from .tags import Tag, TagPlaces, draw_tag, tag_size
from .timeline import Timeline

_FIGURES_EVERY_S = 0.5  # figures that change thirty times a second cannot be read
_ATTENTION_S = 0.4  # time constant with which the colours of attention change
_AWAY_S = 2.0  # how long the card of someone who has left is kept before someone else may take it


class Overlay:
    """Paints `LiveFrame`\\ s. It remembers what the timelines show.

    Args:
        labels: the K label names.
        image_size: ``(width, height)`` of the frames.
        layout: the nodes of the model.
        faces: how many people there may be at once, see `LiveSession`.
        mesh: how faces are drawn, at first.
        timelines: where timelines are, at first.
        figures: write how fast frames are analysed; what is not read live has no such figures.

    Attributes:
        mesh: how faces are drawn.
        timelines: where timelines are; set it by `arrange`.
        at: where everything lies.
        occupied: what should stay in sight, faces, tags and figures, in pixels of the frame as it is shown.
    """

    def __init__(
        self,
        labels: Sequence[str],
        image_size: tuple[int, int],
        layout: NodeLayout,
        *,
        faces: int = 1,
        mesh: MeshStyle | str = MeshStyle.MESH,
        timelines: Timelines | str = Timelines.BESIDE,
        figures: bool = True,
    ) -> None:
        self.labels = tuple(labels)
        self.layout = layout
        self.mesh = MeshStyle(mesh)
        self._frame_size = image_size
        self._faces = faces
        self._slots: list[int | None] = [None] * faces
        self._last: dict[int, LiveFace] = {}
        self._seen_s: dict[int, float] = {}
        self._timelines: dict[int, Timeline] = {}
        self._attention: dict[int, ExponentialSmoother] = {}
        self._tags = TagPlaces()
        self._time_s = -math.inf
        self._has_figures = figures
        self._figures, self._figures_s = "", -math.inf
        self.occupied: list[Box] = []
        self.arrange(timelines)
        mesh_connections()  # read now, and not while the first frame waits

    @property
    def image_size(self) -> tuple[int, int]:
        """``(width, height)`` of the painted pictures as they are arranged now, both even."""
        return self.at.size

    def arrange(self, timelines: Timelines | str) -> None:
        """Put the timelines somewhere else."""
        self.timelines = Timelines(timelines)
        self.at: Arrangement = arrange(self._frame_size, self.timelines, self._faces, self.labels)
        self._ground = draw_ground(self.labels, self.at)

    def paint(self, live: LiveFrame) -> np.ndarray:
        """The frame as ``(H, W, 3)`` uint8 RGB of `image_size`; the frame itself is not changed."""
        if live.rgb.shape[1::-1] != self._frame_size:
            self._frame_size = live.rgb.shape[1::-1]
            self.arrange(self.timelines)
        self._remember(live)
        canvas = self._ground.copy()
        self._paint_frame(canvas, live)
        if self.at.cards:
            self._paint_cards(canvas, live)
        return canvas

    def _paint_frame(self, canvas: np.ndarray, live: LiveFrame) -> None:
        left, top, right, bottom = self.at.picture
        picture = canvas[top:bottom, left:right]
        _fit(live.rgb, picture)
        scale = np.array([right - left, bottom - top]) / live.rgb.shape[1::-1]
        if not live.faces:
            cv2.convertScaleAbs(picture, picture, alpha=0.55)  # dim: nothing is read here
        for face in live.faces:
            if face.landmarks is not None and self.mesh is not MeshStyle.OFF:
                points = face.landmarks.points[:, :2] * scale
                draw_face(picture, points, self.mesh, self.layout, self._calm_attention(live.timestamp_s, face))
        self._paint_tags(picture, live, scale)
        self._note_figures(live)
        if self.at.foot is None:
            here = [] if live.faces else [FaceState.NO_FACE.value]
            note = " · ".join([*here, *([self._figures] if self._figures else [])])
            self.occupied.append(draw_corner_note(picture, note, self.at, self.occupied))

    def _paint_tags(self, picture: np.ndarray, live: LiveFrame, scale: np.ndarray) -> None:
        height, width = picture.shape[:2]
        margin = self.at.px(6)
        boxes: dict[int, Box] = {}
        tags: dict[int, Tag] = {}
        for face in live.faces:
            x0, y0, x1, y1 = np.array(face.box) * [*scale, *scale]
            reach = 0.06 * max(x1 - x0, y1 - y0)  # the box keeps clear of chin and brows
            boxes[face.face] = tuple(round(value) for value in (x0 - reach, y0 - reach, x1 + reach, y1 + reach))
            tags[face.face] = self._tag(face)
            colour = MUTED if face.landmarks is None else tags[face.face].colour
            draw_corners(picture, boxes[face.face], colour, max(2, self.at.px(2)))
        size = self.at.px(14)
        sizes = {face: tag_size(tag, size) for face, tag in tags.items()}
        bounds = (margin, margin, width - margin, height - margin)
        self.occupied = list(boxes.values())
        for face, corner in self._tags.place(sizes, boxes, bounds, margin).items():
            draw_tag(picture, corner, tags[face], size)
            self.occupied.append((*corner, corner[0] + sizes[face][0], corner[1] + sizes[face][1]))

    def _tag(self, face: LiveFace) -> Tag:
        text, figure = self._said(face)
        progress = None
        if face.state is FaceState.WARMING_UP:
            progress = face.prediction.valid_share if face.prediction is not None else 0.0
        return Tag(face.face, text, figure, self._colour(face), progress, face.landmarks is None)

    def _paint_cards(self, canvas: np.ndarray, live: LiveFrame) -> None:
        for box, face in zip(self.at.cards, self._slots, strict=False):
            card = self._card(face, live)
            if self.at.in_rows:
                draw_large_card(canvas, box, card, live.timestamp_s, self.labels, self.at)
            elif self.timelines is Timelines.BELOW:
                draw_flat_card(canvas, box, card, live.timestamp_s, self.at)
            else:
                draw_small_card(canvas, box, card, live.timestamp_s, self.at)
        hidden = max(0, len(live.faces) - len(self.at.cards))
        figures = self._figures + (f" · {hidden} more faces" if hidden else "")
        draw_foot(canvas, figures, _clock(live.timestamp_s), self.at)

    def _card(self, number: int | None, live: LiveFrame) -> CardContent:
        unknown = np.full(len(self.labels), np.nan)
        here = {face.face for face in live.faces}
        timeline = self._timelines.get(self._slot_key(number)) if number is not None else None
        if number is None or number not in here:
            title = FaceState.NO_FACE.value if number is None else "left"
            title = FaceState.NO_FACE.value if self._faces == 1 else title
            return CardContent(
                number if self._faces > 1 else None, title, "", None, LINE, None, unknown, timeline, quiet=True
            )
        face = self._last[number]
        text, figure = self._said(face)
        leader = self.labels.index(face.label) if face.label in self.labels else None
        share = face.confidence if math.isfinite(face.confidence) else None
        if face.state is FaceState.WARMING_UP and face.prediction is not None:
            share = face.prediction.valid_share
        return CardContent(
            *(number, text, figure, share, self._colour(face), leader, face.probabilities, timeline),
            quiet=face.landmarks is None,
        )

    def _said(self, face: LiveFace) -> tuple[str, str]:
        """The label or the state, and the confidence in words."""
        known = math.isfinite(face.confidence)
        text = face.label if face.label in self.labels else face.state.value
        return text, f"{100 * face.confidence:.0f} %" if known else ""

    def _colour(self, face: LiveFace) -> tuple[int, int, int]:
        return label_colour(self.labels, face.label)

    def _remember(self, live: LiveFrame) -> None:
        if live.timestamp_s < self._time_s:  # another recording has begun
            self._slots = [None] * self._faces
            for memory in (self._last, self._seen_s, self._timelines, self._attention):
                memory.clear()
        self._time_s = live.timestamp_s
        for face in live.faces:
            self._last[face.face], self._seen_s[face.face] = face, live.timestamp_s
            key = self._slot_key(face.face)
            timeline = self._timelines.setdefault(key, Timeline(len(self.labels)))
            timeline.push(live.timestamp_s, face.probabilities)
        self._assign_slots(live)
        span_s = next(iter(self._timelines.values())).span_s if self._timelines else 0.0
        for face in [face for face, seen_s in self._seen_s.items() if live.timestamp_s - seen_s > span_s]:
            if face not in self._slots:
                for memory in (self._last, self._seen_s, self._attention):
                    memory.pop(face, None)
                if self._faces > 1:
                    self._timelines.pop(face, None)

    def _slot_key(self, face: int) -> int:
        """Whose timeline: with one place, that of whoever sits there."""
        return face if self._faces > 1 else 0

    def _assign_slots(self, live: LiveFrame) -> None:
        """Everybody keeps a card; newcomers take a free one, or that of whoever has been away for longest."""
        for face in live.faces:
            if face.face in self._slots:
                continue
            here = {other.face for other in live.faces}
            away = [
                (-math.inf if held is None else self._seen_s.get(held, -math.inf), place)
                for place, held in enumerate(self._slots)
                if held not in here
            ]
            if away:
                self._slots[min(away)[1]] = face.face
        for place, held in enumerate(self._slots):
            if held is not None and live.timestamp_s - self._seen_s.get(held, -math.inf) > _AWAY_S + 6.0:
                self._slots[place] = None

    def _calm_attention(self, time_s: float, face: LiveFace) -> np.ndarray | None:
        if face.attention is None:
            return None
        smoother = self._attention.setdefault(face.face, ExponentialSmoother(_ATTENTION_S))
        return smoother.update(time_s, np.asarray(face.attention, np.float64))

    def _note_figures(self, live: LiveFrame) -> None:
        now_s = time.monotonic()
        if not self._has_figures or now_s - self._figures_s < _FIGURES_EVERY_S:
            return
        self._figures_s = now_s
        figures = [f"{live.frame_rate:.0f} fps"] if live.frame_rate else []
        figures += [f"{1000 * live.latency_s:.0f} ms"]
        figures += [f"{live.dropped} passed over"] if live.dropped else []
        self._figures = " · ".join(figures)


def _fit(rgb: np.ndarray, target: np.ndarray) -> None:
    """The frame, as large as ``target``, written there."""
    height, width = target.shape[:2]
    if rgb.shape[:2] == (height, width):
        target[...] = rgb
    else:
        smaller = width < rgb.shape[1]
        target[...] = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)


def _clock(time_s: float) -> str:
    minutes, seconds = divmod(int(time_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
