"""The study of label distributions: what annotators say, what is measured, and what its trainings are told."""

from dataclasses import replace
from types import SimpleNamespace

import label_distributions as study
import numpy as np
import pytest
from label_distributions import LABEL, SHARES, VOTES, Annotators, measure, relabelled
from studies import Material, dot_figure, mean_and_spread

from stgt.config import TrainConfig
from stgt.data.catalog.layouts import Clip
from stgt.data.protocols import Fold
from stgt.errors import StgtError
from stgt.evaluation.predictions import PredictionTable

LABELS = ("anger", "fear", "happiness")


def clip(name, **shares):
    strongest = max(shares, key=shares.get)
    return Clip(clip_id=name, source=f"{name}.mp4", subject=name[0], label=strongest, shares=shares)


TRAIN = tuple(clip(f"a{number}", anger=0.6, fear=0.4) for number in range(200))
TEST = (clip("b1", anger=0.75, fear=0.25), clip("b2", happiness=1.0), clip("b3", fear=0.6, anger=0.4))


@pytest.fixture
def material():
    config = TrainConfig(dataset="synthetic")
    return Material(config, "Rendered.", (Fold(0, TRAIN, TEST),), LABELS, SimpleNamespace())


def table(probabilities):
    return PredictionTable(
        labels=LABELS,
        clip_ids=[each.clip_id for each in TEST],
        subjects=[each.subject for each in TEST],
        folds=np.zeros(len(TEST)),
        truth=[each.label for each in TEST],
        probabilities=np.array(probabilities, float),
    )


def test_annotators_vote_by_the_shares_and_the_same_each_time():
    votes = Annotators(5, 0.0, seed=1).votes(TRAIN, LABELS)
    assert (votes.sum(axis=1) == 5).all()
    assert (votes[:, 2] == 0).all()
    assert votes[:, 0].mean() == pytest.approx(3, abs=0.25)
    assert len({tuple(row) for row in votes}) > 3
    assert (votes == Annotators(5, 0.0, seed=1).votes(TRAIN, LABELS)).all()
    assert (votes != Annotators(5, 0.0, seed=2).votes(TRAIN, LABELS)).any()
    confused = Annotators(5, 0.6, seed=1).votes(TRAIN, LABELS)
    assert confused[:, 2].mean() == pytest.approx(5 * 0.6 / 3, abs=0.25)


def test_what_each_source_knows():
    annotators = Annotators(5, 0.1, seed=0)
    assert list(relabelled(TRAIN, SHARES, annotators, LABELS)) == list(TRAIN)
    labelled = list(relabelled(TRAIN, LABEL, annotators, LABELS))
    assert {(each.label, each.shares) for each in labelled} == {("anger", None)}
    voted = list(relabelled(TRAIN, VOTES, annotators, LABELS))
    assert [each.clip_id for each in voted] == [each.clip_id for each in TRAIN]
    assert {each.label for each in voted} >= {"anger", "fear"}
    for each in voted:
        assert each.shares[each.label] == max(each.shares.values())
        assert sum(each.shares.values()) == pytest.approx(1)


def test_measures_by_hand(material):
    """Of three clips the first is right and too sure, the second has no face, the third is mistaken."""
    found = measure(table([[1.0, 0.0, 0.0], [np.nan] * 3, [0.5, 0.4, 0.1]]), material)
    assert found["accuracy"] == pytest.approx(1 / 3)
    assert found["ece"] == pytest.approx((0 + 0.5) / 2)
    # Confidences 1.0 and 0.5, where the shares of what is said are 0.75 and 0.4.
    assert found["agreement_error"] == pytest.approx((0.25 + 0.1) / 2)
    first = 0.75 * np.log(0.75) + 0.25 * np.log(0.25 / 1e-7)
    third = 0.6 * np.log(0.6 / 0.4) + 0.4 * np.log(0.4 / 0.5)
    assert found["divergence"] == pytest.approx((first + third) / 2, rel=1e-3)


def test_all_arms_are_trained_on_what_their_source_knows_and_scored_on_the_truth(
    material, tmp_path, monkeypatch, capsys
):
    trained = []

    def fit(told, config):
        trained.append((config, told.folds[0]))
        good = config.optimisation.targets == "distribution"
        return table([[0.75, 0.25, 0.0], [0, 0, 1.0], [0.4, 0.6, 0.0]] if good else [[1.0, 0, 0]] * 3)

    def find(request):
        return replace(material, config=replace(request.config, root=None))

    monkeypatch.setattr(study, "fit", fit)
    monkeypatch.setattr(study, "find_material", find)
    (tmp_path / "labels.csv").write_text("there already")
    study.main(["--root", str(tmp_path), "--output", str(tmp_path), "--seeds", "2", "--quick", "--epochs", "7"])
    assert len(trained) == 2 * len(study.ARMS)
    assert len({config.name for config, _ in trained}) == len(trained)
    assert {config.seed for config, _ in trained} == {0, 1}
    assert {config.optimisation.epochs for config, _ in trained} == {7}
    assert {config.optimisation.targets for config, _ in trained} == {"single", "distribution", "draw", "estimated"}
    assert all(fold.test == TEST for _, fold in trained)
    by_name = {config.name: fold.train for config, fold in trained}
    assert by_name["shares-seed-0"] == TRAIN
    assert by_name["label-seed-0"][0].shares is None
    assert by_name["majority-5-0.1-seed-0"] != by_name["majority-5-0.1-seed-1"]
    text = (tmp_path / "label_distributions.md").read_text()
    assert text in capsys.readouterr().out.replace("\n\nin ", "\n")
    assert "| true shares | 100.0 ± 0.0 | 0.000 ± 0.000 |" in text
    assert "true shares instead of strongest expression: accuracy +66.7 ± 0.0, KL -" in text
    assert (tmp_path / "label_distributions.png").stat().st_size > 10_000


def test_clips_without_shares_are_no_material(material, tmp_path, monkeypatch):
    plain = tuple(replace(each, shares=None) for each in TEST)
    monkeypatch.setattr(study, "find_material", lambda _: replace(material, folds=(Fold(0, TRAIN, plain),)))
    (tmp_path / "labels.csv").write_text("there already")
    with pytest.raises(StgtError, match="clips without shares; render it with stgt synthesize --blends"):
        study.main(["--root", str(tmp_path)])
    with pytest.raises(StgtError, match="--confusion is a share"):
        study.main(["--confusion", "2"])


def test_figure_and_numbers_of_seeds():
    assert mean_and_spread([0.61, 0.62]) == "61.5 ± 0.7"
    assert mean_and_spread([0.5], 1, 2) == "0.50"
    from studies import Panel

    figure = dot_figure(("one", "two"), (0, 1), [Panel("UAR", [[1.0, 2.0], [3.0]]), Panel("ECE", [[0.0], [0.0]])])
    first, second = figure.axes
    assert [label.get_text() for label in first.get_yticklabels()] == ["one", "two"]
    assert [text.get_text() for text in first.texts] == ["1.5 ± 0.7", "3.0"]
    assert second.get_title(loc="left") == "ECE"
