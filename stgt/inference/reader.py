"""ExpressionReader: a trained model, and the road from a video to predictions."""

from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stgt.errors import SourceError, StgtError
from stgt.graphs.windows import TIME_TOLERANCE_S
from stgt.inference.devices import choose_device
from stgt.inference.predictions import Prediction, PreparedWindow, Reading

if TYPE_CHECKING:
    from stgt.data.sampling import Cut
    from stgt.faces.crops import CropSequence
    from stgt.faces.landmarker import FaceLandmarker
    from stgt.faces.tracks import LandmarkTrack
    from stgt.faces.video import FrameSource
    from stgt.graphs.aligned import AlignedTrack
    from stgt.graphs.neutral import NeutralFace
    from stgt.models.checkpoint import LoadedModel

#: Windows that go through the model at once.
BATCH_WINDOWS = 32

#: A window in which fewer of the source's frames show a face than this share is said to hold none.
GLIMPSE = 0.1


class ExpressionReader:
    """A trained model, ready to read videos.

    Args:
        checkpoint: a ``.safetensors`` file with its ``.json`` beside it, an ``.onnx`` file that ``stgt export`` wrote,
            or a model loaded already; ``pretrained`` is the one that comes with stgt.
        device: ``auto``, ``cpu``, ``cuda`` (or ``cuda:1``), ``mps``.
        min_confidence: from 0 to 1; what is said with a lower probability gets the label ``"uncertain"``.
        engine: what runs the model: ``torch``, ``onnxruntime``, or ``auto`` for the faster of them.

    Attributes:
        engine: an ``Engine``.
        model: the PyTorch model; None for an exported one.

    Raises:
        CheckpointError: the checkpoint is missing, damaged or of another format version.
        StgtError: the device is not there, a ``min_confidence`` that is no probability, or no such engine.
    """

    def __init__(
        self,
        checkpoint: "Path | str | LoadedModel" = "pretrained",
        device: str = "auto",
        min_confidence: float = 0.0,
        engine: str = "auto",
    ) -> None:
        if not 0 <= min_confidence <= 1:
            raise StgtError(f"the least confidence is {min_confidence}; it is a probability, from 0 to 1")
        from stgt.data.clips import WindowReader
        from stgt.engines.choice import engine_for
        from stgt.engines.exported import ExportedModel, is_exported, load_exported
        from stgt.models.checkpoint import load_checkpoint

        loaded = checkpoint
        if isinstance(checkpoint, str | Path):
            loaded = load_exported(checkpoint) if is_exported(checkpoint) else load_checkpoint(checkpoint)
        # What only runs on the CPU is not asked for a GPU by not naming a device.
        on_cpu = device == "auto" and (engine == "onnxruntime" or isinstance(loaded, ExportedModel))
        self.device = choose_device("cpu" if on_cpu else device)
        self.engine = engine_for(loaded, self.device, engine)
        self.model = None if isinstance(loaded, ExportedModel) else loaded.model
        self.temperature = loaded.temperature
        self.pooling = loaded.model_config.pooling
        self.min_confidence = min_confidence
        self.labels: tuple[str, ...] = tuple(loaded.labels)
        self.window = loaded.window
        self.layout = loaded.layout
        self.windows = WindowReader(loaded.model_config, loaded.window)

    def read(
        self,
        source: "FrameSource | Path | str",
        frame_rate: float | None = None,
        landmarker: "FaceLandmarker | None" = None,
        progress: Callable[[int, int | None], None] | None = None,
        neutral_s: tuple[float, float] | None = None,
        windows_progress: Callable[[int, int], None] | None = None,
    ) -> Reading:
        """Read a video file or a folder of images.

        Args:
            source: path of the file or folder, or an open source (which then stays open).
            frame_rate: Hz, of a folder of images.
            landmarker: one to use again for many sources; none: made for this one.
            progress: called after every frame with the frames done and the frames expected, if the source knows.
            neutral_s: (start, end) in seconds, when the person is known to show a neutral face; none: what is neutral
                for this person is estimated as the video runs.
            windows_progress: as for ``predict_windows``.

        Raises:
            SourceError: it cannot be read, or shows no face in ``neutral_s``. A source without any face can be read:
                its windows have the label ``"none"``.
        """
        from stgt.faces.extract import extract

        track, crops = extract(source, landmarker=landmarker, frame_rate=frame_rate, progress=progress)
        neutral = None if neutral_s is None else self.neutral_face(track, *neutral_s)
        predictions = self.predict_windows(track, crops, neutral=neutral, progress=windows_progress)
        return Reading(tuple(predictions), track, self.labels, self.min_confidence, self.pooling)

    def neutral_face(self, track: "LandmarkTrack", start_s: float, end_s: float) -> "NeutralFace":
        """The person's face at rest, as the mean of a part of a track in which it is known to be.

        Raises:
            SourceError: no face is seen in that part.
        """
        from stgt.graphs.neutral import resting_mean

        part = self.windows.align(track.slice(start_s, end_s))
        face = resting_mean(part.points, part.blendshapes, part.valid)
        if face is None:
            raise SourceError(
                f"{track.source} shows no face from {start_s:g} to {end_s:g} s; give another neutral part"
            )
        return face

    def _is_glimpse(self, window: PreparedWindow) -> bool:
        """Whether hardly any frame of a window shows a face: trackers now and then see one where none is."""
        track, start_s = window.track, window.start_s
        end_s = start_s + window.speed * self.window.duration_s
        first, last = track.times.searchsorted((start_s - TIME_TOLERANCE_S, end_s + TIME_TOLERANCE_S))
        return last > first and np.count_nonzero(track.valid[first:last]) < GLIMPSE * (last - first)

    def _neutral_faces(self, track: "AlignedTrack", cuts: "Sequence[Cut]") -> "Iterator[NeutralFace]":
        """The person's face at rest as it is known at the end of each window; every frame is looked at once."""
        from stgt.graphs.neutral import NeutralEstimator

        estimator = NeutralEstimator(self.layout)
        known_s = -np.inf
        for cut in cuts:
            end_s = cut.start_s + cut.speed * self.window.duration_s
            yield self.windows.follow(estimator, track, known_s, end_s)
            known_s = max(known_s, end_s)

    def predict_windows(
        self,
        track: "LandmarkTrack",
        crops: "CropSequence | None" = None,
        starts: Sequence[float] | None = None,
        neutral: "NeutralFace | None" = None,
        face: int = 0,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[Prediction]:
        """What the model says about windows of a track.

        Args:
            track: landmarks of one face.
            crops: its aligned crops, frame by frame; a model that reads geometry only needs none.
            starts: start times in seconds, ascending; none: the windows that speak for a clip, as ``window.testing``
                says: by default one every ``window.hop_s``, so that the track is covered.
            neutral: the person's face at rest; none: for each window as the track shows it up to the window's end.
            face: number of the face.
            progress: called after every batch with the windows done, and how many there are.
        """
        from stgt.data.sampling import Cut, evaluation_cuts

        if starts is not None:
            cuts = [Cut(start_s) for start_s in starts]
        else:
            cuts = evaluation_cuts(*(track.times[[0, -1]] if len(track) else (0.0, 0.0)), self.window, "unknown")
        aligned = self.windows.align(track)
        neutral_faces = self._neutral_faces(aligned, cuts) if neutral is None else repeat(neutral)
        predictions: list[Prediction] = []
        for first in range(0, len(cuts), BATCH_WINDOWS):
            windows = []
            for start_s, speed in cuts[first : first + BATCH_WINDOWS]:
                resting = next(neutral_faces)
                sample = self.windows.read(track, crops, start_s, speed=speed, neutral=resting, aligned=aligned)
                windows.append(PreparedWindow(sample, aligned, start_s, face, speed))
            predictions += self.predict_prepared(windows, track.source)[0]
            if progress is not None:
                progress(len(predictions), len(cuts))
        return predictions

    @property
    def frame_encoder(self) -> "Callable[[np.ndarray], np.ndarray] | None":
        """(N, 3, S, S) uint8 crops -> (N, D) float32, which a sample's ``frames`` may hold in place of the crops.

        For whoever sees the same frame in many windows. None: the model reads no frames, or only as crops.
        """
        import torch

        from stgt.models.registry import ExpressionModel

        if not self.windows.stream_frames or self.engine.name != "torch":
            return None
        if type(self.model).encode_frames is ExpressionModel.encode_frames:
            return None

        def encode(crops: np.ndarray) -> np.ndarray:
            with torch.inference_mode():
                return self.model.encode_frames(torch.from_numpy(crops).to(self.device)).cpu().numpy()

        return encode

    def predict_prepared(
        self, windows: Sequence[PreparedWindow], source: str, attention: bool = False
    ) -> tuple[list[Prediction], np.ndarray | None]:
        """What the model says about windows, of one face or of several, in one batch.

        Args:
            windows: at least one.
            source: the video, folder or camera.
            attention: whether to say where the model looked.

        Returns:
            The predictions; with ``attention`` also (B, V) float64, the share of each node in the frames that hold a
            face, which sums to one, or to zero without any.
        """
        from stgt.data.clips import collate

        batch = collate([window.sample for window in windows])
        shares = np.array([window.sample.mask.mean(dtype=np.float32) for window in windows], np.float64)
        nodes = None
        if attention:
            logits, looked = self.engine.logits_with_attention(batch)
            nodes = (looked.sum(dim=1) / batch.mask.sum(dim=1, keepdim=True).clamp(min=1)).double().numpy()
        else:
            logits = self.engine.logits(batch)
        probabilities = (logits.double() / self.temperature).softmax(dim=-1).numpy()
        shares[[self._is_glimpse(window) for window in windows]] = 0.0
        probabilities[shares == 0] = np.nan
        predictions = []
        for window, row, share in zip(windows, probabilities, shares, strict=True):
            start_s = float(window.start_s)
            last_s = float(window.track.times[-1]) if len(window.track) else 0.0
            predictions.append(
                Prediction(
                    source=source,
                    start_s=start_s,
                    end_s=min(start_s + window.speed * self.window.duration_s, max(last_s, start_s)),
                    labels=self.labels,
                    probabilities=row,
                    valid_share=float(share),
                    face=window.face,
                    min_confidence=self.min_confidence,
                )
            )
        return predictions, nodes
