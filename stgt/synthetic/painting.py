"""Painting the textures of a head.

Colours are functions of the place on the template mesh (metres; x to the person's left, y up, 0 at eye height), so that
brows, lips and stubble move with the skin. All of it is procedural: no photograph is used.
"""

import numpy as np

from stgt.synthetic.appearance import Look
from stgt.synthetic.atlas import CAVITY_ROWS, Atlas
from stgt.synthetic.hair import above_hairline
from stgt.synthetic.noise import mix, noise, ridge, spot, step, strands

#: Of the eyeball's radius: MakeHuman's eyeballs measure 13.8 mm, a human iris 5.9 mm.
IRIS_RADIUS = 0.44
EYE_TEXELS, CLOTH_TEXELS, STRAND_TEXELS = 128, 64, 256
CAVITY_COLOUR = (44, 15, 15)  # inside of the mouth


def paint_skin(rng: np.random.Generator, look: Look, atlas: Atlas) -> np.ndarray:
    """Skin, lips, lids, brows, stubble, hair and collar: ``(HEIGHT, WIDTH, 3)`` float32, 0..255."""
    place = atlas.place
    y = place[..., 1]
    fine, coarse = noise(rng, 300), 0.6 * noise(rng, 12) + 0.4 * noise(rng, 40)

    colour = look.skin * (1 + 0.030 * coarse + 0.018 * fine)[..., None]
    colour = _redden(colour, look, atlas)
    colour = _shade(colour, look, atlas)
    freckles = (
        np.clip(noise(rng, 190) - 1.1, 0, 1) * look.freckles * spot(place, (0.025, -0.025, 0.09), (0.035, 0.025, 0.06))
    )
    colour *= 1 - 0.35 * freckles[..., None] * np.array([0.5, 0.9, 1.0])

    colour = _paint_lips(colour, rng, look, atlas)
    if look.stubble > 0:
        hairs = np.clip(0.6 + 0.3 * fine + 0.2 * coarse, 0.1, 1)
        share = _beard(place) * (1 - atlas.mask("lips")) * hairs * look.stubble
        colour = mix(colour, 0.75 * look.hair + 0.12 * look.skin, share)
    colour = mix(colour, look.brows, look.brow_density * _brows(rng, place, look))

    scalp = step(above_hairline(place, look.style) + 0.003 * coarse + 0.0026 * strands(rng, 240, 6), -0.004, 0.008)
    scalp *= 1 - atlas.mask("ears")
    combed = 1 + 0.15 * strands(rng) + 0.05 * fine
    crown = 0.82 + 0.25 * step(y, 0.02, 0.11)  # light comes from above
    colour = mix(colour, look.hair * (combed * crown)[..., None], scalp)

    from_neck = np.hypot(place[..., 0], place[..., 2] + 0.025)
    nape = step(from_neck, 0.060, 0.068) * step(-y, 0.103, 0.110) * (1 - step(place[..., 2], 0.0, 0.03))
    collar = np.maximum(step(-y, 0.126, 0.130), nape)
    colour = mix(colour, look.cloth * (1 + 0.05 * fine)[..., None], collar)
    colour[atlas.covered == 0] = look.skin
    colour[:CAVITY_ROWS] = CAVITY_COLOUR
    return np.clip(colour, 0, 255).astype(np.float32)


def paint_eye(rng: np.random.Generator, look: Look) -> np.ndarray:
    """An eyeball from the front ``(EYE_TEXELS, EYE_TEXELS, 3)`` uint8: white, limbus, iris, pupil."""
    axis = (np.arange(EYE_TEXELS) + 0.5) / EYE_TEXELS * 2 - 1
    x, y = np.meshgrid(axis, axis)
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    white = np.array([226, 219, 213]) * (1 - 0.16 * step(radius, 0.5, 1.0)[..., None] * np.array([0.5, 1.0, 1.0]))
    streaks = sum(rng.uniform(0.3, 1) * np.cos(count * angle + rng.uniform(0, 6.28)) for count in (9, 17, 23, 31))
    within = radius / IRIS_RADIUS
    iris = look.iris * (1 + 0.08 * streaks + 0.5 * (within - 0.6))[..., None]
    iris = iris * (1 - 0.55 * step(within, 0.80, 1.0))[..., None]  # the dark rim
    pupil = rng.uniform(0.34, 0.46)
    colour = mix(white, iris, 1 - step(radius, IRIS_RADIUS - 0.025, IRIS_RADIUS + 0.025))
    colour = mix(colour, np.array([9.0, 8.0, 9.0]), 1 - step(within, pupil - 0.06, pupil + 0.06))
    colour = colour * (1 - 0.30 * step(y, 0.05, 0.5))[..., None]  # the upper lid's shadow
    return np.clip(colour, 0, 255).astype(np.uint8)


def paint_cloth(rng: np.random.Generator, look: Look) -> np.ndarray:
    """A piece of cloth ``(CLOTH_TEXELS, CLOTH_TEXELS, 3)`` uint8 that repeats: plain, striped or checked."""
    axis = np.arange(CLOTH_TEXELS)
    weave = rng.normal(0, 0.04, (CLOTH_TEXELS, CLOTH_TEXELS))
    kind = rng.choice(["plain", "plain", "stripes", "checks"])
    band = 0.16 * (np.sin(2 * np.pi * axis * rng.integers(2, 6) / CLOTH_TEXELS) > 0.3)
    if kind != "plain":
        weave = weave - band[:, None]
    if kind == "checks":
        weave = weave - band[None, :]
    return np.clip(look.cloth * (1 + weave)[..., None], 0, 255).astype(np.uint8)


def paint_strands(rng: np.random.Generator, look: Look) -> np.ndarray:
    """Long hair ``(STRAND_TEXELS, STRAND_TEXELS, 3)`` uint8: strands from top to bottom, darker towards the ends."""
    import cv2

    grid = rng.standard_normal((5, 110)).astype(np.float32)
    lines = cv2.resize(grid, (STRAND_TEXELS, STRAND_TEXELS), interpolation=cv2.INTER_CUBIC)
    broad = cv2.resize(rng.standard_normal((3, 18)).astype(np.float32), (STRAND_TEXELS, STRAND_TEXELS))
    down = np.linspace(0.80, 1.05, STRAND_TEXELS)[:, None]
    return np.clip(look.hair * ((1 + 0.15 * lines + 0.12 * broad) * down)[..., None], 0, 255).astype(np.uint8)


def _redden(colour: np.ndarray, look: Look, atlas: Atlas) -> np.ndarray:
    """Blood shows through cheeks, nose, chin and ears; less so on dark skin."""
    place = atlas.place
    red = spot(place, (0.040, -0.032, 0.075), (0.020, 0.016, 0.05)) + 0.6 * atlas.mask("ears")
    red += 0.8 * spot(place, (0.0, -0.038, 0.105), (0.012, 0.010, 0.03))
    red += 0.35 * spot(place, (0.0, -0.095, 0.09), (0.016, 0.012, 0.04))
    share = np.clip(red, 0, 1) * look.blush * (0.15 - 0.10 * look.tone)
    return colour * (1 - share[..., None] * np.array([0.0, 1.0, 0.85]))


def _shade(colour: np.ndarray, look: Look, atlas: Atlas) -> np.ndarray:
    """What light does not reach, and the darker skin of lids, eye rings and age lines."""
    place = atlas.place
    x, y, z = np.abs(place[..., 0]), place[..., 1], place[..., 2]
    shade = 0.14 * spot(place, (0.019, -0.013, 0.085), (0.011, 0.005, 0.03)) * (0.5 + look.age_lines)
    shade += 0.22 * atlas.mask("lids") + 0.22 * spot(place, (0.014, 0.004, 0.085), (0.006, 0.005, 0.02))
    shade += 0.75 * spot(place, (0.0062, -0.0478, 0.098), (0.0036, 0.0018, 0.014))  # nostrils
    shade += 0.30 * step(-y, 0.098, 0.125) * (1 - step(z, 0.05, 0.085))  # under the chin
    shade += 0.18 * atlas.mask("ears") * step(-z, -0.004, 0.012)
    fold_course = 0.0195 + 0.0150 * np.clip((-0.034 - y) / 0.040, 0, 1)
    fold = ridge(x - fold_course, 0.0022) * step(-y, 0.033, 0.040) * (1 - step(-y, 0.060, 0.074)) * (z > 0.04)
    forehead = sum(ridge(y - level + 0.003 * np.sin(70 * x), 0.0011) for level in (0.037, 0.048, 0.059))
    feet = sum(ridge(y + slope * (x - 0.044) + 0.002, 0.0009) for slope in (-0.35, 0.1, 0.5))
    feet = feet * step(x, 0.046, 0.050) * (1 - step(x, 0.056, 0.064)) * (z > 0.02)
    lines = 0.16 * fold + 0.07 * forehead * (1 - step(x, 0.025, 0.045)) * (z > 0.05) + 0.12 * feet
    shade += (0.15 + look.age_lines) * lines
    return colour * (1 - np.clip(shade, 0, 0.85))[..., None] ** np.array([0.9, 1.05, 1.1])


def _paint_lips(colour: np.ndarray, rng: np.random.Generator, look: Look, atlas: Atlas) -> np.ndarray:
    x, y = np.abs(atlas.place[..., 0]), atlas.place[..., 1]
    lips = atlas.mask("lips")
    folds = 1 + 0.05 * noise(rng, 260) + 0.06 * ridge(y + 0.0735, 0.002)  # the lower lip catches light
    colour = mix(colour, look.lips * folds[..., None], look.lip_strength * lips)
    seam = 0.5 * lips * ridge(y + 0.0662, 0.0014)
    corner = 0.35 * ridge(x - 0.0262, 0.0022) * ridge(y + 0.0655, 0.0016)
    return colour * (1 - np.clip(seam + corner, 0, 0.8))[..., None]


def _beard(place: np.ndarray) -> np.ndarray:
    """Where a beard grows, 0..1: jaw, chin and upper lip."""
    x, y, z = np.abs(place[..., 0]), place[..., 1], place[..., 2]
    edge = -0.072 + 0.052 * step(x, 0.030, 0.062)  # the beard's upper edge climbs from the mouth to the sideburn
    jaw = step(edge - y, 0.0, 0.014) * step(x + 0.4 * (-0.078 - y), 0.018, 0.032)
    chin = step(-y, 0.084, 0.093)
    under = 1 - step(-y, 0.112, 0.130)
    lip = spot(place, (0.0, -0.0562, 0.1), (0.019, 0.0042, 0.05))
    return np.clip(np.maximum(jaw, chin) * under * step(z, 0.0, 0.02) + 0.9 * lip, 0, 1)


def _brows(rng: np.random.Generator, place: np.ndarray, look: Look) -> np.ndarray:
    """Density of brow hair 0..1: a band that rises outward, thins to its tail, and breaks into hairs at its edges."""
    x, y, z = np.abs(place[..., 0]), place[..., 1], place[..., 2]
    along = (x - 0.0115) / 0.0415  # 0 at the inner end, 1 at the tail
    inside = np.clip(along, 0, 1)
    centre = look.brow_height + 0.0095 * inside - 0.0085 * inside**2.6
    half = look.brow_width * (1.0 - 0.62 * inside**1.6) * (0.7 + 0.3 * step(inside, 0.0, 0.25))
    hairs = strands(rng, 380, 8)
    distance = np.abs(y - centre) / half + 0.22 * hairs
    ends = step(along, -0.05, 0.08) * (1 - step(along, 0.88, 1.06))
    return (1 - step(distance, 0.5, 1.15)) * ends * (z > 0.03) * np.clip(0.88 + 0.14 * hairs, 0, 1)
