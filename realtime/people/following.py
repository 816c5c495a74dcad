"""Who is who: numbers that stay with people while they cross, are hidden for a moment, or leave and come back."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from stgt.faces.landmarker import Landmarks

from .person import HELD_S, NEAR, STRANGER, Face, Person, distinct, look_cost, overlap, place_cost

_FOLLOWED_S = 1.5  # who was seen so recently is looked for near the place where they would be by now
_LOOKED_EVERY_S = 0.2  # how often those who are where they were are looked at, once there is time
_UNLOOKED_S = 0.4  # for no longer than this may places alone say who is who
_DOUBTED_S = 0.7  # who looks like someone else for so long is someone else
_GLIMPSE_S = 0.25  # who was seen for less is not remembered: trackers now and then see a face where none is
# A face that appears beside others may be one of them, half hidden or at an angle: it is looked at for a while.
_PROBATION_S, _LONG_PROBATION_S = 0.25, 1.0
_FAMILIAR = 0.6  # unlikeness: may be somebody known, at an angle
_FORGOTTEN_S = 600.0  # who has been away for longer is not known again
_REMEMBERED = 32  # people away, at most
_STILL, _TOUCHING = 0.3, 0.02  # intersections over union: of a face in successive frames; of faces that hide each other


class Sighting(NamedTuple):
    """A person in a frame: their number, what was seen, and the face's box ``(x0, y0, x1, y1)`` in pixels."""

    person: int
    landmarks: Landmarks
    box: tuple[float, float, float, float]


class People:
    """Gives every face of successive frames the number of its person.

    Faces are assigned to people so that the sum of costs is least (Hungarian method): how far a face is from where its
    person would be by now at constant velocity, how much it has grown or shrunk, and how unlike it is to what was
    seen of the person before (`stgt.realtime.people.likeness`). Someone who was away is known by their look alone. A
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
        self._people: dict[int, Person] = {}
        self._strangers: list[tuple[Face, float]] = []  # without a number so far, and since when they are seen
        self._faces: list[Face] = []  # of the newest frame
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
        self._forget_picture()
        self._faces = faces = distinct([Face(landmarks, rgb) for landmarks in found])
        seen = self._assign(timestamp_s, faces)
        self._admit(timestamp_s, faces, seen)
        return [self._sighting(timestamp_s, self._people[number]) for number in sorted(seen)]

    def look_again(self) -> None:
        """Make sure, now and then, that those in the newest frame are who they seem to be by their places.

        For when there is time: looking takes longer than all the rest. Where it is not done, `update` looks itself.
        """
        for person in [*self._people.values()]:
            if person.face not in self._faces or self._now_s - person.looked_s < _LOOKED_EVERY_S:
                continue
            if self._is_believed(person, person.face, self._now_s):
                person.remember_look(self._now_s)
            else:
                person.leave()
        self._forget_picture()

    def _forget_picture(self) -> None:
        for face in self._faces:
            face.forget_picture()
        self._faces = []

    def _part(self, timestamp_s: float) -> None:
        """Everyone is away, as if the recording had ended long ago."""
        for person in self._people.values():
            person.leave(timestamp_s - _FOLLOWED_S)
        self._strangers = []

    def _assign(self, now_s: float, faces: list[Face]) -> dict[int, int]:
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
            people[column].follow(faces[index], now_s)
        return {people[column].number: index for column, index in kept.items()}

    def _assign_by_looks(self, now_s: float, people: list[Person], faces: list[Face]) -> dict[int, int]:
        """Index of the person -> index of the face, with the least sum of costs."""
        while True:
            looks = np.array([[look_cost(person, face, now_s) for person in people] for face in faces])
            assigned = _cheapest(_place_costs(people, faces, now_s) + looks)
            wrong = [
                people[column]
                for column, row in assigned.items()
                if not self._is_believed(people[column], faces[row], now_s)
            ]
            if not wrong:
                return assigned
            for person in wrong:  # away from now on, and someone else has their face
                person.leave()

    def _are_certain(self, now_s: float, assigned: dict[int, int], people: list[Person], faces: int) -> bool:
        """Whether places alone say who is who: everyone is where they were, and was looked at a moment ago."""
        here = sum(not person.away for person in people)
        return len(assigned) == faces == here and all(
            people[column].doubted_s is None and now_s - people[column].looked_s < _UNLOOKED_S for column in assigned
        )

    def _is_believed(self, person: Person, face: Face, now_s: float) -> bool:
        """Whether a face in the right place is still the same person's; doubts must last to count."""
        if not person.is_like_never_before(face):
            person.doubted_s = person.doubted_s if face.trust < 1 else None
            return True
        person.doubted_s = now_s if person.doubted_s is None else person.doubted_s
        return now_s - person.doubted_s < _DOUBTED_S

    def _admit(self, now_s: float, faces: list[Face], seen: dict[int, int]) -> None:
        """Give numbers to those whom nobody knows, the largest first, while there is room."""
        held = sum(
            number not in seen and now_s - person.last_s <= HELD_S and person.last_s - person.first_s >= _GLIMPSE_S
            for number, person in self._people.items()
        )
        room = self.most - len(seen) - held
        strangers = [face for index, face in enumerate(faces) if index not in seen.values()]
        before, self._strangers = self._strangers, []
        nobody = not self._people
        for face in sorted(strangers, key=lambda face: -face.size):
            known_s = [since_s for other, since_s in before if overlap(face.box, other.box) > _STILL]
            since_s = min(known_s, default=now_s)
            if room > 0 and (nobody or now_s - since_s >= self._probation_s(face, now_s, seen)):
                self._people[self._next] = Person(self._next, face, now_s, now_s, face.look, face.look, now_s)
                seen[self._next] = faces.index(face)
                self._next += 1
                room -= 1
            else:
                self._strangers.append((face, since_s))

    def _probation_s(self, face: Face, now_s: float, seen: dict[int, int]) -> float:
        """How long a stranger must be seen before they get a number, where there are others."""
        hidden = any(
            overlap(face.box, person.face.box) > _TOUCHING
            if number in seen
            else not person.away and place_cost(person, face, now_s) < NEAR
            for number, person in self._people.items()
        )
        familiar = any(person.away and person.unlikeness(face) < _FAMILIAR for person in self._people.values())
        return _LONG_PROBATION_S if hidden or familiar else _PROBATION_S if self.most > 1 else 0.0

    def _forget(self, now_s: float) -> None:
        for person in [*self._people.values()]:
            if person.last_s - person.first_s < _GLIMPSE_S and now_s - person.last_s > HELD_S:
                del self._people[person.number]
        for person in self._people.values():
            person.away = person.away or now_s - person.last_s > _FOLLOWED_S
        gone = sorted((person for person in self._people.values() if person.away), key=lambda person: person.last_s)
        for index, person in enumerate(gone):
            if now_s - person.last_s > _FORGOTTEN_S or index < len(gone) - _REMEMBERED:
                del self._people[person.number]

    def _sighting(self, now_s: float, person: Person) -> Sighting:
        landmarks = person.smoothed(now_s) if self._smooth else person.face.landmarks
        return Sighting(person.number, landmarks, person.face.box)


def _place_costs(people: list[Person], faces: list[Face], now_s: float) -> np.ndarray:
    """(faces, people)."""
    return np.array([[place_cost(person, face, now_s) for person in people] for face in faces])


def _obvious(places: np.ndarray) -> dict[int, int]:
    """Column -> row of the pairs that are near each other while no other is near either of them."""
    near = places < NEAR
    alone = near & (near.sum(axis=0) == 1) & (near.sum(axis=1, keepdims=True) == 1)
    return {int(column): int(row) for row, column in zip(*np.nonzero(alone), strict=True)}


def _cheapest(costs: np.ndarray) -> dict[int, int]:
    """Column -> row of the assignment with the least sum, where a row may also go to a stranger."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = costs.shape
    padded = np.concatenate([costs, np.full((rows, rows), STRANGER)], axis=1)
    return {
        int(column): int(row) for row, column in zip(*linear_sum_assignment(padded), strict=True) if column < columns
    }
