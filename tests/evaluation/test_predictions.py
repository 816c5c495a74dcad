from dataclasses import replace

import numpy as np
import pytest

from stgt.errors import StgtError
from stgt.evaluation.pooling import pool_windows
from stgt.evaluation.predictions import PredictionTable


def test_csv_brings_back_every_bit_of_a_float32(tmp_path, with_faceless_clip):
    path = tmp_path / "deep" / "predictions.csv"
    with_faceless_clip.to_csv(path)
    header = path.read_text().splitlines()[0]
    assert header == "clip_id,subject,fold,label,predicted,confidence,p_neutral,p_happiness,p_surprise,p_sadness"
    back = PredictionTable.from_csv(path)
    assert back.labels == with_faceless_clip.labels
    assert back.clip_ids == with_faceless_clip.clip_ids
    assert back.subjects == with_faceless_clip.subjects
    assert back.truth == with_faceless_clip.truth
    assert back.predicted == with_faceless_clip.predicted
    np.testing.assert_array_equal(back.folds, with_faceless_clip.folds)
    np.testing.assert_array_equal(back.probabilities.astype(np.float32), with_faceless_clip.probabilities)


def test_a_clip_without_a_face_keeps_its_row(tmp_path, with_faceless_clip):
    assert with_faceless_clip.predicted[0] == "none"
    assert not with_faceless_clip.read[0]
    assert with_faceless_clip.read[1:].all()
    with_faceless_clip.to_csv(tmp_path / "p.csv")
    assert (tmp_path / "p.csv").read_text().splitlines()[1].endswith(",none,,,,,")


def test_folds_joined_are_the_whole(table):
    parts = [table.fold(number) for number in range(5)]
    whole = PredictionTable.concat(parts)
    assert sorted(whole.clip_ids) == sorted(table.clip_ids)
    assert sum(map(len, parts)) == len(table)
    other = PredictionTable(("a",), (), (), np.zeros(0), (), np.zeros((0, 1)))
    with pytest.raises(StgtError, match="different labels"):
        PredictionTable.concat([table, other])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"truth": ("fear", "happiness")}, "label 'fear', which the model does not know"),
        ({"clip_ids": ("x", "x")}, "'x' stands twice"),
        ({"subjects": ("1",)}, "2 clip_ids but 1 subjects"),
        ({"labels": ("neutral", "neutral")}, "label name stands twice"),
    ],
)
def test_contradictions_are_named(change, message):
    fields = {
        "labels": ("neutral", "happiness"),
        "clip_ids": ("x", "y"),
        "subjects": ("1", "2"),
        "folds": np.array([0, 0]),
        "truth": ("neutral", "happiness"),
        "probabilities": np.full((2, 2), 0.5),
    }
    with pytest.raises(StgtError, match=message):
        PredictionTable(**{**fields, **change})


@pytest.mark.parametrize("text", ["", "a,b,c\n1,2,3\n", "clip_id,subject,fold,label,predicted,confidence\n"])
def test_another_csv_is_refused(tmp_path, text):
    (tmp_path / "other.csv").write_text(text)
    with pytest.raises(StgtError, match="not a table of predictions"):
        PredictionTable.from_csv(tmp_path / "other.csv")


def test_a_missing_or_damaged_csv_is_refused(tmp_path, table):
    with pytest.raises(StgtError, match="cannot be read"):
        PredictionTable.from_csv(tmp_path / "none.csv")
    table.to_csv(tmp_path / "p.csv")
    text = (tmp_path / "p.csv").read_text()
    (tmp_path / "p.csv").write_text(text[: len(text) // 2])
    with pytest.raises(StgtError, match="damaged"):
        PredictionTable.from_csv(tmp_path / "p.csv")


def test_windows_are_pooled_by_their_share_of_frames_with_a_face():
    values = np.array([[1.0, 0.0], [0.0, 1.0], [np.nan, np.nan], [0.5, 0.5], [np.nan, np.nan]])
    pooled = pool_windows(values, np.array([1.0, 0.25, 0.0, 1.0, 0.0]), np.array([0, 0, 0, 1, 2]), 3)
    np.testing.assert_allclose(pooled[0], [0.8, 0.2])
    np.testing.assert_allclose(pooled[1], [0.5, 0.5])
    assert np.isnan(pooled[2]).all()


def test_clips_of_several_datasets_keep_their_names(tmp_path, table):
    where = tuple("near" if index % 3 else "far" for index in range(len(table)))
    union = replace(table, datasets=where)
    union.to_csv(tmp_path / "union.csv")
    again = PredictionTable.from_csv(tmp_path / "union.csv")
    assert again.datasets == where
    assert again.clip_ids == table.clip_ids
    assert len(again.dataset("far")) == where.count("far")
    assert set(again.dataset("far").datasets) == {"far"}
    assert PredictionTable.concat([again.dataset("far"), again.dataset("near")]).datasets.count("near") == where.count(
        "near"
    )
    table.to_csv(tmp_path / "one.csv")
    assert "dataset" not in (tmp_path / "one.csv").read_text().split("\n")[0]
    assert not len(again.dataset("nowhere"))


def test_people_whom_nobody_knows_are_counted(table):
    assert table.strangers == 0
    assert replace(table, subjects=table.clip_ids).strangers == len(table)
    ids = tuple(f"near/{clip_id}" for clip_id in table.clip_ids)
    subjects = tuple(f"near:{clip_id}" for clip_id in table.clip_ids)
    assert replace(table, clip_ids=ids, subjects=subjects).strangers == len(table)
