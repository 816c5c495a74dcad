"""Faces at rest: what a face looks like that shows nothing, and how far a person's actions move.

Few faces are as even as a template: corners of the mouth droop, brows sit low, lips are pressed or apart. Strangers
read such faces as stern, sad or friendly; they are neutral.
"""

import numpy as np

from stgt.synthetic.actions import LEFT, RIGHT, action_vector, sides
from stgt.synthetic.anny_data import ACTIONS

#: What a resting face may have: actions at their most, and how often relative to the others.
TRAITS: tuple[tuple[dict[str, float], float], ...] = (
    ({"mouthFrown": 0.45}, 1.6),  # drooping corners
    ({"browDown": 0.55}, 2.6),  # a stern look
    ({"browDown": 0.35, "mouthFrown": 0.25, "mouthPress": 0.20}, 0.8),
    ({"mouthSmile": 0.24}, 1.3),  # a hint of a smile
    ({"mouthDimple": 0.35, "mouthPress": 0.15}, 0.8),
    ({"mouthPress": 0.25, "mouthFrown": 0.06, "mouthRollLower": 0.30, "mouthRollUpper": 0.30}, 1.3),  # pressed lips
    ({"mouthRollLower": 0.35, "mouthRollUpper": 0.35}, 0.8),  # thin lips
    ({"mouthPucker": 0.25, "mouthFunnel": 0.08}, 0.7),  # full lips
    ({"mouthShrugLower": 0.45, "mouthShrugUpper": 0.15}, 1.0),
    ({"eyeBlink": 0.20}, 1.2),  # hooded lids
    ({"eyeSquint": 0.45}, 1.0),
    ({"eyeWide": 0.35}, 1.0),
    ({"browInnerUp": 0.28}, 0.9),
    ({"browInnerUp": 0.25, "browOuterUp": 0.30}, 0.9),  # high brows
    ({"browOuterUp": 0.25}, 0.5),
    ({"jawOpen": 0.09, "mouthLowerDown": 0.10, "mouthUpperUp": 0.06}, 0.8),  # lips apart
    ({"mouthUpperUp": 0.18}, 0.5),  # a short upper lip
    ({"noseSneer": 0.18}, 0.5),
    ({"cheekSquint": 0.25}, 0.5),
    ({"mouthLeft": 0.15}, 0.35),
    ({"mouthRight": 0.15}, 0.35),
    ({"jawForward": 0.30}, 0.4),
)
_VECTORS = np.stack([action_vector(actions) for actions, _ in TRAITS])
_SHARES = np.array([share for _, share in TRAITS]) / sum(share for _, share in TRAITS)
_DROOP = action_vector({"mouthFrown": 0.20, "eyeBlink": 0.10})

#: sd of the log of a person's gains: of all together, of each action, and of the sides' difference.
SHARED_SD, ACTION_SD, SIDE_SD = 0.10, 0.17, 0.05
#: Factors on those sd where more would break the fit: lids that must meet, a jaw and the lips that close over it.
STEADY = {"eyeBlink": 0.15, "eyeLook": 0.3, "jawOpen": 0.5, "mouthPress": 0.5, "mouthClose": 0.5, "tongueOut": 0.3}


def sample_resting(rng: np.random.Generator, age: float) -> np.ndarray:
    """``(52,)`` float32 weights of the face at rest: mostly a little of one or two traits, now and then much of one."""
    count = 1 + int(rng.random() < 0.6) + int(rng.random() < 0.25)
    chosen = rng.choice(len(TRAITS), size=count, replace=False, p=_SHARES)
    amounts = rng.beta(1.0, 1.7, count)
    if rng.random() < 0.25:
        amounts[0] = rng.uniform(0.6, 1.0)
    resting = np.zeros(len(ACTIONS), np.float32)
    for trait, amount in zip(chosen, amounts, strict=True):
        resting += np.float32(amount) * _VECTORS[trait] * sides(rng.normal(0, 0.15))
    resting += np.float32(np.clip((age - 45) / 30, 0, 1) * rng.random()) * _DROOP
    return np.clip(resting, 0, 0.6).astype(np.float32)


def sample_gains(rng: np.random.Generator) -> np.ndarray:
    """``(52,)`` float32 factors, lognormal with an sd of about 0.2; the two sides of a face are nearly alike."""
    shared = rng.normal(0, SHARED_SD)
    each = {name.removesuffix("Left").removesuffix("Right"): 0.0 for name in ACTIONS}
    for name in each:
        each[name] = rng.normal(0, ACTION_SD)
    side = rng.normal(0, SIDE_SD, len(ACTIONS)) * (LEFT | RIGHT)
    steadiness = np.array(
        [next((factor for start, factor in STEADY.items() if name.startswith(start)), 1.0) for name in ACTIONS]
    )
    own = np.array([each[name.removesuffix("Left").removesuffix("Right")] for name in ACTIONS])
    return np.exp(np.clip(shared + own + side, -0.5, 0.5) * steadiness).astype(np.float32)
