"""Who a synthetic face is: identity drawn by seed and subject, and the head that it gives."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from stgt.synthetic.anny_data import ACTIONS, AGES, ANCESTRIES, GENDERS, LEVELS, HeadData
from stgt.synthetic.resting import sample_gains, sample_resting

#: sd of a local change, in units of its full range (at 1 it is the most that still looks human).
LOCAL_SD = 0.21
#: sd of the difference between the left and right side of a paired local change.
ASYMMETRY_SD = 0.06
#: Changes that would read as an expression, or break the eyelids' fit around the eyeballs, are kept small.
RESTRAINED = {
    "eye-height": 0.3,
    "eye-push": 0.3,
    "eye-trans": 0.5,
    "eye-corner": 0.5,
    "eye-scale": 0.5,
    "eyebrows-angle": 0.35,
    "eyebrows-trans": 0.5,
    "mouth-trans": 0.4,
    "mouth-upperlip-middle": 0.4,
    "mouth-lowerlip-middle": 0.4,
    "mouth-upperlip-ext": 0.4,
    "mouth-lowerlip-ext": 0.4,
    "mouth-dimples": 0.4,
    "nose-trans-in-out": 0.2,
    "neck-scale-vert": 0.5,
    "ear-": 0.6,
    "chin-": 0.8,
    "cheek-volume": 0.7,
}

#: The Face Units are gentle where people are not (a brow rises by 10 mm, theirs by 5): factors on a weight of 1.
ACTION_GAIN = {
    "browInnerUp": 1.7,
    "browOuterUp": 1.6,
    "browDown": 1.3,
    "mouthFrown": 1.7,
    "mouthStretch": 1.4,
    "mouthLowerDown": 1.4,
    "noseSneer": 1.9,
    "eyeWide": 1.25,
    "mouthSmile": 1.1,
    "mouthDimple": 2.0,
    "mouthShrugLower": 1.6,
    "mouthShrugUpper": 1.2,
    "jawForward": 1.5,
}

#: MakeHuman's rows of teeth touch the lips, hide behind the upper one, and the lower row climbs to the back. Each is
#: narrowed by a factor, lowered by a share of the distance behind its front, then moved by metres in y and z.
TEETH_FIT = {"upper_teeth": (0.90, 0.0, -0.0030, -0.0022), "lower_teeth": (0.85, 0.26, -0.0035, -0.0035)}


@dataclass(frozen=True)
class Identity:
    """Age, gender, ancestry and local shape of one subject.

    Attributes:
        age: years, 20 to 75.
        gender: 0 female to 1 male.
        ancestry: shares of african, asian and caucasian, summing to 1.
        muscle, weight: 0 to 1, 0.5 average.
        local: ``(L,)`` in -1..1, one per local change of ``HeadData.local_labels``.
        resting: ``(52,)`` weights of facial actions, 0..1, that the face has at rest.
        gains: ``(52,)`` factors on how far the person's actions move, around 1.
    """

    age: float
    gender: float
    ancestry: tuple[float, float, float]
    muscle: float
    weight: float
    local: np.ndarray
    resting: np.ndarray
    gains: np.ndarray

    @property
    def main_ancestry(self) -> str:
        """The ancestry with the largest share."""
        return ANCESTRIES[int(np.argmax(self.ancestry))]

    def as_dict(self) -> dict[str, Any]:
        """Plain values without the arrays."""
        return {name: value for name, value in asdict(self).items() if not isinstance(value, np.ndarray)}


def generator(seed: int, *path: int | str) -> np.random.Generator:
    """A random generator that depends only on the seed and the path of what it is for, not on the order of calls."""
    words = [seed] + [int.from_bytes(part.encode(), "little") if isinstance(part, str) else part for part in path]
    return np.random.default_rng(np.random.SeedSequence(words))


def sample_identity(seed: int, subject: int, local_labels: list[str]) -> Identity:
    """The identity of one subject: the same for the same seed and index, whatever else is sampled."""
    rng = generator(seed, "identity", subject)
    # Mostly one ancestry with some of the others, as in people; genders mostly near the ends.
    # They take turns, so that six subjects in a row hold every combination.
    shares = rng.dirichlet([0.5, 0.5, 0.5]) * 0.45
    shares[subject % 3] += 0.55
    gender = float(np.clip((0.1, 0.9)[subject // 3 % 2] + rng.normal(0, 0.1), 0, 1))
    age = float(20 + 55 * rng.beta(1.3, 2.0))
    muscle = float(np.clip(0.35 + 0.3 * gender + rng.normal(0, 0.15), 0, 1))
    weight = float(np.clip(rng.normal(0.5, 0.2), 0, 1))
    values: dict[str, float] = {}
    local = np.zeros(len(local_labels), dtype=np.float32)
    for index, label in enumerate(local_labels):
        name, _, _side = label.partition("/")
        restraint = next((factor for prefix, factor in RESTRAINED.items() if name.startswith(prefix)), 1.0)
        shared = values.setdefault(name, rng.normal(0, LOCAL_SD))
        local[index] = np.clip(shared + rng.normal(0, ASYMMETRY_SD), -0.8, 0.8) * restraint
    return Identity(
        *(age, gender, tuple(shares.tolist()), muscle, weight, local), sample_resting(rng, age), sample_gains(rng)
    )


def macro_weights(identity: Identity, labels: list[str]) -> np.ndarray:
    """``(K,)`` weights of the macro targets: products of the interpolated age, gender, muscle, weight and ancestry,
    as MakeHuman and anny blend them."""
    old = (identity.age - 25) / 65
    share: dict[str, float] = dict(zip(ANCESTRIES, identity.ancestry, strict=True))
    share |= dict(zip(GENDERS, (1 - identity.gender, identity.gender), strict=True))
    share |= dict(zip(AGES, (1 - max(old, 0.0), max(old, 0.0)), strict=True))
    for quality, value in (("muscle", identity.muscle), ("weight", identity.weight)):
        levels = (max(0.0, 1 - 2 * value), 1 - abs(2 * value - 1), max(0.0, 2 * value - 1))
        share |= {level + quality: amount for level, amount in zip(LEVELS, levels, strict=True)}
    share["universal"] = 1.0
    return np.array([np.prod([share[word] for word in label.split("-")]) for label in labels], dtype=np.float32)


def weigh(weights: np.ndarray, arrays: np.ndarray) -> np.ndarray:
    """Sum over k of ``weights (K,)`` times ``arrays (K, ...)``, to the same last bit wherever the arrays lie in memory.

    A matrix product is not: its libraries choose their order of summation by alignment and threads, and a pixel that
    lies on the edge between two values then differs from run to run.
    """
    total = np.zeros(arrays.shape[1:], dtype=np.float32)
    for index in np.flatnonzero(weights):
        total += weights[index] * arrays[index]
    return total


ACTION_GAINS = np.array(
    [ACTION_GAIN.get(name.removesuffix("Left").removesuffix("Right"), 1.0) for name in ACTIONS], dtype=np.float32
)


class Head:
    """One subject's head: a rest shape and 52 facial actions that add to it linearly.

    The rest shape has no actions; the person's face at rest is ``shape(identity.resting)``.

    Attributes:
        gains: ``(52,)`` factors on the data's actions: what people do more strongly, and this person.
        rest: ``(N, 3)`` float32 metres.
        data: the arrays that all heads share (triangles, texture layout).
    """

    def __init__(self, data: HeadData, identity: Identity) -> None:
        self.data = data
        self.identity = identity
        self.gains = ACTION_GAINS * identity.gains
        weights = macro_weights(identity, data.macro_labels)
        rest = data.template + weigh(weights, data.macro)
        ends = np.maximum(np.stack([-identity.local, identity.local], axis=1), 0)  # (L, 2)
        rest += weigh(ends.reshape(-1), data.local.reshape(-1, *rest.shape).astype(np.float32))
        # The eyes stay where the camera and the head's turning point expect them.
        eyes = np.concatenate([data.triangles["left_eye"].ravel(), data.triangles["right_eye"].ravel()])
        template_eyes = data.template[eyes].mean(axis=0)
        self.rest = (rest - rest[eyes].mean(axis=0) + template_eyes).astype(np.float32)
        for name, (width, tilt, *shift) in TEETH_FIT.items():
            row = np.unique(data.triangles[name])
            self.rest[row, 0] *= width
            self.rest[row, 1] -= tilt * (self.rest[row, 2].max() - self.rest[row, 2])
            self.rest[row, 1:] += shift

    def displacement(self, actions: np.ndarray) -> np.ndarray:
        """How far action weights ``(52,)`` move the vertices: ``(N, 3)`` metres."""
        return weigh(np.asarray(actions, dtype=np.float32) * self.gains, self.data.actions)

    def shape(self, actions: np.ndarray) -> np.ndarray:
        """Vertices ``(N, 3)`` in metres for action weights ``(52,)`` in 0..1."""
        return self.rest + self.displacement(actions)
