"""The methods that are compared: a name, a recipe that comes with stgt, or a recipe of the user's own."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from stgt.config import is_frame_model, names
from stgt.errors import StgtError
from stgt.learning.distillation.config import DistillationConfig

#: What a recipe may say of a method. Clips, folds and what is held out belong to the comparison: they are the same for
#: all methods.
GROUPS = ("model", "window", "optimisation", "augmentation")
KEYS = ("title", "init", *GROUPS, "teacher", "lessons", "quick")
LESSONS = tuple(entry.name for entry in fields(DistillationConfig) if entry.name not in ("teacher", "student", "seeds"))
#: What the quick setting does to a method whose recipe does not say it.
QUICK: Mapping[str, Any] = {"optimisation": {"epochs": 12}}
#: The recipe for image methods that have none of their own.
FRAME_MODELS = "frame-model"


@dataclass(frozen=True)
class Method:
    """One of the methods.

    Attributes:
        name: by which it is known in tables and folders.
        title: a few words on it; empty: none.
        settings: in place of the defaults of ``stgt train``, in groups.
        quick: in place of those in the quick setting.
        teacher: name of another method of the comparison, whose model of each fold teaches this one; empty: none.
        lessons: what it teaches, as ``DistillationConfig`` has it.
        recipe: the file that they are from; empty: none.
    """

    name: str
    title: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    quick: Mapping[str, Any] = field(default_factory=lambda: dict(QUICK))
    teacher: str = ""
    lessons: Mapping[str, Any] = field(default_factory=dict)
    recipe: str = ""

    def arguments(self, quick: bool) -> list[str]:
        """Its settings as options of ``stgt train``."""
        return as_options(merged(self.settings, self.quick) if quick else self.settings)


def find_methods(models: str) -> tuple[Method, ...]:
    """The methods that ``--models`` names.

    Raises:
        StgtError: one is unknown, named twice, or its recipe cannot be read.
    """
    methods = tuple(find_method(entry) for entry in names(models))
    known = [method.name for method in methods]
    twice = next((name for name in known if known.count(name) > 1), None)
    if twice:
        raise StgtError(f"{twice} is named twice in --models; a recipe's file is named after what it is")
    teachers = {method.name for method in methods if not method.teacher}
    for method in methods:
        if method.teacher and method.teacher not in teachers:
            raise StgtError(
                f"the method {method.name} is taught by {method.teacher}, which must be one of --models, too, and not "
                "be taught itself"
            )
    return methods


def find_method(entry: str) -> Method:
    """One method: a path that ends in .yaml, the name of a recipe that comes with stgt, or the name of a model."""
    if entry.endswith((".yaml", ".yml")):
        path = Path(entry).expanduser()
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise StgtError(f"the recipe {entry} cannot be read: {error}") from error
        return parse_recipe(path.stem, text, str(path))
    if entry in list_recipes():
        return shipped(entry)
    if is_frame_model(entry):
        recipe = shipped(FRAME_MODELS)
        return replace(recipe, name=entry, settings=merged(recipe.settings, {"model": {"name": entry}}))
    from stgt.models.registry import list_models

    if entry in list_models():
        return Method(entry, settings={"model": {"name": entry}})
    known = sorted({*list_recipes(), *list_models(), *frame_methods()} - {FRAME_MODELS})
    near = difflib.get_close_matches(entry, known, n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}?" if near else f"known are {', '.join(known)}"
    raise StgtError(
        f"there is no method {entry!r}; {hint} A recipe of your own is named by its path, which ends in .yaml, and any "
        "backbone of timm as frames:NAME"
    )


def list_recipes() -> list[str]:
    """Names of the recipes that come with stgt, sorted."""
    files = (file.name for file in (resources.files("stgt.comparison") / "recipes").iterdir())
    return sorted(name.removesuffix(".yaml") for name in files if name.endswith(".yaml"))


def shipped(name: str) -> Method:
    """The method of a recipe that comes with stgt."""
    file = f"{name}.yaml"
    text = (resources.files("stgt.comparison") / "recipes" / file).read_text(encoding="utf-8")
    return parse_recipe(name, text, file)


def frame_methods() -> list[str]:
    """Names of the image methods with a paper."""
    from stgt.models.frames import list_frame_models

    return list_frame_models()


def parse_recipe(name: str, text: str, where: str) -> Method:
    """A method from the text of its recipe.

    Raises:
        StgtError: it is not YAML, or holds what is not a method's to say.
    """
    try:
        values = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise StgtError(f"the recipe {where} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise StgtError(f"the recipe {where} is not a list of settings; it begins like model: {{name: stgt}}")
    check_keys(values, KEYS, where)
    quick = values.pop("quick", None)
    if quick is not None:
        check_keys(quick, GROUPS, where, "quick.")
    lessons = values.pop("lessons", {})
    check_keys(lessons, LESSONS, where, "lessons.")
    return Method(
        name=name,
        title=str(values.pop("title", "")),
        teacher=str(values.pop("teacher", "")),
        lessons=lessons,
        quick=dict(QUICK) if quick is None else quick,
        settings=values,
        recipe=where,
    )


def check_keys(values: Any, known: Sequence[str], where: str, above: str = "") -> None:
    """Raise StgtError where a recipe says what it cannot."""
    if not isinstance(values, dict):
        raise StgtError(f"the recipe {where} has no settings below {above.rstrip('.')}")
    for key, value in values.items():
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise StgtError(
                f"the recipe {where} has the key {above}{key}; {hint}a method's recipe has {', '.join(known)}, and "
                "clips and folds are the same for all methods of a comparison"
            )
        if key in GROUPS and not isinstance(value, dict):
            raise StgtError(f"the recipe {where} has {above}{key}: {value}, where a group of settings is meant")


def merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Settings in groups, with those of ``second`` in place of the first ones."""
    result = {key: dict(value) if isinstance(value, Mapping) else value for key, value in first.items()}
    for key, value in second.items():
        result[key] = {**result.get(key, {}), **value} if isinstance(value, Mapping) else value
    return result


def as_options(values: Mapping[str, Any], above: str = "") -> list[str]:
    """``{"model": {"width": 32}}`` -> ``["--model.width=32"]``; what is None is left out."""
    options: list[str] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            options += as_options(value, f"{above}{key}.")
        elif value is not None:
            text = str(value).lower() if isinstance(value, bool) else str(value)
            options.append(f"--{above}{key}={text}")
    return options
