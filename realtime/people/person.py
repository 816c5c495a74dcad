"""A face in a frame, a person over time, and what speaks for one being the other's."""

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from stgt.faces.crops import crop_face
from stgt.faces.landmarker import Landmarks

from .likeness import normalised, signature, unlikeness
from .one_euro import OneEuroFilter

#: Likeness, see `unlikeness`. Of 40 people photographed twice, neutral and smiling, all pairs of the same person are
#: below the first, and nine of ten pairs of different people above it.
ALIKE, UNLIKE = 0.35, 0.5

#: Likeness to someone's mean. Nobody who turned the head or laughed was farther than 0.84; others mostly are.
ANOTHER = 1.0

#: Cosines of the head's turn: looks count fully up to the one, and not at all from the other.
STRAIGHT, ASIDE = 0.85, 0.5

#: Seconds over which a look is averaged.
MEMORY_S = 10.0

#: Who is lost for longer is known by their look rather than by their place.
HELD_S = 0.5

#: Intersection over union of two faces that are one.
SAME_PLACE = 0.6

# Costs of taking a face for somebody, as half squared deviations.
STRANGER = 8.0  #: for somebody new
AWAY = 2.0  #: for someone who is away, before the look
NEAR = 1.9  #: a place that costs less is near
FARTHEST = 6.0  #: a jump costs no more: a cut in a film moves people, too
IMPOSSIBLE = 1e6
LIKENESS = 0.2  #: deviation of likeness


class Face:
    """A face before it is known whose it is.

    Attributes:
        landmarks: as they were found.
        box: ``(x0, y0, x1, y1)`` px, around them.
        centre: (2,) px, of the box.
        size: px, the geometric mean of the box's sides.
        trust: 0 to 1, how much its look says: a head that is turned aside looks like nobody.
    """

    def __init__(self, landmarks: Landmarks, rgb: np.ndarray) -> None:
        self.landmarks = landmarks
        self.box = x0, y0, x1, y1 = box_of(landmarks.points)
        self.centre = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
        self.size = max(math.sqrt((x1 - x0) * (y1 - y0)), 1.0)
        straight = float(landmarks.transform[2, 2])  # cosine of the angle between the face and the line to the camera
        self.trust = min(max((straight - ASIDE) / (STRAIGHT - ASIDE), 0.0), 1.0)
        self._rgb: np.ndarray | None = rgb

    @cached_property
    def look(self) -> np.ndarray:
        """Signature; it takes more time than all the rest, and mostly there is no doubt who it is."""
        return signature(crop_face(self._rgb, self.landmarks.points))

    @property
    def was_looked_at(self) -> bool:
        """Whether the look is there."""
        return "look" in vars(self)

    def forget_picture(self) -> None:
        """Let go of the frame."""
        self._rgb = None


@dataclass
class Person:
    """Somebody who is followed, or would be known again.

    Attributes:
        number: their own for ever.
        face: as last seen.
        first_s: when they were first seen.
        last_s: when they were last seen.
        look: what they look like of late, on average.
        latest_look: a head that turns looks like itself a moment before, though not like its average.
        looked_s: when they were last looked at.
        velocity: (2,) px/s.
        doubted_s: since when they have looked like someone else.
        away: whether only their look speaks for them.
        points: smooths landmarks.
        actions: smooths blendshapes. Their second differences, 0.0109 without, become 0.0058, against 0.0059 of a face
            that MediaPipe smooths itself (200 frames of a talking face).
    """

    number: int
    face: Face
    first_s: float
    last_s: float
    look: np.ndarray
    latest_look: np.ndarray
    looked_s: float
    velocity: np.ndarray = field(default_factory=lambda: np.zeros(2))
    doubted_s: float | None = None
    away: bool = False
    points: OneEuroFilter = field(default_factory=OneEuroFilter)
    actions: OneEuroFilter = field(default_factory=lambda: OneEuroFilter(5.0, 4.0))

    def unlikeness(self, face: Face) -> float:
        """How different a face looks from what was seen of them."""
        return min(unlikeness(self.look, face.look), unlikeness(self.latest_look, face.look))

    def is_like_never_before(self, face: Face) -> bool:
        """Whether a face that is followed has become another one, from one look to the next or little by little."""
        if face.trust < 1:
            return False
        return self.unlikeness(face) > UNLIKE or unlikeness(self.look, face.look) > ANOTHER

    def follow(self, face: Face, now_s: float) -> None:
        """The face is theirs."""
        step_s = now_s - self.last_s
        if self.away or step_s > HELD_S:
            self.velocity = np.zeros(2)
            self.points.reset()
            self.actions.reset()
        elif step_s > 0:
            velocity = (face.centre - self.face.centre) / step_s
            self.velocity = 0.5 * self.velocity + 0.5 * np.clip(velocity, -6 * face.size, 6 * face.size)
        self.face, self.last_s, self.away = face, now_s, False
        if face.was_looked_at:
            self.remember_look(now_s)

    def remember_look(self, now_s: float) -> None:
        """What they look like in the newest frame, at ``now_s``, goes into what they look like on average."""
        look, trust = self.face.look, self.face.trust
        # Slowly, where it looks otherwise: light changes, but so does a face when another passes before it.
        share = trust * (1.0 if unlikeness(self.look, look) < ALIKE else 0.2)
        share *= -math.expm1(-min(now_s - self.looked_s, 0.3) / MEMORY_S)
        self.look = normalised(self.look + share * (look - self.look))
        if not self.is_like_never_before(self.face):
            self.latest_look = look
        self.looked_s = now_s

    def leave(self, last_s: float | None = None) -> None:
        """They are away; if given, as if since ``last_s`` and seen for long before."""
        self.away, self.doubted_s = True, None
        if last_s is not None:
            self.first_s, self.last_s = -math.inf, last_s

    def smoothed(self, now_s: float) -> Landmarks:
        """Their landmarks in the newest frame, smoothed over time."""
        landmarks = self.face.landmarks
        return landmarks._replace(
            points=self.points.update(now_s, landmarks.points, 1 / self.face.size),
            blendshapes=self.actions.update(now_s, landmarks.blendshapes),
        )


def distinct(faces: list[Face]) -> list[Face]:
    """The faces, without those that lie on another: two trackers may come to follow one face."""
    kept: list[Face] = []
    for face in faces:
        if all(overlap(face.box, other.box) < SAME_PLACE for other in kept):
            kept.append(face)
    return kept


def box_of(points: np.ndarray) -> tuple[float, float, float, float]:
    """``(x0, y0, x1, y1)`` around ``(V, 2)`` or ``(V, 3)`` points."""
    flat = points[:, :2]
    return (*flat.min(axis=0).tolist(), *flat.max(axis=0).tolist())


def overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Intersection over union of two boxes."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height / (sum(areas) - width * height)


def place_cost(person: Person, face: Face, now_s: float) -> float:
    """Of taking a face for a person, for where it is and how large."""
    if person.away:
        return AWAY
    gap_s = now_s - person.last_s
    size = (person.face.size + face.size) / 2
    wait_s = min(gap_s, 0.5)
    across = face.centre[0] - person.face.centre[0] - person.velocity[0] * wait_s
    down = face.centre[1] - person.face.centre[1] - person.velocity[1] * wait_s
    moved = math.hypot(across, down) / size / (0.12 + 0.8 * gap_s)
    grown = abs(math.log(face.size / person.face.size)) / (0.1 + 0.5 * gap_s)
    return min((moved**2 + grown**2) / 2, FARTHEST)


def look_cost(person: Person, face: Face, now_s: float) -> float:
    """Of taking a face for a person, for what it looks like."""
    unlike = person.unlikeness(face)
    if person.away:
        # Nothing but the look speaks for them; a head turned aside is not enough.
        return (unlike / LIKENESS) ** 2 / 2 if unlike < ALIKE and face.trust > 0 else IMPOSSIBLE
    if now_s - person.last_s > HELD_S and unlike > UNLIKE and face.trust == 1:
        return IMPOSSIBLE  # someone else, who came into the same place
    return face.trust * (unlike / LIKENESS) ** 2 / 2
