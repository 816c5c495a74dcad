"""Who is who: numbers that stay with people while they cross, are hidden for a moment, or leave and come back."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from stgt.faces.crops import crop_face
from stgt.faces.landmarker import Landmarks

from .likeness import normalised, signature, unlikeness
from .one_euro import OneEuroFilter

#: Likeness, see `unlikeness`. Of 40 people photographed twice, neutral and smiling, all pairs of the same person are
#: below the first and nine of ten pairs of different people above it; in 100 s of one talking face, no frame is farther
#: than 0.31 from the mean of all.
ALIKE, UNLIKE = 0.35, 0.5

_FOLLOWED_S = 1.5  # who was seen so recently is looked for near the place where they would be by now
_HELD_S = 0.5  # for so long nobody else takes the place of who was lost
_DOUBTED_S = 0.7  # who looks like someone else for so long is someone else
_FORGOTTEN_S = 600.0  # who has been away for longer is not known again
_REMEMBERED = 32  # people away, at most
_STRANGER = 8.0  # cost of taking a face for somebody new; the costs below are those of half squared deviations
_AWAY = 2.0  # cost of taking it for someone who is away
_FARTHEST = 6.0  # a jump costs no more: a cut in a film moves people, too
_LIKENESS = 0.2  # deviation of likeness
_IMPOSSIBLE = 1e6
_MEMORY_S = 10.0  # over which a look is averaged
_STRAIGHT, _ASIDE = (
    0.85,
    0.5,
)  # cosines of the head's turn: up to the one looks count fully, beyond the other not at all
_SAME_PLACE = 0.6  # intersection over union of two faces that are one


class Sighting(NamedTuple):
    """A person in a frame: their number, what was seen, and the face's box ``(x0, y0, x1, y1)`` in pixels."""

    person: int
    landmarks: Landmarks
    box: tuple[float, float, float, float]


class _Face(NamedTuple):
    """A face before it is known whose it is."""

    landmarks: Landmarks
    box: tuple[float, float, float, float]
    centre: np.ndarray  # (2,) px
    size: float  # px, the geometric mean of the box's sides
    look: np.ndarray  # signature
    trust: float  # 0 to 1, how much the look says: a head that is turned aside looks like nobody


@dataclass
class _Person:
    number: int
    face: _Face
    last_s: float
    look: np.ndarray
    velocity: np.ndarray = field(default_factory=lambda: np.zeros(2))  # px/s
    doubted_s: float | None = None  # since when they have looked like someone else
    away: bool = False
    points: OneEuroFilter = field(default_factory=OneEuroFilter)
    # Jitter of blendshapes against that of a face that MediaPipe smooths, as for the points: 0.0059 against 0.0059.
    actions: OneEuroFilter = field(default_factory=lambda: OneEuroFilter(3.5, 8.0))


class People:
    """Gives every face of successive frames the number of its person.

    Faces are assigned to people so that the sum of costs is least (Hungarian method): how far a face is from where its
    person would be by now at constant velocity, how much it has grown or shrunk, and how unlike it is to what was
    seen of the person before (`stgt.realtime.likeness`). Someone who was away is known by their look alone. Numbers
    count from 0 and are never given twice; memory is bounded.

    Args:
        most: people that are followed at once. Where there are more, those already known are kept, then the largest.
        smooth: smooth landmarks and blendshapes over time, for each person, with a One Euro filter.
    """

    def __init__(self, most: int = 1, smooth: bool = False) -> None:
        self.most = most
        self._smooth = smooth
        self._next = 0
        self._people: dict[int, _Person] = {}
        self._now_s = -math.inf

    @property
    def known(self) -> frozenset[int]:
        """Numbers of the people who would be known again."""
        return frozenset(self._people)

    def update(self, timestamp_s: float, found: Sequence[Landmarks], rgb: np.ndarray) -> list[Sighting]:
        """Say who is in the next frame; in the order of their numbers.

        Args:
            timestamp_s: seconds. If it runs backwards, another recording has begun: people are then known by looks.
            found: the faces of the frame, in any order.
            rgb: ``(H, W, 3)`` uint8, the frame.
        """
        if timestamp_s < self._now_s:
            self._part(timestamp_s)
        self._now_s = timestamp_s
        self._forget(timestamp_s)
        faces = _distinct([_describe(landmarks, rgb) for landmarks in found])
        seen = self._assign(timestamp_s, faces)
        self._admit(timestamp_s, faces, seen)
        return [self._sighting(timestamp_s, self._people[number]) for number in sorted(seen)]

    def _part(self, timestamp_s: float) -> None:
        """Everyone is away, as if the recording had ended long ago."""
        for person in self._people.values():
            person.away, person.last_s, person.doubted_s = True, timestamp_s - _FOLLOWED_S, None

    def _assign(self, now_s: float, faces: list[_Face]) -> dict[int, int]:
        """Number of the person -> index of the face, of those who are known."""
        if not (faces and self._people):
            return {}
        from scipy.optimize import linear_sum_assignment

        people = list(self._people.values())
        costs = np.array(
            [[_cost(person, face, now_s) for person in people] + [_STRANGER] * len(faces) for face in faces]
        )
        assigned = {}
        for index, column in zip(*linear_sum_assignment(costs), strict=True):
            if column < len(people) and self._is_believed(people[column], faces[index], now_s):
                assigned[people[column].number] = int(index)
        # Back from away there may be more than can be followed: who was here a moment ago stays, then the largest.
        order = sorted(assigned, key=lambda number: (self._people[number].away, -faces[assigned[number]].size, number))
        kept = {number: assigned[number] for number in order[: self.most]}
        for number, index in kept.items():
            self._follow(self._people[number], faces[index], now_s)
        return kept

    def _is_believed(self, person: _Person, face: _Face, now_s: float) -> bool:
        """Whether a face in the right place is still the same person's; doubts must last to count."""
        if face.trust < 1 or unlikeness(person.look, face.look) < UNLIKE:
            person.doubted_s = person.doubted_s if face.trust < 1 else None
            return True
        person.doubted_s = now_s if person.doubted_s is None else person.doubted_s
        if now_s - person.doubted_s < _DOUBTED_S:
            return True
        person.away, person.doubted_s = True, None
        return False

    def _follow(self, person: _Person, face: _Face, now_s: float) -> None:
        step_s = now_s - person.last_s
        if person.away or step_s > _FOLLOWED_S:
            person.velocity = np.zeros(2)
        elif step_s > 0:
            velocity = (face.centre - person.face.centre) / step_s
            person.velocity = 0.5 * person.velocity + 0.5 * np.clip(velocity, -6 * face.size, 6 * face.size)
        alike = unlikeness(person.look, face.look) < ALIKE
        # Slowly, where it looks otherwise: light changes, but so does a face when another passes before it.
        share = -math.expm1(-min(step_s, 0.2) / _MEMORY_S) * face.trust * (1.0 if alike else 0.2)
        person.look = normalised(person.look + share * (face.look - person.look))
        person.face, person.last_s, person.away = face, now_s, False

    def _admit(self, now_s: float, faces: list[_Face], seen: dict[int, int]) -> None:
        """Give numbers to those whom nobody knows, the largest first, while there is room."""
        held = sum(
            not person.away and number not in seen and now_s - person.last_s <= _HELD_S
            for number, person in self._people.items()
        )
        room = self.most - len(seen) - held
        strangers = sorted(set(range(len(faces))) - set(seen.values()), key=lambda index: (-faces[index].size, index))
        for index in strangers[: max(room, 0)]:
            face = faces[index]
            self._people[self._next] = _Person(self._next, face, now_s, face.look)
            seen[self._next] = index
            self._next += 1

    def _forget(self, now_s: float) -> None:
        for person in self._people.values():
            person.away = person.away or now_s - person.last_s > _FOLLOWED_S
        gone = sorted((person for person in self._people.values() if person.away), key=lambda person: person.last_s)
        for index, person in enumerate(gone):
            if now_s - person.last_s > _FORGOTTEN_S or index < len(gone) - _REMEMBERED:
                del self._people[person.number]

    def _sighting(self, now_s: float, person: _Person) -> Sighting:
        landmarks = person.face.landmarks
        if self._smooth:
            landmarks = landmarks._replace(
                points=person.points.update(now_s, landmarks.points, 1 / max(person.face.size, 1.0)),
                blendshapes=person.actions.update(now_s, landmarks.blendshapes),
            )
        return Sighting(person.number, landmarks, person.face.box)


def _describe(landmarks: Landmarks, rgb: np.ndarray) -> _Face:
    low, high = landmarks.points[:, :2].min(axis=0).astype(float), landmarks.points[:, :2].max(axis=0).astype(float)
    straight = float(landmarks.transform[2, 2])  # cosine of the angle between the face and the line to the camera
    return _Face(
        landmarks=landmarks,
        box=(*low.tolist(), *high.tolist()),
        centre=(low + high) / 2,
        size=max(float(np.sqrt(np.prod(high - low))), 1.0),
        look=signature(crop_face(rgb, landmarks.points)),
        trust=min(max((straight - _ASIDE) / (_STRAIGHT - _ASIDE), 0.0), 1.0),
    )


def _distinct(faces: list[_Face]) -> list[_Face]:
    """The faces, without those that lie on another: two trackers may come to follow one face."""
    kept: list[_Face] = []
    for face in faces:
        if all(_overlap(face.box, other.box) < _SAME_PLACE for other in kept):
            kept.append(face)
    return kept


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Intersection over union of two boxes."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height / (sum(areas) - width * height)


def _cost(person: _Person, face: _Face, now_s: float) -> float:
    """Of taking a face for a person."""
    unlike = unlikeness(person.look, face.look)
    if person.away:
        # Nothing but the look speaks for them; a head turned aside is not enough.
        return _AWAY + (unlike / _LIKENESS) ** 2 / 2 if unlike < ALIKE and face.trust > 0 else _IMPOSSIBLE
    gap_s = now_s - person.last_s
    if gap_s > _HELD_S and unlike > UNLIKE and face.trust == 1:
        return _IMPOSSIBLE  # someone else, who came into the same place
    size = (person.face.size + face.size) / 2
    expected = person.face.centre + person.velocity * min(gap_s, 0.5)
    moved = math.hypot(*(face.centre - expected)) / size / (0.12 + 0.8 * gap_s)
    grown = abs(math.log(face.size / person.face.size)) / (0.1 + 0.5 * gap_s)
    return min((moved**2 + grown**2) / 2, _FARTHEST) + face.trust * (unlike / _LIKENESS) ** 2 / 2
