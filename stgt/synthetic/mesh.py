"""Meshes that move: normals, turning with the head, and numpy arrays that VTK reads in place."""

import numpy as np


class Part:
    """One textured mesh of a scene, made of some of the head's vertices.

    Args:
        renderer: the ``vtkRenderer`` it is drawn by.
        vertices: ``(V,)`` ids into the points given to `update`.
        triangles: ``(F, 3)`` into those V.
        coordinates: ``(V, 2)`` texture coordinates.
        picture: ``(H, W, 3)`` texture, 0..255, row 0 at the bottom.
        gloss: strength of highlights, 0..1.
        power: sharpness of highlights.
        closed: the mesh is only ever seen from outside, so that its far side need not be drawn.
    """

    def __init__(self, renderer, vertices, triangles, coordinates, picture, gloss, power, closed) -> None:  # noqa: ANN001
        import vtk
        from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray

        self._renderer = renderer
        self.vertices = vertices
        self._points = np.zeros((len(vertices), 3), np.float32)
        self._normals = np.zeros((len(vertices), 3), np.float32)
        # numpy_to_vtk shares memory: writing into the arrays above moves the mesh.
        self._vtk_points, self._vtk_normals = numpy_to_vtk(self._points), numpy_to_vtk(self._normals)
        points, cells = vtk.vtkPoints(), vtk.vtkCellArray()
        points.SetData(self._vtk_points)
        cells.SetData(3, numpy_to_vtkIdTypeArray(np.ascontiguousarray(triangles, dtype=np.int64).ravel(), deep=True))
        self._mesh = vtk.vtkPolyData()
        self._mesh.SetPoints(points)
        self._mesh.SetPolys(cells)
        self._mesh.GetPointData().SetNormals(self._vtk_normals)
        self._mesh.GetPointData().SetTCoords(numpy_to_vtk(np.ascontiguousarray(coordinates, np.float32), deep=True))

        self._texels = np.array(picture, dtype=np.uint8, order="C")
        self._image = vtk.vtkImageData()
        self._image.SetDimensions(picture.shape[1], picture.shape[0], 1)
        self._vtk_texels = numpy_to_vtk(self._texels.reshape(-1, 3))
        self._image.GetPointData().SetScalars(self._vtk_texels)
        texture = vtk.vtkTexture()
        texture.SetInputData(self._image)
        texture.InterpolateOn()
        texture.SetRepeat(True)

        mapper = vtk.vtkPolyDataMapper()
        mapper.SetInputData(self._mesh)
        mapper.ScalarVisibilityOff()
        self.actor = vtk.vtkActor()
        self.actor.SetMapper(mapper)
        self.actor.SetTexture(texture)
        self.look = self.actor.GetProperty()
        self.look.SetInterpolationToPhong()
        self.look.SetDiffuse(1.0)
        self.look.SetSpecular(gloss)
        self.look.SetSpecularPower(power)
        self.look.SetBackfaceCulling(closed)
        renderer.AddActor(self.actor)

    def update(self, points: np.ndarray, normals: np.ndarray) -> None:
        """Move the mesh to ``points (N, 3)`` with ``normals (N, 3)`` of the whole head."""
        np.take(points, self.vertices, axis=0, out=self._points)
        np.take(normals, self.vertices, axis=0, out=self._normals)
        self._vtk_points.Modified()
        self._vtk_normals.Modified()
        self._mesh.GetPoints().Modified()
        self._mesh.Modified()

    def repaint(self, texels: np.ndarray, colours: np.ndarray) -> None:
        """Change texels of the texture: flat ids ``(K,)`` and colours ``(K, 3)`` in 0..255."""
        self._texels.reshape(-1, 3)[texels] = colours
        self._vtk_texels.Modified()
        self._image.Modified()

    def remove(self) -> None:
        """Take the mesh out of the scene."""
        self._renderer.RemoveActor(self.actor)


def smooth_normals(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Vertex normals ``(N, 3)`` float32, triangles weighted by their area."""
    a, b, c = (points[triangles[:, corner]] for corner in range(3))
    faces = np.cross(b - a, c - a)
    normals = np.zeros((len(points), 3), np.float64)
    corners = triangles.T.ravel()
    for axis in range(3):
        normals[:, axis] = np.bincount(corners, weights=np.tile(faces[:, axis], 3), minlength=len(points))
    return (normals / (np.linalg.norm(normals, axis=1, keepdims=True) + 1e-20)).astype(np.float32)


def rotation_matrix(degrees: np.ndarray) -> np.ndarray:
    """``(..., 3, 3)`` rotations of the head for pitch (down), yaw (to the person's left), roll ``(..., 3)`` degrees."""
    angles = np.radians(np.asarray(degrees, dtype=np.float64))
    (cp, cy, cr), (sp, sy, sr) = (np.moveaxis(part, -1, 0) for part in (np.cos(angles), np.sin(angles)))
    # About y, then x, then z, as one product.
    rows = [
        [cy * cr + sy * sp * sr, -cy * sr + sy * sp * cr, sy * cp],
        [cp * sr, cp * cr, -sp],
        [-sy * cr + cy * sp * sr, sy * sr + cy * sp * cr, cy * cp],
    ]
    return np.moveaxis(np.array(rows, dtype=np.float32), (0, 1), (-2, -1))


def turning_share(points: np.ndarray) -> np.ndarray:
    """``(N, 1)`` how much each vertex of the resting bust follows the head: 1 above the jaw, 0 at the collar."""
    share = np.clip((points[:, 1] - 0.35 * points[:, 2] + 0.165) / 0.075, 0, 1)
    return (share**2 * (3 - 2 * share))[:, None].astype(np.float32)


def compact(triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The vertices ``(V,)`` that triangles use, and the triangles in terms of those."""
    vertices, inverse = np.unique(triangles, return_inverse=True)
    return vertices, inverse.reshape(-1, 3)
