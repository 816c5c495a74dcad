"""How close the direct road is to the rendered one: landmarks, blendshapes, and what a model makes of either.

    python experiments/two_roads.py runs/pretraining --write docs/pretraining.md

The rendered test clips of a pretraining run went through pixels and MediaPipe. The same performances of the same people
before the same cameras are taken down the direct road here. Then a small model is trained on one half of the people,
on either road, and tested on the other half, on both.
"""

import argparse
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from stgt.command import run
from stgt.config import AugmentationConfig, ModelConfig, WindowConfig
from stgt.data.catalog.cards import load_card
from stgt.data.clips import WindowReader, collate
from stgt.data.preparation.prepare import prepare_clips
from stgt.errors import DatasetError
from stgt.evaluation.pooling import pool_clips
from stgt.faces.tracks import LandmarkTrack
from stgt.files import write_text
from stgt.graphs.alignment import align_faces
from stgt.graphs.batch import WindowBatch
from stgt.graphs.layout import load_layout
from stgt.graphs.windows import window_starts
from stgt.learning.augmentation import Augmentation
from stgt.models.registry import ExpressionModel, create_model
from stgt.pretraining.run import CLIPS, TEST_SEED
from stgt.pretraining.streams import shares
from stgt.synthetic.actions import LABELS
from stgt.synthetic.direct import Distortion, person, track
from stgt.synthetic.scenes import sample_scene
from stgt.synthetic.synthesis import SynthesisConfig
from stgt.synthetic.writing import draw_curve

ROADS = ("rendered", "direct")
MARKS = "<!-- two roads: begin -->", "<!-- two roads: end -->"
MODEL = ModelConfig(streams="geometry,actions", width=32, identity_dropout=0.3, pooling="peak")
WINDOW = WindowConfig()
EPOCHS, BATCH, LEARNING_RATE = 30, 32, 2e-3


def main(arguments: list[str]) -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a pretraining run")
    parser.add_argument("--write", type=Path, help="page to write the tables into, between its marks")
    options = parser.parse_args(arguments)
    if not (options.run / "rendered" / "test" / "labels.csv").is_file():
        raise DatasetError(f"{options.run} holds no rendered test clips; run stgt pretrain first")
    clips, tracks, curves = load(options.run)
    text = "\n".join([*landmark_table(clips, tracks), "", *accuracy_table(clips, tracks, curves)])
    print(text)
    if options.write:
        page = options.write.read_text(encoding="utf-8")
        before, rest = page.split(MARKS[0])
        write_text(options.write, f"{before}{MARKS[0]}\n{text}\n{MARKS[1]}{rest.split(MARKS[1])[1]}")


def load(folder: Path):  # noqa: ANN201 - clips, tracks by road, curves
    """The clips with their rendered and their direct tracks, and the true performances."""
    root = folder / "rendered" / "test"
    found = load_card("synthetic").find_clips(str(root)).clips
    clips = [replace(clip, clip_id=f"test/{clip.clip_id}", subject=f"test/{clip.subject}") for clip in found]
    prepared = prepare_clips(clips, cache=str(folder / "cache"))
    config = SynthesisConfig(str(root), seed=TEST_SEED, **CLIPS)
    tracks: dict[str, list[LandmarkTrack]] = {road: [] for road in (*ROADS, "without errors")}
    curves = []
    for clip in clips:
        subject = int(clip.subject.rsplit("_", 1)[1])
        who = person(TEST_SEED, subject)
        rng, curve = draw_curve(config, who.identity, subject, clip.label, 0)
        scene = sample_scene(rng, (config.size, config.size))
        rendered = prepared.track(clip)
        tracks["rendered"].append(rendered)
        for road, distortion in (("direct", Distortion()), ("without errors", Distortion(0, 0, 0, 0))):
            faces = track(who, curve, scene, np.random.default_rng(len(curves)), config.frame_rate, distortion)
            every = np.ones(len(curve), bool)
            tracks[road].append(
                replace(rendered, points=faces.points, blendshapes=faces.actions, valid=every, times=curve.times)
            )
        curves.append(curve)
    return clips, tracks, curves


def landmark_table(clips: list, tracks: dict[str, list[LandmarkTrack]]) -> list[str]:
    """Distances of aligned landmarks in the plane, in inter-ocular units, and of blendshapes."""
    off, moved_off, moved, shapes, spread = [], [], [], [], []
    for rendered, direct in zip(tracks["rendered"], tracks["without errors"], strict=True):
        both = rendered.valid
        seen = align_faces(rendered.points, rendered.valid)[both][..., :2]
        said = direct.points[both][..., :2]
        off.append(np.linalg.norm(seen - said, axis=-1).mean())
        motion, said_motion = seen - seen.mean(axis=0), said - said.mean(axis=0)
        moved_off.append(np.linalg.norm(motion - said_motion, axis=-1).mean())
        moved.append(np.linalg.norm(motion, axis=-1).mean())
        shapes.append(np.abs(rendered.blendshapes[both] - direct.blendshapes[both]).mean())
        spread.append(rendered.blendshapes[both])
    sd = np.concatenate(spread).std(axis=0).mean()
    return [
        f"| {len(clips)} clips, the same on both roads | mean |",
        "|---|---|",
        f"| distance of a landmark, direct (without drawn errors) to rendered | {np.mean(off):.4f} inter-ocular |",
        f"| the same, less each clip's mean face | {np.mean(moved_off):.4f} (landmarks move {np.mean(moved):.4f}) |",
        f"| distance of a blendshape | {np.mean(shapes):.3f} (standard deviation {sd:.3f}) |",
    ]


def accuracy_table(clips: list, tracks: dict[str, list[LandmarkTrack]], curves: list) -> list[str]:
    """UAR of a model trained on one road and tested on the other; people are never on both sides."""
    people = np.array([int(clip.subject.rsplit("_", 1)[1]) for clip in clips])
    half = people % 2 == 0
    hits = {pair: [] for pair in product(ROADS, ROADS)}
    for train_half in (half, ~half):
        for trained in ROADS:
            model = fit(examples(tracks[trained], curves, np.flatnonzero(train_half)))
            for tested in ROADS:
                chosen = np.flatnonzero(~train_half)
                said = read(model, tracks[tested], chosen)
                truth = np.array([LABELS.index(clips[index].label) for index in chosen])
                hits[trained, tested] += list(zip(truth, said, strict=True))
    lines = ["| UAR, 8 classes | tested on rendered | tested on direct |", "|---|---|---|"]
    for trained in ROADS:
        cells = []
        for tested in ROADS:
            truth, said = np.array(hits[trained, tested]).T
            cells.append(f"{100 * np.mean([(said[truth == k] == k).mean() for k in range(len(LABELS))]):.1f}")
        lines.append(f"| trained on {trained}, {len(set(people)) // 2} people | {cells[0]} | {cells[1]} |")
    return lines


def examples(tracks: list[LandmarkTrack], curves: list, chosen: np.ndarray) -> WindowBatch:
    """Windows of clips, each twice with another augmentation, with the shares of the classes that they show."""
    reader = WindowReader(MODEL, WINDOW)
    augmentation = Augmentation(AugmentationConfig(rotation_deg=2, scale=0.02, jitter=0.002), load_layout(MODEL.layout))
    rng, samples = np.random.default_rng(0), []
    for index in chosen:
        times = curves[index].times
        for start in np.arange(times[0], times[-1] - WINDOW.duration_s + 1e-6, 0.25):
            inside = (times >= start - 1e-6) & (times <= start + WINDOW.duration_s + 1e-6)
            target = shares(curves[index].shown[inside])
            for _ in range(2):
                sample = reader.read(tracks[index], None, start, augmentation, rng)
                samples.append(replace(sample, target=target, clip=int(index)))
    return collate(samples)


def fit(batch: WindowBatch) -> ExpressionModel:
    """A model trained from the same random numbers on every road."""
    torch.manual_seed(0)
    target = batch.target
    model = create_model(MODEL, len(LABELS), WINDOW).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.02)
    steps = EPOCHS * (len(target) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, steps)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(target))[: len(target) // BATCH * BATCH].split(BATCH):
            loss = F.cross_entropy(model(batch.geometry[rows], batch.mask[rows], batch.actions[rows]), target[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


@torch.inference_mode()
def read(model: ExpressionModel, tracks: list[LandmarkTrack], chosen: np.ndarray) -> np.ndarray:
    """The class of each chosen clip."""
    reader, samples = WindowReader(MODEL, WINDOW), []
    for row, index in enumerate(chosen):
        for start in window_starts(tracks[index], WINDOW):
            samples.append(replace(reader.read(tracks[index], None, start), clip=row))
    batch = collate(samples)
    probabilities = model(**batch.inputs).softmax(dim=1).double().numpy()
    share = batch.mask.float().mean(dim=1).numpy()
    return pool_clips(probabilities, share, batch.clip.numpy(), len(chosen), peak=0).argmax(axis=1)


if __name__ == "__main__":
    run(main)
