"""Node layouts: which landmarks are the nodes of the graph, which pairs its edges. All of it is data (``layouts/``)."""

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stgt.errors import StgtError
from stgt.graphs.alignment import load_reference_face

if TYPE_CHECKING:
    import torch
    from torch_geometric.data import Data

#: The layouts that come with the package.
LAYOUTS = ("mediapipe146", "landmarks68")


@dataclass(frozen=True, eq=False)
class NodeLayout:
    """The graph of a face, the same for every frame. V nodes, E undirected edges.

    Attributes:
        name: as in ``LAYOUTS``.
        landmarks: (V,) landmark of MediaPipe's mesh behind each node.
        edges: (E, 2) node numbers, each pair once: contours of the face parts, and neighbours on the face's surface.
        parents: (V,) the node at the other end of each node's bone; the root (tip of the nose) is its own parent.
        regions: part of the face -> node numbers; every node is in exactly one. Right and left are the subject's own.
        mirror: (V,) the node on the other side of the face; edges and bones are closed under it.
    """

    name: str
    landmarks: NDArray[np.int64]
    edges: NDArray[np.int64]
    parents: NDArray[np.int64]
    regions: dict[str, NDArray[np.int64]]
    mirror: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.landmarks)

    @property
    def reference(self) -> NDArray[np.float32]:
        """(V, 3) the nodes on the reference face, in inter-ocular units."""
        return load_reference_face().points[self.landmarks]

    @property
    def root(self) -> int:
        """The node from which all bones start."""
        return int(np.flatnonzero(self.parents == np.arange(len(self)))[0])

    @property
    def fingerprint(self) -> str:
        """Short hash of the nodes and their order: two layouts with the same one feed the same model."""
        return hashlib.sha256(",".join(map(str, self.landmarks.tolist())).encode()).hexdigest()[:16]

    def graph(self) -> "Data":
        """As PyG ``Data``: ``edge_index`` (2, 2E) with both directions of every edge, ``pos`` (V, 3) reference."""
        import torch
        from torch_geometric.data import Data
        from torch_geometric.utils import to_undirected

        edge_index = to_undirected(torch.from_numpy(self.edges.T.copy()), num_nodes=len(self))
        return Data(edge_index=edge_index, pos=torch.from_numpy(self.reference), num_nodes=len(self))

    def adjacency(self) -> "torch.Tensor":
        """(V, V) float32 ``D^-1/2 (A + I) D^-1/2``, the operator of a GCN (Kipf & Welling, arXiv 1609.02907).

        What torch_geometric's ``gcn_norm`` gives for ``graph()`` (a test holds them equal), without the seconds that
        its import costs every start of the live program.
        """
        import torch

        connected = np.eye(len(self))
        connected[self.edges[:, 0], self.edges[:, 1]] = connected[self.edges[:, 1], self.edges[:, 0]] = 1
        scale = 1 / np.sqrt(connected.sum(axis=1))
        return torch.from_numpy((scale[:, None] * connected * scale).astype(np.float32))


@cache
def load_layout(name: str) -> NodeLayout:
    """The layout of this name (read once).

    Raises:
        StgtError: there is no such layout.
    """
    if name not in LAYOUTS:
        raise StgtError(f"unknown node layout {name!r}; the layouts are {', '.join(LAYOUTS)}")
    text = (resources.files("stgt.graphs") / "layouts" / f"{name}.json").read_text(encoding="utf-8")
    data = json.loads(text)
    return NodeLayout(
        name=data["name"],
        landmarks=np.array(data["landmarks"], np.int64),
        edges=np.array(data["edges"], np.int64),
        parents=np.array(data["parents"], np.int64),
        regions={region: np.array(nodes, np.int64) for region, nodes in data["regions"].items()},
        mirror=np.array(data["mirror"], np.int64),
    )
