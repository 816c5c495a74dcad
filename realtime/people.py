"""Who is who: numbers that stay with people while they cross, are hidden for a moment, or leave and come back."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from stgt.faces.crops import crop_face
from stgt.faces.landmarker import Landmarks

from .likeness import normalised, signature, unlikeness
from .one_euro import OneEuroFilter

#: Likeness, see `unlikeness`. Of 40 people photographed twice, neutral and smiling, all pairs of the same person are
#: below the first, and nine of ten pairs of different people above it.
ALIKE, UNLIKE = 0.35, 0.5

# Likeness, of people who turn the head or laugh: none was farther than 0.84 from their mean, and others mostly are.
_ANOTHER = 1.0
_FAMILIAR = 0.6  # may be somebody known, at an angle
_STRAIGHT, _ASIDE = 0.85, 0.5  # cosines of the head's turn: looks count fully up to the one, not at all from the other
_MEMORY_S = 10.0  # over which a look is averaged
_LOOKED_EVERY_S = 0.2  # for so long places alone may say who is who

# Costs of taking a face for somebody, as half squared deviations.
_LIKENESS = 0.2  # deviation of likeness
_STRANGER = 8.0  # for somebody new
_AWAY = 2.0  # for someone who is away, before the look
_NEAR = 1.9  # a place that costs less is near
_FARTHEST = 6.0  # a jump costs no more: a cut in a film moves people, too
_IMPOSSIBLE = 1e6

_FOLLOWED_S = 1.5  # who was seen so recently is looked for near the place where they would be by now
_HELD_S = 0.5  # for so long nobody else takes the place of who was lost
_DOUBTED_S = 0.7  # who looks like someone else for so long is someone else
_GLIMPSE_S = 0.25  # who was seen for less is not remembered: trackers now and then see a face where none is
# A face that appears beside others may be one of them, half hidden or at an angle: it is looked at for a while.
_PROBATION_S, _LONG_PROBATION_S = 0.25, 1.0
_FORGOTTEN_S = 600.0  # who has been away for longer is not known again
_REMEMBERED = 32  # people away, at most

# Intersections over union: of two faces that are one; of a face in successive frames; of faces that hide each other.
_SAME_PLACE, _STILL, _TOUCHING = 0.6, 0.3, 0.02


class Sighting(NamedTuple):
    """A person in a frame: their number, what was seen, and the face's box ``(x0, y0, x1, y1)`` in pixels."""

    person: int
    landmarks: Landmarks
    box: tuple[float, float, float, float]


class _Face:
    """A face before it is known whose it is.

    Attributes:
        landmarks: as found.
        box: around them.
        centre: (2,) px, of the box.
        size: px, the geometric mean of the box's sides.
        trust: 0 to 1, how much its look says: a head that is turned aside looks like nobody.
    """

    def __init__(self, landmarks: Landmarks, rgb: np.ndarray) -> None:
        low, high = landmarks.points[:, :2].min(axis=0).tolist(), landmarks.points[:, :2].max(axis=0).tolist()
        self.landmarks = landmarks
        self.box = (*low, *high)
        self.centre = np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2])
        self.size = max(math.sqrt((high[0] - low[0]) * (high[1] - low[1])), 1.0)
        straight = float(landmarks.transform[2, 2])  # cosine of the angle between the face and the line to the camera
        self.trust = min(max((straight - _ASIDE) / (_STRAIGHT - _ASIDE), 0.0), 1.0)
        self._rgb: np.ndarray | None = rgb

    @cached_property
    def look(self) -> np.ndarray:
        """Signature; it takes more time than all the rest, and mostly there is no doubt who it is."""
        return signature(crop_face(self._rgb, self.landmarks.points))

    def forget_picture(self) -> None:
        """Let go of the frame."""
        self._rgb = None


@dataclass
class _Person:
    number: int
    face: _Face
    first_s: float
    last_s: float
    look: np.ndarray  # of late, on average
    latest_look: np.ndarray  # a head that turns looks like itself a moment before, though not like its average
    looked_s: float  # when they were last looked at
    velocity: np.ndarray = field(default_factory=lambda: np.zeros(2))  # px/s
    doubted_s: float | None = None  # since when they have looked like someone else
    away: bool = False
    points: OneEuroFilter = field(default_factory=OneEuroFilter)
    # Jitter of blendshapes against that of a face that MediaPipe smooths, as for the points: 0.0059 against 0.0059.
    actions: OneEuroFilter = field(default_factory=lambda: OneEuroFilter(3.5, 8.0))

    def unlikeness(self, face: _Face) -> float:
        """How different a face looks from what was seen of them."""
        return min(unlikeness(self.look, face.look), unlikeness(self.latest_look, face.look))

    def is_like_never_before(self, face: _Face) -> bool:
        """Whether a face that is followed has become another one, from one look to the next or little by little."""
        if face.trust < 1:
            return False
        return self.unlikeness(face) > UNLIKE or unlikeness(self.look, face.look) > _ANOTHER


class People:
    """Gives every face of successive frames the number of its person.

    Faces are assigned to people so that the sum of costs is least (Hungarian method): how far a face is from where its
    person would be by now at constant velocity, how much it has grown or shrunk, and how unlike it is to what was
    seen of the person before (`stgt.realtime.likeness`). Someone who was away is known by their look alone. A
    stranger gets a number after a moment, in which they may turn out to be someone half hidden; the first ones at once.
    Numbers count from 0 and are never given twice; memory is bounded.

    Args:
        most: people that are followed at once. Where there are more, those already known are kept, then the largest.
        smooth: smooth landmarks and blendshapes over time, for each person, with a One Euro filter.
    """

    def __init__(self, most: int = 1, smooth: bool = False) -> None:
        self.most = most
        self._smooth = smooth
        self._next = 0
        self._people: dict[int, _Person] = {}
        self._strangers: list[tuple[_Face, float]] = []  # without a number so far, and since when they are seen
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
        self._forget(timestamp_s)
        self._now_s = timestamp_s
        faces = _distinct([_Face(landmarks, rgb) for landmarks in found])
        seen = self._assign(timestamp_s, faces)
        self._admit(timestamp_s, faces, seen)
        for face in faces:
            face.forget_picture()
        return [self._sighting(timestamp_s, self._people[number]) for number in sorted(seen)]

    def _part(self, timestamp_s: float) -> None:
        """Everyone is away, as if the recording had ended long ago."""
        for person in self._people.values():
            person.away, person.doubted_s = True, None
            person.first_s, person.last_s = -math.inf, timestamp_s - _FOLLOWED_S
        self._strangers = []

    def _assign(self, now_s: float, faces: list[_Face]) -> dict[int, int]:
        """Number of the person -> index of the face, of those who are known; the people are brought up to date."""
        people = list(self._people.values())
        if not (faces and people):
            return {}
        assigned = _obvious(_place_costs(people, faces, now_s))
        if not self._are_certain(now_s, assigned, people, len(faces)):
            assigned = self._assign_by_looks(now_s, people, faces)
        # Back from away there may be more than can be followed: who was here a moment ago stays, then the largest.
        order = sorted(assigned, key=lambda column: (people[column].away, -faces[assigned[column]].size, column))
        kept = {column: assigned[column] for column in order[: self.most]}
        for column, index in kept.items():
            self._follow(people[column], faces[index], now_s)
        return {people[column].number: index for column, index in kept.items()}

    def _assign_by_looks(self, now_s: float, people: list[_Person], faces: list[_Face]) -> dict[int, int]:
        """Index of the person -> index of the face, with the least sum of costs."""
        while True:
            looks = np.array([[_look_cost(person, face, now_s) for person in people] for face in faces])
            assigned = _cheapest(_place_costs(people, faces, now_s) + looks)
            wrong = [
                people[column]
                for column, row in assigned.items()
                if not self._is_believed(people[column], faces[row], now_s)
            ]
            if not wrong:
                return assigned
            for person in wrong:  # away from now on, and someone else has their face
                person.away, person.doubted_s = True, None

    def _are_certain(self, now_s: float, assigned: dict[int, int], people: list[_Person], faces: int) -> bool:
        """Whether places alone say who is who: everyone is where they were, and was looked at a moment ago."""
        here = sum(not person.away for person in people)
        return len(assigned) == faces == here and all(
            people[column].doubted_s is None and now_s - people[column].looked_s < _LOOKED_EVERY_S
            for column in assigned
        )

    def _is_believed(self, person: _Person, face: _Face, now_s: float) -> bool:
        """Whether a face in the right place is still the same person's; doubts must last to count."""
        if not person.is_like_never_before(face):
            person.doubted_s = person.doubted_s if face.trust < 1 else None
            return True
        person.doubted_s = now_s if person.doubted_s is None else person.doubted_s
        return now_s - person.doubted_s < _DOUBTED_S

    def _follow(self, person: _Person, face: _Face, now_s: float) -> None:
        step_s = now_s - person.last_s
        if person.away or step_s > _HELD_S:
            person.velocity = np.zeros(2)
            person.points.reset()
            person.actions.reset()
        elif step_s > 0:
            velocity = (face.centre - person.face.centre) / step_s
            person.velocity = 0.5 * person.velocity + 0.5 * np.clip(velocity, -6 * face.size, 6 * face.size)
        if "look" in vars(face):
            # Slowly, where it looks otherwise: light changes, but so does a face when another passes before it.
            share = face.trust * (1.0 if unlikeness(person.look, face.look) < ALIKE else 0.2)
            share *= -math.expm1(-min(now_s - person.looked_s, 0.3) / _MEMORY_S)
            person.look = normalised(person.look + share * (face.look - person.look))
            if not person.is_like_never_before(face):
                person.latest_look = face.look
            person.looked_s = now_s
        person.face, person.last_s, person.away = face, now_s, False

    def _admit(self, now_s: float, faces: list[_Face], seen: dict[int, int]) -> None:
        """Give numbers to those whom nobody knows, the largest first, while there is room."""
        held = sum(
            not person.away and number not in seen and now_s - person.last_s <= _HELD_S
            for number, person in self._people.items()
        )
        room = self.most - len(seen) - held
        strangers = [face for index, face in enumerate(faces) if index not in seen.values()]
        before, self._strangers = self._strangers, []
        nobody = not self._people
        for face in sorted(strangers, key=lambda face: -face.size):
            known_s = [since_s for other, since_s in before if _overlap(face.box, other.box) > _STILL]
            since_s = min(known_s, default=now_s)
            if room > 0 and (nobody or now_s - since_s >= self._probation_s(face, now_s, seen)):
                self._people[self._next] = _Person(self._next, face, now_s, now_s, face.look, face.look, now_s)
                seen[self._next] = faces.index(face)
                self._next += 1
                room -= 1
            else:
                self._strangers.append((face, since_s))

    def _probation_s(self, face: _Face, now_s: float, seen: dict[int, int]) -> float:
        """How long a stranger must be seen before they get a number, where there are others."""
        hidden = any(
            _overlap(face.box, person.face.box) > _TOUCHING
            if number in seen
            else not person.away and _place_cost(person, face, now_s) < _NEAR
            for number, person in self._people.items()
        )
        familiar = any(person.away and person.unlikeness(face) < _FAMILIAR for person in self._people.values())
        return _LONG_PROBATION_S if hidden or familiar else _PROBATION_S if self.most > 1 else 0.0

    def _forget(self, now_s: float) -> None:
        glimpsed = [
            number
            for number, person in self._people.items()
            if person.last_s < self._now_s and person.last_s - person.first_s < _GLIMPSE_S
        ]
        for number in glimpsed:
            del self._people[number]
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


def _place_costs(people: list[_Person], faces: list[_Face], now_s: float) -> np.ndarray:
    """(faces, people)."""
    return np.array([[_place_cost(person, face, now_s) for person in people] for face in faces])


def _place_cost(person: _Person, face: _Face, now_s: float) -> float:
    """Of taking a face for a person, for where it is and how large."""
    if person.away:
        return _AWAY
    gap_s = now_s - person.last_s
    size = (person.face.size + face.size) / 2
    wait_s = min(gap_s, 0.5)
    across = face.centre[0] - person.face.centre[0] - person.velocity[0] * wait_s
    down = face.centre[1] - person.face.centre[1] - person.velocity[1] * wait_s
    moved = math.hypot(across, down) / size / (0.12 + 0.8 * gap_s)
    grown = abs(math.log(face.size / person.face.size)) / (0.1 + 0.5 * gap_s)
    return min((moved**2 + grown**2) / 2, _FARTHEST)


def _look_cost(person: _Person, face: _Face, now_s: float) -> float:
    """Of taking a face for a person, for what it looks like."""
    unlike = person.unlikeness(face)
    if person.away:
        # Nothing but the look speaks for them; a head turned aside is not enough.
        return (unlike / _LIKENESS) ** 2 / 2 if unlike < ALIKE and face.trust > 0 else _IMPOSSIBLE
    if now_s - person.last_s > _HELD_S and unlike > UNLIKE and face.trust == 1:
        return _IMPOSSIBLE  # someone else, who came into the same place
    return face.trust * (unlike / _LIKENESS) ** 2 / 2


def _obvious(places: np.ndarray) -> dict[int, int]:
    """Column -> row of the pairs that are near each other while no other is near either of them."""
    near = places < _NEAR
    alone = near & (near.sum(axis=0) == 1) & (near.sum(axis=1, keepdims=True) == 1)
    return {int(column): int(row) for row, column in zip(*np.nonzero(alone), strict=True)}


def _cheapest(costs: np.ndarray) -> dict[int, int]:
    """Column -> row of the assignment with the least sum, where a row may also go to a stranger."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = costs.shape
    padded = np.concatenate([costs, np.full((rows, rows), _STRANGER)], axis=1)
    return {
        int(column): int(row) for row, column in zip(*linear_sum_assignment(padded), strict=True) if column < columns
    }
