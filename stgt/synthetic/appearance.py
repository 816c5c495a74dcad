"""What a subject looks like: the colours drawn from age, gender and ancestry, and the textures painted from them."""

from dataclasses import dataclass

import numpy as np

from stgt.synthetic.anny_data import HeadData
from stgt.synthetic.glasses import Glasses, sample_glasses
from stgt.synthetic.hair import HairStyle, hair_thickness, sample_style
from stgt.synthetic.heads import Identity, generator

#: Skin from lightest to darkest (sRGB), spanning what photographs under neutral light show.
SKIN_TONES = np.array(
    [(243, 206, 180), (232, 188, 158), (219, 172, 139), (200, 150, 114), (170, 120, 88), (132, 90, 64), (96, 64, 48)],
    dtype=np.float32,
)
#: Where on that scale (0 to 1) people of each ancestry lie: mean and sd. In the order of ``anny_data.ANCESTRIES``.
TONE_OF_ANCESTRY = np.array([(0.80, 0.12), (0.30, 0.13), (0.14, 0.11)])

#: Hair colours (sRGB): black, dark brown, brown, chestnut, dark blond, blond, red; then grey, white.
HAIR_COLOURS = np.array(
    [
        *[(26, 22, 21), (44, 32, 26), (70, 49, 36), (92, 60, 40), (120, 92, 62), (160, 128, 86), (118, 62, 34)],
        *[(126, 122, 118), (188, 184, 178)],
    ],
    dtype=np.float32,
)
#: Iris colours (sRGB): dark brown, brown, hazel, green, grey, blue.
IRIS_COLOURS = np.array(
    [(58, 36, 24), (92, 58, 34), (114, 90, 50), (94, 112, 74), (110, 122, 128), (88, 122, 156)], dtype=np.float32
)


@dataclass(frozen=True)
class Look:
    """The numbers that one subject is painted from. Colours are sRGB, 0 to 255."""

    tone: float  # of the skin, 0 light to 1 dark
    skin: np.ndarray
    hair: np.ndarray
    brows: np.ndarray
    iris: np.ndarray
    lips: np.ndarray
    lip_strength: float
    cloth: np.ndarray
    style: HairStyle
    stubble: float  # 0 to 1
    brow_density: float
    brow_width: float  # m, half of the brow's height at its thickest
    brow_height: float  # m, of its inner end above the eye
    freckles: float
    blush: float
    age_lines: float  # 0 to 1
    gloss: float  # of the skin's highlights
    glasses: Glasses | None


@dataclass(frozen=True)
class Appearance:
    """Textures and colours of one subject; row 0 of every picture is its bottom, as VTK wants it.

    Attributes:
        look: what they were painted from.
        skin: ``(HEIGHT, WIDTH, 3)`` float32 0..255, in the layout of ``Atlas``.
        fold_depth: how deep folds go, 1 being those of ``wrinkles``; deeper on older skin.
        eye: ``(S, S, 3)`` uint8, the front half of an eyeball seen from the front.
        cloth: ``(S, S, 3)`` uint8, repeating.
        strands: ``(S, S, 3)`` uint8, long hair.
        hair_thickness: ``(N,)`` float32 metres, how far hair stands off each vertex.
    """

    look: Look
    skin: np.ndarray
    fold_depth: float
    eye: np.ndarray
    cloth: np.ndarray
    strands: np.ndarray
    hair_thickness: np.ndarray


def sample_look(rng: np.random.Generator, identity: Identity) -> Look:
    """Draw the colours of one subject; they depend on ancestry, gender and age as in people."""
    shares = np.array(identity.ancestry)
    male = identity.gender > 0.5
    tone = float(np.clip(rng.normal(*(shares[:, None] * TONE_OF_ANCESTRY).sum(axis=0)), 0, 1))
    skin = _ramp(SKIN_TONES, tone) * rng.normal(1, 0.012, 3)

    # Light hair and eyes come with the caucasian share.
    dark = rng.random() < np.clip(1.15 - shares[2] * 1.3, 0, 1)
    natural = HAIR_COLOURS[rng.integers(0, 2) if dark else rng.integers(0, 7)] * rng.uniform(0.85, 1.15)
    iris = IRIS_COLOURS[0 if dark else rng.integers(0, 6)] * rng.uniform(0.85, 1.2)
    grey = float(np.clip((identity.age - 44) / 30 + rng.normal(0, 0.15), 0, 1))
    if not male and rng.random() < 0.6:
        grey *= 0.15  # dyed
    hair = (1 - grey) * natural + grey * HAIR_COLOURS[7 + (rng.random() < 0.35)]
    brows = 0.85 * ((1 - 0.5 * grey) * natural + 0.5 * grey * hair)
    lips = skin * np.array([0.84, 0.62, 0.62]) + np.array([14, 2, 5])
    lip_strength = rng.uniform(0.45, 0.75)
    if not male and rng.random() < 0.35:  # lipstick
        lips = 0.45 * lips + 0.55 * np.array([rng.uniform(120, 180), rng.uniform(35, 70), rng.uniform(50, 90)])
        lip_strength = 0.85
    cloth = rng.uniform(35, 190) + rng.normal(0, 28, 3)
    return Look(
        tone=tone,
        skin=skin.astype(np.float32),
        hair=hair.astype(np.float32),
        brows=brows.astype(np.float32),
        iris=iris.astype(np.float32),
        lips=lips.astype(np.float32),
        lip_strength=float(lip_strength),
        cloth=np.clip(cloth, 18, 225).astype(np.float32),
        style=sample_style(rng, identity.age, identity.gender),
        stubble=float(rng.choice([0.0, rng.uniform(0.1, 0.35), rng.uniform(0.45, 0.9)], p=[0.45, 0.35, 0.2]) * male),
        brow_density=float(np.clip(rng.normal(0.86 if male else 0.78, 0.08), 0.6, 0.98)),
        brow_width=float(np.clip(rng.normal(0.0050 if male else 0.0040, 0.0006), 0.0028, 0.0062)),
        brow_height=float(rng.normal(0.0145 if male else 0.0158, 0.0010)),
        freckles=float((rng.random() < 0.25) * (1 - tone) * rng.uniform(0.3, 1)),
        blush=float(rng.uniform(0.3, 1.0)),
        age_lines=float(np.clip((identity.age - 38) / 40, 0, 1)),
        gloss=float(rng.uniform(0.06, 0.2)),
        glasses=sample_glasses(rng, identity.age),
    )


def make_appearance(seed: int, subject: int, identity: Identity, data: HeadData) -> Appearance:
    """The appearance of a subject: the same for the same seed and index."""
    from stgt.synthetic import painting

    rng = generator(seed, "appearance", subject)
    look = sample_look(rng, identity)
    return Appearance(
        look=look,
        skin=painting.paint_skin(rng, look, data.atlas),
        fold_depth=0.75 + 0.45 * look.age_lines,
        eye=painting.paint_eye(rng, look),
        cloth=painting.paint_cloth(rng, look),
        strands=painting.paint_strands(rng, look),
        hair_thickness=hair_thickness(data.template, data.atlas.ear_vertices, look.style),
    )


def _ramp(colours: np.ndarray, position: float) -> np.ndarray:
    """A colour of a scale at a position 0..1."""
    place = position * (len(colours) - 1)
    low = min(int(place), len(colours) - 2)
    return colours[low] + (colours[low + 1] - colours[low]) * (place - low)
