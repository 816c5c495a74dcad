"""How rare classes and windows were treated, in words: every choice that the settings have is said."""

from stgt.config import ModelConfig, OptimisationConfig, TrainConfig, WindowConfig, to_dict
from stgt.evaluation.recipe import recipe_sentences
from stgt.terms import CLASSIFICATION_LOSSES, TARGETS


def said(**parts) -> str:
    return " ".join(recipe_sentences(to_dict(TrainConfig("x", **parts))))


def test_every_loss_is_named():
    assert "cross entropy with classes weighed by inverse square-root frequency" in said()
    plain = OptimisationConfig(class_weights=False)
    assert "cross entropy with all clips weighed alike" in said(optimisation=plain)
    balanced = OptimisationConfig(loss="class_balanced", class_balance=0.99)
    assert "class-balanced loss (Cui et al. 2019, beta 0.99)" in said(optimisation=balanced)
    adjusted = OptimisationConfig(loss="logit_adjusted")
    assert "logit-adjusted loss (Menon et al. 2021, tau 1.0)" in said(optimisation=adjusted)
    assert "tau 0.5)" in said(optimisation=OptimisationConfig(loss="logit_adjusted(tau=0.5)"))
    assert "the loss of the encoder's paper" in said(
        model=ModelConfig("dan"), optimisation=OptimisationConfig(loss="paper")
    )
    several = OptimisationConfig(loss="cross_entropy(class_weights=1)+region_biased:0.5")
    assert "weighed by inverse frequency, 0.5 times region biased loss" in said(optimisation=several)
    for name in CLASSIFICATION_LOSSES:
        assert "Trained with" in said(optimisation=OptimisationConfig(loss=name))


def test_every_target_is_named():
    texts = {said(optimisation=OptimisationConfig(targets=name)) for name in TARGETS}
    assert len(texts) == len(TARGETS)


def test_every_drawing_is_named():
    for sampling, words in (("natural", "once an epoch"), ("balanced", "any other"), ("square_root", "square root")):
        assert words in said(optimisation=OptimisationConfig(sampling=sampling))
    assert "datasets drawn as a=1,b=2" in said(dataset_weights="a=1,b=2")


def test_every_choice_of_windows_is_named():
    texts = set()
    for training in ("random", "centre", "uniform"):
        for testing in ("dense", "centre", "uniform"):
            for short in ("mask", "hold", "loop"):
                texts.add(said(window=WindowConfig(training=training, testing=testing, short=short)))
    assert len(texts) == 27
    assert "2 views averaged" in said(window=WindowConfig(testing="uniform", views=2))
    assert "views" not in said()


def test_other_settings_say_nothing():
    assert recipe_sentences({"dataset": "x", "answers": "all"}) == []
