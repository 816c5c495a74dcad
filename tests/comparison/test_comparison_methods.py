"""Methods by name, by the recipes that come with stgt, and by one's own."""

import pytest

from stgt.comparison.methods import find_methods, list_recipes, shipped
from stgt.config import ModelConfig
from stgt.errors import StgtError
from stgt.models.frames import list_frame_models
from stgt.models.registry import create_model
from stgt.train import read_request


@pytest.mark.parametrize("name", list_recipes())
@pytest.mark.parametrize("quick", [False, True])
def test_a_shipped_recipe_is_one_of_a_training(name, quick):
    config = read_request([*shipped(name).arguments(quick), "--dataset", "synthetic"]).config
    if quick:
        assert config.optimisation.epochs <= 40


def test_every_model_is_a_method_and_has_its_recipe():
    geometry = "stgt,stgcn,stgcn++,landmark-lstm,landmark-transformer"
    methods = find_methods(",".join([geometry, *list_frame_models(), "frames:resnet18"]))
    names = {method.name: method.settings["model"]["name"] for method in methods}
    assert all(name == model for name, model in names.items())
    by_name = {method.name: method for method in methods}
    assert by_name["psr"].settings["optimisation"] == shipped("frame-model").settings["optimisation"]
    assert by_name["psr"].quick["model"]["frame_size"] == 64


def test_an_ablation_is_a_smaller_model():
    (whole, part) = find_methods("stgt,stgt-no-spatial-transformer")
    counts = [
        sum(p.numel() for p in create_model(ModelConfig(**method.settings["model"]), 8).parameters())
        for method in (whole, part)
    ]
    assert counts[0] > counts[1]


def test_a_recipe_of_ones_own(tmp_path):
    path = tmp_path / "narrow.yaml"
    path.write_text("title: narrow\nmodel: {name: stgt, width: 16}\nquick: {optimisation: {epochs: 3}}\n")
    (method,) = find_methods(str(path))
    assert (method.name, method.title) == ("narrow", "narrow")
    assert method.arguments(False) == ["--model.name=stgt", "--model.width=16"]
    assert method.arguments(True)[-1] == "--optimisation.epochs=3"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("model: {name: stgt}\ndataset: ck+", "has the key dataset; a method's recipe has"),
        ("modle: {name: stgt}", "has the key modle; did you mean model"),
        ("model: stgt", "model: stgt, where a group of settings is meant"),
        ("quick: {seed: 3}", "key quick.seed"),
        ("lessons: {logit: 1}", "key lessons.logit; did you mean logits"),
        ("- stgt", "is not a list of settings"),
        ("model: {name: [", "is not YAML"),
    ],
)
def test_a_recipe_that_says_what_it_cannot(tmp_path, text, sentence):
    path = tmp_path / "odd.yaml"
    path.write_text(text)
    with pytest.raises(StgtError, match=sentence):
        find_methods(str(path))


@pytest.mark.parametrize(
    ("models", "sentence"),
    [
        ("stgt,st-gcn", "no method 'st-gcn'; did you mean stgcn"),
        ("stgt,stgt", "stgt is named twice"),
        ("stgt,nowhere.yaml", "nowhere.yaml cannot be read"),
    ],
)
def test_a_method_that_is_not_there(models, sentence):
    with pytest.raises(StgtError, match=sentence):
        find_methods(models)
