"""A model asked about classes that are not all its own: what is scored, and that the rest is told."""

from pathlib import Path

import numpy as np
import pytest

from stgt.data.catalog.layouts import Clip
from stgt.errors import DatasetError, StgtError
from stgt.evaluation.matching import match_labels

MODEL = ("neutral", "anger", "happiness")
#: Probabilities of three clips; the last one has no face.
SAID = np.array([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1], [np.nan, np.nan, np.nan]])


def clips(*labels: str) -> list[Clip]:
    return [Clip(f"c{number}", Path("x"), f"s{number}", label) for number, label in enumerate(labels)]


def found(labels, **choices):
    return match_labels(clips(*labels), dict.fromkeys(labels), MODEL, dataset="there", **choices)


def test_what_the_model_cannot_name_is_left_out_and_told():
    matching = found(["joy", "joy", "wink", "Angry"])
    kept = matching.kept(clips("joy", "joy", "wink", "Angry"))
    assert [(clip.clip_id, clip.label) for clip in kept] == [("c0", "happiness"), ("c1", "happiness"), ("c3", "anger")]
    assert matching.columns == MODEL
    assert matching.phrases() == [
        "joy counts as happiness, Angry counts as anger",
        "wink: 1 clip that the model cannot name is left out",
        "the model may also answer neutral, which is then a mistake",
    ]
    np.testing.assert_allclose(matching.narrowed(SAID), SAID)
    assert matching.to_dict()["unmatched_dataset"] == {"wink": 1}


def test_it_can_count_as_a_mistake():
    matching = found(["joy", "wink", "wink"], unmatched="mistake")
    kept = matching.kept(clips("joy", "wink", "wink"))
    assert [clip.label for clip in kept] == ["happiness", "wink", "wink"]
    assert matching.columns == (*MODEL, "wink")
    assert "wink: 2 clips that the model cannot name count as mistakes" in matching.phrases()
    assert matching.narrowed(SAID)[:2, 3].tolist() == [0, 0]


def test_the_model_can_be_asked_for_the_shared_classes_only():
    matching = found(["joy", "anger"], answers="shared")
    assert matching.columns == ("anger", "happiness")
    narrowed = matching.narrowed(SAID)
    np.testing.assert_allclose(narrowed[:2], [[3 / 8, 5 / 8], [3 / 4, 1 / 4]])
    assert np.isnan(narrowed[2]).all(), "a clip without a face stays one"
    assert "the model is asked for the shared classes only, not for neutral" in matching.phrases()


def test_a_model_that_puts_nothing_on_the_shared_classes_knows_nothing_of_them():
    matching = found(["joy", "anger", "wink"], answers="shared", unmatched="mistake")
    np.testing.assert_allclose(matching.narrowed(np.array([[1.0, 0.0, 0.0]])), [[0.5, 0.5, 0.0]])


def test_nothing_is_said_where_nothing_differs():
    matching = found(MODEL)
    assert matching.phrases() == []
    assert [row["fate"] for row in matching.rows()] == ["scored"] * 3


def test_every_label_has_a_row():
    rows = found(["joy", "wink"]).rows()
    assert [(row["dataset"], row["clips"], row["model"]) for row in rows] == [
        ("joy", 1, "happiness"),
        ("wink", 1, ""),
        ("", 0, "neutral"),
        ("", 0, "anger"),
    ]
    assert rows[1]["fate"].startswith("left out")


def test_without_a_common_class_there_is_nothing_to_score():
    with pytest.raises(DatasetError, match="no class in common: the model knows neutral, anger, happiness.*wink"):
        found(["wink"])
    assert found(["wink"], extra={"wink": "happiness"}).matched.pairs == {"wink": "happiness"}


def test_unknown_choices_are_refused():
    with pytest.raises(StgtError, match="--unmatched is 'drop'; it is leave_out or mistake"):
        found(["joy"], unmatched="drop")
    with pytest.raises(StgtError, match="--answers is 'some'"):
        found(["joy"], answers="some")
