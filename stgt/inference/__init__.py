"""Reading expressions with a trained model, in three lines::

    from stgt.inference import ExpressionReader

    reader = ExpressionReader()
    for window in reader.read("video.mp4"):
        print(window.start_s, window.label, window.confidence)

Everything that reads faces with a trained model, from the scores of a dataset to the camera, does so through
``ExpressionReader.predict_prepared``.
"""

from stgt.evaluation.predictions import NO_LABEL, UNCERTAIN
from stgt.inference.devices import choose_device
from stgt.inference.predictions import Prediction, PreparedWindow, Reading, clip_probabilities, top_label
from stgt.inference.reader import ExpressionReader

__all__ = [
    "NO_LABEL",
    "UNCERTAIN",
    "ExpressionReader",
    "Prediction",
    "PreparedWindow",
    "Reading",
    "choose_device",
    "clip_probabilities",
    "top_label",
]
