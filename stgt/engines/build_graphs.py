"""Writes the graph that comes with the package, anew after the models' code changed.

``python -m stgt.engines.build_graphs``
"""

from pathlib import Path

from stgt.engines.graph import graph_key, translate
from stgt.files import atomic_path
from stgt.models.checkpoint import PRETRAINED, read_settings


def main() -> None:
    """Translate the architecture of the weights that come with the package."""
    config, window = read_settings(PRETRAINED)
    folder = Path(__file__).parent / "graphs"
    graph = translate(config, window)
    for old in folder.glob("*.onnx"):
        old.unlink()
    path = folder / f"{graph_key(config, window)}.onnx"
    with atomic_path(path) as temporary:
        temporary.write_bytes(graph)
    print(f"wrote {path}: {len(graph)} bytes")


if __name__ == "__main__":
    main()
