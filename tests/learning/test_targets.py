"""What clips are held against in training: votes, and what is estimated where there are none."""

from dataclasses import replace

import numpy as np
import pytest

from stgt.config import AugmentationConfig, ModelConfig, OptimisationConfig, TrainConfig, WindowConfig
from stgt.data.catalog.cards import load_card
from stgt.data.catalog.layouts import Clip
from stgt.data.clips import WindowDataset, collate
from stgt.data.preparation.prepare import prepare_clips
from stgt.data.protocols import Fold
from stgt.errors import DatasetError, StgtError
from stgt.evaluation.distributions import distribution_scores
from stgt.evaluation.report import ModelResult
from stgt.files import read_json
from stgt.graphs.layout import load_layout
from stgt.learning.augmentation import Augmentation
from stgt.learning.fitting import FoldFit, FoldTask, fit_fold
from stgt.learning.progress import Progress
from stgt.learning.publish import Outcome, write_results
from stgt.learning.results import model_result
from stgt.learning.run import ModelRun
from stgt.learning.targets import TargetedWindows, make_targets, with_majority
from stgt.learning.targets.neighbours import discriminants, geometry_features, neighbour_shares
from stgt.terms import parse_targets

LABELS = ("anger", "fear", "joy")
#: Ten votes, a majority of which is on no class; and on one.
SPLIT = {"anger": 0.4, "fear": 0.35, "joy": 0.25}
CLEAR = {"joy": 0.8, "anger": 0.2}
CLIPS = [
    Clip("split", "a.mp4", "P1", "anger", shares=SPLIT),
    Clip("clear", "b.mp4", "P2", "joy", shares=CLEAR),
    Clip("single", "c.mp4", "P3", "fear"),
]


def targets(text: str, clips=CLIPS, epochs=5, seed=0, prepared=None):
    return make_targets(parse_targets(text), clips, LABELS, prepared, epochs, seed)


def rows(text: str, epoch=0, **settings) -> np.ndarray:
    made = targets(text, **settings)
    return np.array([made.of(number, epoch, 0) for number in range(len(CLIPS))])


def test_a_single_label_needs_no_targets():
    assert targets("single") is None


def test_shares_as_they_are():
    np.testing.assert_allclose(rows("distribution"), [[0.4, 0.35, 0.25], [0.2, 0, 0.8], [0, 1, 0]])


def test_classes_that_the_model_does_not_know_are_left_out():
    strange = [replace(CLIPS[0], shares={"anger": 0.3, "calm": 0.4, "joy": 0.3}), replace(CLIPS[1], shares={"calm": 1})]
    np.testing.assert_allclose(
        [targets("distribution", strange).of(n, 0, 0) for n in (0, 1)], [[0.5, 0, 0.5], [0, 0, 1]]
    )


def test_majority():
    kept = with_majority(parse_targets("majority"), CLIPS, LABELS)
    assert [clip.clip_id for clip in kept] == ["clear", "single"]
    assert with_majority(parse_targets("distribution"), CLIPS, LABELS) == CLIPS
    np.testing.assert_allclose([targets("majority", kept).of(n, 0, 0) for n in (0, 1)], [[0, 0, 1], [0, 1, 0]])
    assert len(with_majority(parse_targets("majority(threshold=0.35)"), CLIPS, LABELS)) == 3
    with pytest.raises(DatasetError, match="of the 1 training clips none has a class with a share of more than 0.5"):
        with_majority(parse_targets("majority"), CLIPS[:1], LABELS)


def test_several_labels():
    np.testing.assert_allclose(rows("multi_label"), [[0.5, 0.5, 0], [0, 0, 1], [0, 1, 0]])
    np.testing.assert_allclose(rows("multi_label(threshold=0.2)"), [[1 / 3] * 3, [0.5, 0, 0.5], [0, 1, 0]])
    np.testing.assert_allclose(rows("multi_label(threshold=0.9)"), [[1, 0, 0], [0, 0, 1], [0, 1, 0]])


def test_a_class_is_drawn_anew_in_every_epoch():
    made, again = targets("draw", seed=3), targets("draw", seed=3)
    drawn = [made.of(0, epoch, visit) for epoch in range(300) for visit in range(10)]
    assert drawn == [again.of(0, epoch, visit) for epoch in range(300) for visit in range(10)]
    np.testing.assert_allclose(np.bincount(drawn) / 3000, [0.4, 0.35, 0.25], atol=0.03)
    assert {made.of(1, epoch, 0) for epoch in range(50)} == {0, 2}
    assert {made.of(2, epoch, 0) for epoch in range(50)} == {1}
    assert [targets("draw", seed=4).of(0, epoch, 0) for epoch in range(50)] != drawn[:500:10]


def test_labels_smoothed_by_what_their_class_is_taken_for():
    clips = [*CLIPS, Clip("other", "d.mp4", "P4", "joy", shares={"joy": 0.6, "fear": 0.4})]
    made = targets("class_mean(share=0.5)", clips)
    # Joy is on average 0.7 joy, 0.2 fear and 0.1 anger.
    np.testing.assert_allclose(made.of(1, 0, 0), [0.05, 0.1, 0.85], rtol=1e-6)
    np.testing.assert_allclose(made.of(3, 9, 1), made.of(1, 0, 0))
    np.testing.assert_allclose(made.of(2, 0, 0), [0, 1, 0])


@pytest.mark.parametrize("kind", ["majority", "multi_label", "draw", "distribution", "class_mean"])
def test_without_shares_there_is_nothing_to_learn_of_them(kind):
    with pytest.raises(DatasetError, match=f"targets is {kind}, but no clip of the training has shares"):
        targets(kind, CLIPS[2:])


def test_parts_are_from_nothing_to_all():
    with pytest.raises(StgtError, match="threshold is 1.5; it is from 0 to 1"):
        targets("multi_label(threshold=1.5)")
    with pytest.raises(StgtError, match="neighbours is 0; at least one"):
        targets("estimated(neighbours=0)")


def test_neighbours_by_hand():
    # On a line: 0 and 1 are of one subject, 2 and 6 of others.
    features, subjects = np.array([[0.0], [1.0], [2.0], [6.0]]), np.array([0, 0, 1, 2])
    shares = np.eye(4)
    found = neighbour_shares(features, subjects, shares, neighbours=2)
    # Of the first, distances 2 and 6, the latter the scale: weights exp(-4 / 72) and exp(-1 / 2).
    near, far = np.exp(-4 / 72), np.exp(-0.5)
    np.testing.assert_allclose(found[0], [0, 0, near / (near + far), far / (near + far)])
    # Of the third: 1 at a distance of 1, 0 at one of 2.
    near, far = np.exp(-1 / 8), np.exp(-0.5)
    np.testing.assert_allclose(found[2], [far / (near + far), near / (near + far), 0, 0])
    alone = neighbour_shares(features[:2], subjects[:2], shares[:2], neighbours=2)
    np.testing.assert_array_equal(alone, shares[:2], err_msg="without anybody else a clip is what it is")


def test_discriminants_look_where_classes_differ():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    # One direction is loud and says nothing, the other is quiet and says the class.
    features = np.stack((rng.normal(0, 3, 60), 4 * labels + rng.normal(0, 0.5, 60)), axis=1)
    told = discriminants(features, labels, np.arange(60) < 40)
    assert told.shape == (60, 1)
    between = abs(told[labels == 0].mean() - told[labels == 1].mean())
    assert between > 2 * max(told[labels == label].std() for label in (0, 1))
    np.testing.assert_array_equal(discriminants(features, labels, labels == 0), features)


@pytest.fixture(scope="module")
def prepared_clips(rendered_face_clip, tmp_path_factory):
    """A neutral face and a smile, of three subjects who look the same, one smile taken for anger; and no face."""
    clips = [
        Clip(f"{subject}_{label}", rendered_face_clip, subject, label, start_s=start_s, end_s=start_s + 0.4)
        for subject in ("P1", "P2", "P3")
        for label, start_s in (("fear", 0.0), ("joy", 1.2))
    ]
    clips[1] = replace(clips[1], label="anger")
    return clips, prepare_clips(clips, cache=str(tmp_path_factory.mktemp("targets")), workers=1, progress=False)


def test_estimated_shares_come_from_alike_faces_of_other_people(prepared_clips):
    clips, prepared = prepared_clips
    made = targets("estimated(neighbours=2,start=0.5,end=0.1)", clips, epochs=5, prepared=prepared)
    # The smile that was called anger looks like the two that were called joy, and they like it and each other.
    np.testing.assert_allclose(made.of(1, 0, 0), [0.5, 0, 0.5], atol=0.01)
    np.testing.assert_allclose(made.of(3, 0, 0), [0.25, 0, 0.75], atol=0.01)
    # The neutral faces are among themselves.
    np.testing.assert_allclose(made.of(0, 0, 0), [0, 1, 0], atol=0.01)
    # Along half a cosine: 0.5, 0.3 halfway, 0.1 at the end.
    estimates = [made.of(1, epoch, 0)[2] for epoch in (0, 1, 2, 4, 9)]
    np.testing.assert_allclose(estimates, [0.5, 0.1 + 0.2 * (1 + np.sqrt(0.5)), 0.3, 0.1, 0.1], atol=0.01)
    assert made.of(1, 0, 0).dtype == np.float32


def test_a_clip_without_a_face_keeps_its_label(prepared_clips):
    clips, prepared = prepared_clips

    class Blind:
        """Prepared clips, in the first of which no face was found."""

        def track(self, clip: Clip):
            track = prepared.track(clip)
            return replace(track, valid=np.zeros_like(track.valid)) if clip is clips[1] else track

    assert geometry_features(Blind().track(clips[1]), load_layout("landmarks68")) is None
    made = targets("estimated(neighbours=2)", clips, prepared=Blind())
    np.testing.assert_array_equal(made.of(1, 0, 0), [1, 0, 0])
    np.testing.assert_allclose(made.of(3, 0, 0).sum(), 1, rtol=1e-6)


def test_windows_carry_their_targets(prepared_clips):
    clips, prepared = prepared_clips
    clips = [replace(clip, shares=shares) for clip, shares in zip(clips, (SPLIT, CLEAR) * 3, strict=True)]
    window = WindowConfig(frames=2)
    augmentation = Augmentation(AugmentationConfig(), load_layout("landmarks68"))
    windows = WindowDataset(clips, prepared, LABELS, ModelConfig(), window, augmentation, seed=1)
    shared = TargetedWindows(windows, targets("distribution", clips))
    assert len(shared) == len(windows)
    batch = collate([shared[(0, 0)], shared[(3, 1)]])
    np.testing.assert_allclose(batch.target, [[0.4, 0.35, 0.25], [0.2, 0, 0.8]])
    np.testing.assert_array_equal(batch.geometry[1], windows[(3, 1)].geometry)
    drawn = TargetedWindows(windows, targets("draw", clips, seed=1))
    classes = {drawn[(epoch, 0, 1)].target for epoch in range(12)}
    assert classes == {0, 1, 2}
    assert collate([drawn[(0, 0)], drawn[(0, 1)]]).target.dtype.is_floating_point is False


def task_of(prepared_clips, folder, text: str) -> FoldTask:
    """Three classes on four clips with shares, tested on two."""
    clips, prepared = prepared_clips
    clips = [replace(clip, shares=shares) for clip, shares in zip(clips, (SPLIT, CLEAR) * 3, strict=True)]
    clips = [replace(clip, label=max(clip.shares, key=clip.shares.get)) for clip in clips]
    config = TrainConfig(
        "folder",
        validation=0.5,
        accelerator="cpu",
        model=ModelConfig("stgcn", width=8),
        window=WindowConfig(frames=4),
        optimisation=OptimisationConfig(epochs=2, batch_size=2, targets=text, label_smoothing=0.0),
    )
    fold = Fold(0, tuple(clips[:4]), tuple(clips[4:]))
    return FoldTask(config, config.model, fold, LABELS, prepared, folder, folder)


def fit(task: FoldTask) -> ModelResult:
    run = ModelRun(task.model, (fit_fold(task, Progress()),))
    return model_result(run, [task.fold], task.prepared)


@pytest.mark.usefixtures("figures_are_blank")
def test_a_training_by_shares_and_its_report(prepared_clips, tmp_path):
    result = fit(task_of(prepared_clips, tmp_path / "first", "draw"))
    again = fit(task_of(prepared_clips, tmp_path / "second", "draw"))
    np.testing.assert_array_equal(result.honest.probabilities, again.honest.probabilities)
    others = fit(task_of(prepared_clips, tmp_path / "third", "distribution"))
    assert result.curves[0][0]["train_loss"] != others.curves[0][0]["train_loss"]
    assert set(result.shares) == {"P3_fear", "P3_joy"}
    outcome = Outcome("Shares", load_card("folder"), "One fold.", [others], {}, {}, "stgt train", 0)
    write_results(tmp_path, outcome)
    found = read_json(tmp_path / "metrics.json")["models"]["stgcn"]["distribution"]
    assert found["clips"] == 2
    expected = distribution_scores(others.honest, others.shares)
    assert found["kullback_leibler"] == pytest.approx(expected.kullback_leibler)
    page = (tmp_path / "report.html").read_text()
    assert "Shares of classes" in page
    assert f"{expected.kullback_leibler:.3f}" in page


def test_a_model_that_learned_shares_has_its_temperature_fitted_to_shares(prepared_clips, tmp_path):
    for text, shared in (("single", False), ("draw", True), ("distribution", True), ("estimated", False)):
        task = task_of(prepared_clips, tmp_path, text)
        loss = FoldFit(task, Progress()).calibration_loss()
        assert (loss is not None) == shared
        if shared:
            assert set(loss.keywords["shares"]) == {"P2_fear", "P2_joy"}, "of those held out"
