"""Writes the data of the direct road: ``landmarks.json`` and ``tracker.safetensors``.

``python -m stgt.synthetic.build_tracker FOLDER`` renders sequences of many heads that make all kinds of faces, has
MediaPipe track them, and measures what it makes of the true landmarks. FOLDER keeps the sequences, one file per head:
an interrupted run goes on, and a fit over sequences that are there takes minutes. It needs the extra ``tracker``, with
which MediaPipe's own network of blendshapes is asked what it makes of landmarks that nobody has.
"""

import argparse
import os
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stgt.errors import MissingExtraError
from stgt.faces.landmarker import FaceLandmarker, find_model
from stgt.faces.tracks import save_tensors
from stgt.files import atomic_path
from stgt.graphs.alignment import align_faces
from stgt.synthetic.anny_data import ACTIONS, HeadData, load_head_data
from stgt.synthetic.camera import Camera, pose_points
from stgt.synthetic.correspondence import Correspondence, surface_points
from stgt.synthetic.expressions import LABELS, sample_units
from stgt.synthetic.heads import Head, generator, sample_identity
from stgt.synthetic.tracker import FORMAT, MEASURED_RATE, VERSION, Tracker, blendshape_landmarks, features, normalised

HERE = Path(__file__).parent
SEED, SUBJECTS, CLIPS, FRAMES, SIZE = 77_000, 300, 2, 36, (320, 320)
#: Frames between two random faces of a sequence.
STEP = 5
COMPONENTS = 96
#: Beyond these, MediaPipe loses the hidden side of the face: degrees of pitch and yaw.
FITTED_TURN = np.array([25.0, 38.0])
RIDGE = 1e-4
HIDDEN = 192
JAW_OPEN = ACTIONS.index("jawOpen")
PAIRED = [name.removesuffix("Left") for name in ACTIONS if name.endswith("Left") and f"{name[:-4]}Right" in ACTIONS]


@dataclass(frozen=True, eq=False)
class Sequences:
    """C tracked sequences of T frames.

    Attributes:
        true: ``(C, T, 478, 3)`` pixels, where the landmarks are.
        tracked: ``(C, T, 478, 3)`` pixels, where MediaPipe saw them.
        blendshapes: ``(C, T, 52)``.
        rotation: ``(C, T, 3)`` degrees.
        valid: ``(C, T)``.
    """

    true: NDArray[np.float32]
    tracked: NDArray[np.float32]
    blendshapes: NDArray[np.float32]
    rotation: NDArray[np.float32]
    valid: NDArray[np.bool_]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the sequences are kept")
    parser.add_argument("--subjects", type=int, default=SUBJECTS)
    options = parser.parse_args(arguments)
    files = [options.folder / f"{subject:04d}.npz" for subject in range(options.subjects)]
    from joblib import Parallel, delayed

    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    missing = [subject for subject, file in enumerate(files) if not file.exists()]
    Parallel(n_jobs=workers, verbose=5)(
        delayed(record_subjects)(options.folder, missing[first : first + 5]) for first in range(0, len(missing), 5)
    )
    data = load_head_data()
    correspondence = find_correspondence(data, files[:60])
    correspondence.save(HERE / "landmarks.json")
    Correspondence.load.__func__.cache_clear()
    tracker = fit(load_sequences(data, correspondence, files))
    save(tracker, HERE / "tracker.safetensors")


def record_subjects(folder: Path, subjects: Sequence[int]) -> None:
    """Render and track the sequences of some subjects, a file for each."""
    from stgt.synthetic.appearance import make_appearance
    from stgt.synthetic.rendering import FaceRenderer
    from stgt.synthetic.scenes import sample_scene

    data, renderer = load_head_data(), FaceRenderer(SIZE)
    with FaceLandmarker() as landmarker:
        for subject in subjects:
            rng = generator(SEED, "sequence", subject)
            identity = sample_identity(SEED, subject, data.local_labels)
            head = Head(data, identity)
            renderer.set_head(head, make_appearance(SEED, subject, identity, data))
            clips = []
            for _ in range(CLIPS):
                scene = sample_scene(rng, SIZE)
                renderer.set_scene(scene)
                clips.append(_record(renderer, landmarker, Camera.of(scene, SIZE), *excite(rng)))
            with atomic_path(folder / f"{subject:04d}.npz") as path, path.open("wb") as file:
                columns = {name: np.stack([clip[name] for clip in clips]) for name in clips[0]}
                np.savez(file, rest=head.rest, gains=head.gains, **columns)


def excite(rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Actions, head rotation and translation over a sequence: random faces joined by straight movements."""
    knots = np.arange(0, FRAMES + STEP, STEP)
    faces = np.stack([_random_face(rng) for _ in knots])
    faces[0] = 0
    turns = rng.normal(0, 1, (4, 3)) * rng.choice([4, 12, 25]) * (0.5, 1.0, 0.3)
    turns = np.clip(turns, (-22, -38, -15), (22, 38, 15))
    shifts = rng.normal(0, 0.008, (4, 3))
    frames = np.arange(FRAMES)
    places = np.linspace(0, FRAMES, 4)

    def joined(at: NDArray[np.floating], values: NDArray[np.floating]) -> NDArray[np.float32]:
        return np.stack([np.interp(frames, at, column) for column in values.T], axis=1).astype(np.float32)

    return joined(knots, faces), joined(places, turns), joined(places, shifts)


def _random_face(rng: np.random.Generator) -> NDArray[np.float64]:
    weights = np.zeros(len(ACTIONS))
    kind = rng.random()
    if kind < 0.15:
        return weights
    if kind < 0.6:
        for unit in sample_units(LABELS[rng.integers(len(LABELS))], rng):
            weights += unit.actions * rng.uniform(0.2, 1.1)
    for _ in range(rng.integers(1, 7) if kind > 0.4 else 0):
        strength = rng.random() * rng.choice([0.3, 0.6, 1.0])
        if rng.random() < 0.8:
            name = PAIRED[rng.integers(len(PAIRED))]
            for side in ("Left", "Right"):
                weights[ACTIONS.index(name + side)] += strength * np.clip(rng.normal(1, 0.15), 0, 1.2)
        else:
            weights[rng.integers(len(ACTIONS))] += strength
    weights[JAW_OPEN] += (rng.random() < 0.3) * rng.uniform(0, 0.6)
    weights[ACTIONS.index("tongueOut")] *= rng.random() < 0.2
    return np.clip(weights, 0, 1)


def _record(renderer, landmarker, camera, weights, rotation, translation) -> dict[str, np.ndarray]:  # noqa: ANN001
    landmarker.reset()
    points, shapes = np.zeros((FRAMES, 478, 3), np.float32), np.zeros((FRAMES, 52), np.float32)
    valid = np.zeros(FRAMES, bool)
    for frame in range(FRAMES):
        picture = renderer.render(weights[frame], rotation[frame], translation[frame])
        found = landmarker.detect(frame / MEASURED_RATE, picture)
        if found is not None:
            points[frame], shapes[frame], valid[frame] = found.points, found.blendshapes, True
    view = np.concatenate([camera.position, camera.axes.ravel(), [camera.focal_px, camera.distance], camera.centre])
    names = ("weights", "rotation", "translation", "points", "blendshapes", "valid", "camera")
    return dict(zip(names, (weights, rotation, translation, points, shapes, valid, view), strict=True))


def _clips(files: Sequence[Path]) -> Iterator[tuple[np.ndarray, np.ndarray, Camera, dict[str, np.ndarray]]]:
    for file in files:
        with np.load(file) as stored:
            columns = {name: stored[name] for name in stored.files}
        rest, gains = columns.pop("rest"), columns.pop("gains")
        for clip in range(len(columns["valid"])):
            view = columns["camera"][clip]
            camera = Camera(view[:3], view[3:12].reshape(3, 3), view[12], view[14:], view[13])
            yield rest, gains, camera, {name: column[clip] for name, column in columns.items()}


def find_correspondence(data: HeadData, files: Sequence[Path]) -> Correspondence:
    """Cast landmarks back from frames that look about straight into the camera, with the mouth shut and open."""
    seen, tracked, mouth_open = [], [], []
    for rest, gains, camera, clip in _clips(files):
        frontal = np.flatnonzero(clip["valid"] & (np.abs(clip["rotation"][:, :2]) < 9).all(axis=1))
        jaw = clip["weights"][frontal, JAW_OPEN]
        chosen = np.concatenate([frontal[:1], frontal[jaw > 0.3][:2]])
        moved = (clip["weights"][chosen] * gains) @ data.actions.reshape(len(ACTIONS), -1)
        points = rest + moved.reshape(len(chosen), *rest.shape)
        posed = pose_points(points, data.template, clip["rotation"][chosen], clip["translation"][chosen])
        seen.append(camera.project(posed))
        tracked.append(clip["points"][chosen, :, :2])
        mouth_open.append(clip["weights"][chosen, JAW_OPEN] > 0.3)
    return surface_points(data, np.concatenate(seen), np.concatenate(tracked), np.concatenate(mouth_open))


def load_sequences(data: HeadData, correspondence: Correspondence, files: Sequence[Path]) -> Sequences:
    """The stored sequences with where their landmarks truly are."""
    actions, template = correspondence(data.actions), correspondence(data.template)
    true, columns = [], {name: [] for name in ("points", "blendshapes", "rotation", "valid")}
    for rest, gains, camera, clip in _clips(files):
        moved = ((clip["weights"] * gains) @ actions.reshape(len(ACTIONS), -1)).reshape(-1, 478, 3)
        posed = pose_points(correspondence(rest) + moved, template, clip["rotation"], clip["translation"])
        true.append(camera.project(posed).astype(np.float32))
        for name, column in columns.items():
            column.append(clip[name])
    return Sequences(np.array(true), *(np.array(column) for column in columns.values()))


def fit(sequences: Sequences) -> Tracker:
    """Response, errors and blendshapes of MediaPipe; a fifth of the sequences is kept back to say how good they are."""
    count, length = sequences.valid.shape
    every = np.ones(length, bool)
    aligned = np.stack([align_faces(points, every) for points in sequences.true]).reshape(count, length, -1)
    seen = np.stack([align_faces(*pair) for pair in zip(sequences.tracked, sequences.valid, strict=True)])
    seen = seen.reshape(count, length, -1)
    usable = sequences.valid & (np.abs(sequences.rotation[..., :2]) < FITTED_TURN).all(axis=2)
    fitted = np.arange(count) < 0.8 * count
    rows = usable & fitted[:, None]

    (true_mean, true_basis), (seen_mean, seen_basis) = _components(aligned[rows]), _components(seen[rows])
    true, tracked = (aligned - true_mean) @ true_basis.T, (seen - seen_mean) @ seen_basis.T
    inputs = features(true.reshape(count * length, -1), sequences.rotation.reshape(-1, 3)).reshape(count, length, -1)
    x, y = inputs[rows].astype(np.float64), tracked[rows].astype(np.float64)
    ridge = RIDGE * len(x) * np.diag(np.diag(x.T @ x) / len(x) + 1e-6)
    response = np.linalg.solve(x.T @ x + ridge, x.T @ y)
    rest = tracked - inputs @ response

    # The first frame of every sequence is a face at rest.
    away = true - true[:, :1]
    typical = np.sqrt(np.square(away[usable]).sum(axis=1).mean())
    constant = np.stack([rest[clip][usable[clip]].mean(axis=0) for clip in range(count) if usable[clip].any()])
    parts = [clip for clip in range(count) if usable[clip].all()]
    wandering = rest[parts] - rest[parts].mean(axis=1, keepdims=True)
    held = usable & ~fitted[:, None]
    _report(seen[held], inputs[held] @ response @ seen_basis + seen_mean, aligned[held])
    tracker = Tracker(
        *(true_mean, seen_mean, true_basis, seen_basis, response.astype(np.float32)),
        clip_factor=_factor(constant),
        face_factor=_factor(wandering.reshape(-1, wandering.shape[2])),
        reach=np.array([typical, _forgetting(wandering, away[parts] / typical)], np.float32),
        head=(),
    )
    return Tracker(**{**vars(tracker), "head": learn_blendshapes(sequences)})


def _components(rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    mean = rows.mean(axis=0)
    centred = (rows - mean).astype(np.float64)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    return mean.astype(np.float32), vectors[:, ::-1][:, :COMPONENTS].T.astype(np.float32)


def _factor(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    """A square root of the covariance."""
    covariance = rows.T.astype(np.float64) @ rows / len(rows)
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0))).astype(np.float32)


def _forgetting(errors: np.ndarray, away: np.ndarray) -> float:
    """Over what way (1: the typical distance from rest) errors ``(C, T, K)`` lose all but 1/e of their correlation."""
    way = np.linalg.norm(np.diff(away, axis=1), axis=2)
    ways = np.linspace(0.1, 4, 79)
    before, after = errors[:, :-1], errors[:, 1:]
    misfit = [np.square(after - np.exp(-way / one)[..., None] * before).sum() for one in ways]
    return float(ways[int(np.argmin(misfit))])


def _report(seen: np.ndarray, said: np.ndarray, true: np.ndarray) -> None:
    """Print how far the tracked landmarks lie from what is said of them, and from where they truly are."""

    def off(other: np.ndarray) -> float:
        return float(np.linalg.norm((seen - other).reshape(len(seen), -1, 3)[..., :2], axis=-1).mean())

    print(f"held out, mean error in inter-ocular units: response {off(said):.4f}, true landmarks {off(true):.4f}")


def learn_blendshapes(sequences: Sequences, epochs: int = 40) -> tuple[NDArray[np.float32], ...]:
    """A small network that gives what MediaPipe's own gives: for the tracked landmarks, the true ones, and between."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    ask = _official_blendshapes()
    tracked, true = sequences.tracked[sequences.valid], sequences.true[sequences.valid]
    chosen = blendshape_landmarks()
    flat = [tracked[:, chosen, :2]]
    for share in (0.35, 0.7):
        mixed = (tracked + share * (true - tracked))[:, chosen, :2]
        unit = np.linalg.norm(mixed[:, 0] - mixed[:, -1], axis=1)[:, None, None]
        flat.append(mixed + rng.normal(0, 0.004, mixed.shape) * unit)
    asked = np.concatenate(flat[1:])[:: max(1, len(tracked) // 15_000)]
    said = np.concatenate([sequences.blendshapes[sequences.valid], [ask(face) for face in asked]])
    inputs = torch.from_numpy(normalised(np.concatenate([flat[0], asked])))
    targets = torch.from_numpy(said.astype(np.float32))
    order = torch.randperm(len(inputs))
    held, kept = order[: len(order) // 20], order[len(order) // 20 :]
    sizes = (inputs.shape[1], HIDDEN, HIDDEN, targets.shape[1])
    network = nn.Sequential(
        *(nn.Linear(sizes[0], sizes[1]), nn.SiLU(), nn.Linear(sizes[1], sizes[2]), nn.SiLU()),
        nn.Linear(sizes[2], sizes[3]),
    )
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, epochs * (len(kept) // 256 + 1))
    for _ in range(epochs):
        for batch in kept[torch.randperm(len(kept))].split(256):
            off = network(inputs[batch]).sigmoid() - targets[batch]
            optimizer.zero_grad()
            off.square().sum(dim=1).mean().backward()
            optimizer.step()
            schedule.step()
    with torch.inference_mode():
        off = (network(inputs[held]).sigmoid() - targets[held]).abs().mean()
    print(f"blendshapes, held out: mean error {off:.4f}, standard deviation {targets.std(dim=0).mean():.4f}")
    layers = [layer for layer in network if isinstance(layer, nn.Linear)]
    parts = ((layer.weight.detach().T.numpy(), layer.bias.detach().numpy()) for layer in layers)
    return tuple(np.ascontiguousarray(array) for pair in parts for array in pair)


def _official_blendshapes():  # noqa: ANN202 - a function
    """MediaPipe's own network: ``(146, 2)`` pixels -> ``(52,)``."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise MissingExtraError("build_tracker", "tracker") from error
    with zipfile.ZipFile(find_model()) as bundle:
        network = Interpreter(model_content=bundle.read("face_blendshapes.tflite"), num_threads=1)
    network.allocate_tensors()
    inside, outside = network.get_input_details()[0]["index"], network.get_output_details()[0]["index"]

    def ask(face: np.ndarray) -> np.ndarray:
        network.set_tensor(inside, face[None].astype(np.float32))
        network.invoke()
        return network.get_tensor(outside).ravel().copy()

    return ask


def save(tracker: Tracker, path: Path) -> None:
    """Write the tracker, in half precision: its errors are far larger."""
    tensors = {name: value for name, value in vars(tracker).items() if name != "head"}
    tensors |= {f"head.{index}": value for index, value in enumerate(tracker.head)}
    save_tensors(path, {name: value.astype(np.float16) for name, value in tensors.items()}, FORMAT, VERSION, {})


if __name__ == "__main__":
    main()
