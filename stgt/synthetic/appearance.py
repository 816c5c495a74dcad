"""What a synthetic face looks like: colours of one subject, and the textures painted from them.

Colours are painted in the coordinates of the template mesh (metres; x to the person's left, y up, 0 at eye height), so that
brows, lips and stubble move with the skin. All of it is procedural: no photograph is used.
"""

from dataclasses import dataclass

import numpy as np

from stgt.synthetic.anny_data import HeadData
from stgt.synthetic.atlas import CAVITY_ROWS, HEIGHT, WIDTH, Atlas
from stgt.synthetic.heads import Identity, generator

#: Skin from lightest to darkest (sRGB), after the range of human skin in photographs under neutral light.
SKIN_TONES = np.array(
    [(246, 214, 192), (236, 194, 165), (222, 174, 140), (200, 148, 110), (168, 115, 80), (124, 80, 55), (84, 54, 40)],
    dtype=np.float32,
)
#: Where on that scale people of each ancestry lie: mean and sd of 0..1.
TONE_OF_ANCESTRY = {"african": (0.8, 0.12), "asian": (0.3, 0.13), "caucasian": (0.15, 0.12)}

#: Hair colours (sRGB): black, dark brown, brown, chestnut, dark blond, blond, red, grey, white.
HAIR_COLOURS = np.array(
    [(22, 18, 17), (42, 30, 24), (70, 48, 34), (92, 58, 36), (122, 92, 60), (168, 134, 88), (120, 58, 28), (128, 124, 120),
     (196, 192, 186)],
    dtype=np.float32,
)  # fmt: skip
#: Iris colours (sRGB): dark brown, brown, hazel, green, grey, blue.
IRIS_COLOURS = np.array(
    [(52, 32, 20), (88, 54, 30), (112, 88, 46), (92, 112, 70), (112, 124, 130), (86, 122, 160)], dtype=np.float32
)
EYE_TEXELS = 128
#: Of the eyeball's radius: MakeHuman's eyeballs are 13.8 mm, a human iris 5.9 mm.
IRIS_RADIUS = 0.45


@dataclass(frozen=True)
class Appearance:
    """Textures and colours of one subject; RGB uint8, row 0 at the bottom as VTK wants it.

    Attributes:
        skin: ``(HEIGHT, WIDTH, 3)``, in the layout of ``Atlas``.
        eye: ``(EYE_TEXELS, EYE_TEXELS, 3)``, the front half of an eyeball seen from the front.
        lashes, teeth, tongue: ``(3,)`` colours.
        hair_thickness: ``(N,)`` float32 metres, how far hair stands off each vertex.
        gloss: of the skin's highlights, 0 to 1.
    """

    skin: np.ndarray
    eye: np.ndarray
    lashes: np.ndarray
    teeth: np.ndarray
    tongue: np.ndarray
    hair_thickness: np.ndarray
    gloss: float


@dataclass(frozen=True)
class Look:
    """The numbers an appearance is painted from, drawn once per subject."""

    tone: float  # 0 light to 1 dark
    skin: np.ndarray
    hair: np.ndarray
    brows: np.ndarray
    iris: np.ndarray
    lips: np.ndarray
    cloth: np.ndarray
    baldness: float  # 0 full hair to 1 none in front
    hair_length: float  # m, how far it stands off
    stubble: float  # 0 to 1
    brow_weight: float
    brow_width: float  # m
    freckles: float
    blush: float
    lines: float  # strength of the lines of age


def sample_look(rng: np.random.Generator, identity: Identity) -> Look:
    """Draw the colours of one subject; they depend on ancestry, gender and age as in people."""
    means = np.array([TONE_OF_ANCESTRY[name] for name in TONE_OF_ANCESTRY])
    shares = np.array(identity.ancestry)
    tone = float(np.clip(rng.normal(shares @ means[:, 0], shares @ means[:, 1]), 0, 1))
    skin = _ramp(SKIN_TONES, tone) * rng.normal(1, 0.015, 3)
    dark_share = np.clip(1 - shares[2] * 1.2, 0.0, 1)
    if rng.random() < dark_share:
        hair = HAIR_COLOURS[rng.integers(0, 2)]
        iris = IRIS_COLOURS[0] * rng.uniform(0.8, 1.3)
    else:
        hair = HAIR_COLOURS[rng.integers(0, 7)]
        iris = IRIS_COLOURS[rng.integers(0, 6)] * rng.uniform(0.85, 1.2)
    grey = np.clip((identity.age - 42) / 35 + rng.normal(0, 0.15), 0, 1)
    natural = hair * rng.uniform(0.85, 1.15)
    hair = (1 - grey) * natural + grey * HAIR_COLOURS[7 + (rng.random() < 0.4)]
    brows = 0.75 * ((1 - 0.5 * grey) * natural + 0.5 * grey * hair) + 0.05 * skin
    male = identity.gender > 0.5
    lips = skin * np.array([0.86, 0.60, 0.60]) + np.array([12, 0, 4])
    if not male and rng.random() < 0.35:  # lipstick
        lips = 0.5 * lips + 0.5 * np.array([rng.uniform(130, 190), rng.uniform(30, 70), rng.uniform(50, 90)])
    return Look(
        tone=tone,
        skin=skin.astype(np.float32),
        hair=hair.astype(np.float32),
        brows=brows.astype(np.float32),
        iris=iris.astype(np.float32),
        lips=lips.astype(np.float32),
        cloth=rng.uniform(25, 215, 3).astype(np.float32) * 0.7 + 0.3 * rng.uniform(30, 200),
        baldness=float(np.clip((identity.age - 30) / 60 + rng.normal(0, 0.25), 0, 1)) if male else 0.0,
        hair_length=float(rng.uniform(0.003, 0.012) if male else rng.uniform(0.010, 0.022)),
        stubble=float(rng.choice([0.0, rng.uniform(0.1, 0.4), rng.uniform(0.4, 0.9)], p=[0.45, 0.35, 0.2]) * male),
        brow_weight=float(np.clip(rng.normal(0.85 if male else 0.75, 0.1), 0.5, 1)),
        brow_width=float(np.clip(rng.normal(0.0052 if male else 0.0042, 0.0007), 0.003, 0.007)),
        freckles=float((rng.random() < 0.25) * (1 - tone) * rng.uniform(0.3, 1)),
        blush=float(rng.uniform(0.3, 1.0)),
        lines=float(np.clip((identity.age - 35) / 45, 0, 1)),
    )


def paint(seed: int, subject: int, identity: Identity, data: HeadData) -> Appearance:
    """The appearance of a subject: the same for the same seed and index."""
    rng = generator(seed, "appearance", subject)
    look = sample_look(rng, identity)
    scalp = hair_mask(data.template, look.baldness)
    return Appearance(
        skin=paint_skin(rng, look, data.atlas),
        eye=paint_eye(rng, look),
        lashes=np.clip(0.45 * look.brows, 8, 255),
        teeth=np.array([226, 216, 196]) * rng.uniform(0.85, 1.0),
        tongue=np.array([142, 66, 64]) * rng.uniform(0.85, 1.05),
        hair_thickness=(scalp * look.hair_length).astype(np.float32),
        gloss=float(rng.uniform(0.10, 0.28)),
    )


def paint_skin(rng: np.random.Generator, look: Look, atlas: Atlas) -> np.ndarray:
    """The skin texture ``(HEIGHT, WIDTH, 3)`` uint8: skin, lips, lids, brows, stubble, hair and clothing."""
    place = atlas.place
    x, y, z = place[..., 0], place[..., 1], place[..., 2]
    side = np.abs(x)

    fine = _noise(rng, 256)
    coarse = 0.6 * _noise(rng, 12) + 0.4 * _noise(rng, 40)
    colour = look.skin * (1 + 0.035 * coarse + 0.022 * fine)[..., None]

    # Blood shows through cheeks, nose, chin and ears; less so on dark skin.
    red = _blob(side, y, z, (0.040, -0.035, 0.075), (0.020, 0.016, 0.05))
    red += 0.8 * _blob(side, y, z, (0.0, -0.038, 0.105), (0.012, 0.010, 0.03))
    red += 0.35 * _blob(side, y, z, (0.0, -0.095, 0.09), (0.016, 0.012, 0.04)) + 0.6 * atlas.mask("ears")
    redness = np.clip(red, 0, 1) * look.blush * (0.16 - 0.10 * look.tone)
    colour *= 1 - redness[..., None] * np.array([0.0, 1.0, 0.85])

    shade = 0.20 * _blob(side, y, z, (0.020, -0.014, 0.085), (0.012, 0.006, 0.03)) * (0.5 + look.lines)  # under the eyes
    shade += 0.30 * atlas.mask("lids")
    shade += 0.55 * _blob(side, y, z, (0.0065, -0.0485, 0.096), (0.0042, 0.0022, 0.012))  # nostrils
    shade += 0.25 * _step(-y, 0.100, 0.135) * _step(-z, -0.085, -0.03)  # under the chin
    shade += look.lines * _age_lines(side, y, z)
    colour *= (1 - np.clip(shade, 0, 0.8))[..., None] ** np.array([0.9, 1.05, 1.1])

    freckles = np.clip(_noise(rng, 170) - 1.1, 0, 1) * look.freckles
    freckles *= _blob(side, y, z, (0.025, -0.025, 0.09), (0.035, 0.025, 0.06))
    colour *= 1 - 0.35 * np.clip(freckles, 0, 1)[..., None] * np.array([0.5, 0.9, 1.0])

    if look.stubble > 0:
        beard = _beard(side, y, z) * (1 - atlas.mask("lips"))
        hairs = np.clip(0.55 + 0.35 * fine + 0.2 * coarse, 0.1, 1)
        colour = _mix(colour, 0.8 * look.hair + 0.1 * look.skin, beard * hairs * look.stubble)

    lips = atlas.mask("lips")
    folds = 1 + 0.05 * _noise(rng, 200)
    colour = _mix(colour, look.lips * folds[..., None], 0.85 * lips)
    colour *= (1 - 0.55 * lips * _ridge(y + 0.0665, 0.0018))[..., None]  # where the lips meet

    colour = _mix(colour, look.brows, look.brow_weight * _brows(rng, side, y, z, look.brow_width))

    strands = 1 + 0.16 * _strands(rng) + 0.06 * fine
    colour = _mix(colour, look.hair[None, None] * strands[..., None], hair_mask(place, look.baldness, 0.25 * coarse))

    collar = -0.152 + 0.5 * (z - 0.02) * -0.35 + 0.004 * coarse
    weave = 1 + 0.05 * fine
    colour = _mix(colour, look.cloth * weave[..., None], _step(collar - y, 0.0, 0.004))

    colour[:CAVITY_ROWS, WIDTH // 2 - 8 : WIDTH // 2 + 8] = (46, 14, 14)
    colour[atlas.covered == 0] = look.skin
    colour[:CAVITY_ROWS] = (46, 14, 14)
    return np.clip(colour, 0, 255).astype(np.uint8)


def paint_eye(rng: np.random.Generator, look: Look) -> np.ndarray:
    """An eyeball from the front ``(EYE_TEXELS, EYE_TEXELS, 3)`` uint8: white, limbus, iris, pupil."""
    axis = (np.arange(EYE_TEXELS) + 0.5) / EYE_TEXELS * 2 - 1
    x, y = np.meshgrid(axis, axis)
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    white = np.array([236, 230, 224]) - 26 * np.clip(radius - 0.5, 0, 1)[..., None] * np.array([0.4, 1.0, 1.0])
    white *= (1 - 0.25 * _step(y, 0.15, 0.75))[..., None]  # the lid's shadow
    streaks = sum(
        rng.uniform(0.3, 1) * np.cos(count * angle + rng.uniform(0, 6.28)) for count in (9, 17, 23, 31)
    )
    within = radius / IRIS_RADIUS
    iris = look.iris * (1 + 0.10 * streaks + 0.45 * (within - 0.6))[..., None]
    iris = iris * (1 - 0.55 * _step(within, 0.82, 1.0))[..., None]  # the dark rim
    pupil = rng.uniform(0.32, 0.46)
    colour = _mix(white, iris, 1 - _step(radius, IRIS_RADIUS - 0.02, IRIS_RADIUS + 0.02))
    colour = _mix(colour, np.array([8.0, 7.0, 8.0]), 1 - _step(within, pupil - 0.06, pupil + 0.06))
    return np.clip(colour, 0, 255).astype(np.uint8)


def hair_mask(place: np.ndarray, baldness: float, roughness: np.ndarray | float = 0.0) -> np.ndarray:
    """Share of hair 0..1 at template positions ``(..., 3)``: above a hairline that goes from the forehead over the temples
    behind the ears to the nape; baldness moves its front part up and back."""
    x, y, z = place[..., 0], place[..., 1], place[..., 2]
    # Height of the hairline as a function of how far forward a point lies.
    front = 0.078 + 0.045 * baldness
    forward = np.clip((z - 0.005) / 0.075, 0, 1)
    temple = np.clip((z + 0.005) / 0.03, 0, 1)
    line = -0.075 + (0.075 + 0.012) * temple + (front - 0.012) * forward**1.3
    line = line - 0.012 * _step(np.abs(x), 0.045, 0.07) * (forward > 0.5) * (1 - baldness)
    return _step(y - line + 0.010 * roughness, -0.003, 0.006)


def _beard(side: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    jaw = _step(-y, 0.052 - 0.030 * 1.0 + 0.5 * 0.0, 0.085) * _step(z, 0.01, 0.03) * _step(y, -0.150, -0.125)
    cheek = _step(side, 0.018, 0.034) * _step(-y, 0.035, 0.07)
    lip = _blob(side, y, z, (0.0, -0.0555, 0.1), (0.020, 0.0045, 0.05))
    chin = _step(-y, 0.082, 0.090)
    return np.clip(jaw * np.maximum(cheek, chin) + 0.9 * lip, 0, 1)


def _brows(rng: np.random.Generator, side: np.ndarray, y: np.ndarray, z: np.ndarray, width: float) -> np.ndarray:
    """Density of brow hair: a band that rises outward, thins out at its tail, and breaks into hairs at its edges."""
    along = (side - 0.010) / 0.044  # 0 at the inner end, 1 at the tail
    inside = np.clip(along, 0, 1)
    centre = 0.0200 + 0.0085 * inside - 0.0075 * inside**2.6
    half = width * (1.0 - 0.62 * inside**1.6) * (0.65 + 0.35 * _step(inside, 0.0, 0.25))
    hairs = _strands(rng, 330, 60)
    distance = np.abs(y - centre) / half + 0.28 * hairs
    ends = _step(along, -0.06, 0.06) * (1 - _step(along, 0.9, 1.06))
    return (1 - _step(distance, 0.55, 1.15)) * ends * (z > 0.03) * (0.86 + 0.14 * np.clip(hairs, -1, 1))


def _age_lines(side: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Darkness of forehead lines, folds beside the nose and crow's feet."""
    forehead = sum(_ridge(y - level - 0.004 * np.cos(side * 55), 0.0011) for level in (0.042, 0.052, 0.062))
    forehead = forehead * (1 - _step(side, 0.025, 0.045)) * (z > 0.05)
    fold = _ridge(side - 0.019 - 0.33 * (-0.035 - y), 0.0016) * _step(-y, 0.036, 0.044) * (1 - _step(-y, 0.062, 0.074))
    feet = sum(_ridge(y + slope * (side - 0.044) + 0.002, 0.0009) for slope in (-0.35, 0.1, 0.5))
    feet = feet * _step(side, 0.046, 0.050) * (1 - _step(side, 0.056, 0.064))
    return 0.14 * forehead + 0.22 * fold * (z > 0.04) + 0.16 * feet * (z > 0.02)


def _noise(rng: np.random.Generator, cells: int, stretch: int = 1) -> np.ndarray:
    """Smooth noise over the atlas, mean 0 and sd near 1, without a seam at the back."""
    import cv2

    rows = max(2, cells // 2 // stretch)
    grid = rng.standard_normal((rows, cells)).astype(np.float32)
    margin = 2
    grid = np.concatenate([grid[:, -margin:], grid, grid[:, :margin]], axis=1)
    scale = WIDTH / cells
    full = cv2.resize(grid, (round((cells + 2 * margin) * scale), HEIGHT), interpolation=cv2.INTER_CUBIC)
    start = round(margin * scale)
    return full[:, start : start + WIDTH]


def _strands(rng: np.random.Generator, cells: int = 400, stretch: int = 24) -> np.ndarray:
    """Noise drawn out along the latitude, as combed hair is."""
    return 0.7 * _noise(rng, cells, stretch) + 0.4 * _noise(rng, cells // 3, stretch)


def _blob(side: np.ndarray, y: np.ndarray, z: np.ndarray, centre: tuple, size: tuple) -> np.ndarray:
    """A soft spot 0..1 on both sides of the face."""
    cx, cy, cz = centre
    sx, sy, sz = size
    return np.exp(-0.5 * (((side - cx) / sx) ** 2 + ((y - cy) / sy) ** 2 + ((z - cz) / sz) ** 2))


def _ridge(distance: np.ndarray, width: float) -> np.ndarray:
    return np.exp(-0.5 * (distance / width) ** 2)


def _step(value: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below ``low``, 1 above ``high``, smooth between."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _mix(below: np.ndarray, above: np.ndarray, share: np.ndarray) -> np.ndarray:
    return below + (above - below) * share[..., None]


def _ramp(colours: np.ndarray, position: float) -> np.ndarray:
    place = position * (len(colours) - 1)
    low = min(int(place), len(colours) - 2)
    return colours[low] + (colours[low + 1] - colours[low]) * (place - low)
