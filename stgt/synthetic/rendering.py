"""Drawing a head off screen with VTK."""

import os

import numpy as np

from stgt.errors import MissingExtraError
from stgt.synthetic.appearance import Appearance
from stgt.synthetic.heads import Head
from stgt.synthetic.scenes import Scene

#: Where the head turns on the neck, in metres.
NECK = np.array([0.0, -0.085, -0.025], dtype=np.float32)


#: The picture is drawn this much larger and averaged down: smooth edges for a fraction of what multisampling costs.
SUPERSAMPLING = 1.5


class FaceRenderer:
    """Draws heads into pictures of one size; one per process.

    Only point coordinates and normals change from frame to frame; the pipeline, buffers and textures stay.

    Args:
        image_size: ``(width, height)``.
    """

    def __init__(self, image_size: tuple[int, int]) -> None:
        self.image_size = image_size
        self._drawn_size = tuple(round(side * SUPERSAMPLING) for side in image_size)
        self._vtk, self._support = _load_vtk()
        self._window, self._renderer = self._make_window()
        self._parts: list[_Part] = []
        self._head: Head | None = None
        self._noise: np.ndarray | None = None

    def set_head(self, head: Head, appearance: Appearance) -> None:
        """Draw this head from now on."""
        data = head.data
        self._head = head
        self._faces = _all_triangles(data.triangles)
        corners = np.concatenate([self._faces[:, k] for k in range(3)])
        self._corners = corners
        rest_normals = self._normals(head.rest)
        self._grown = head.rest + rest_normals * appearance.hair_thickness[:, None]
        self._turning = _turning_share(data.template)
        for part in self._parts:
            self._renderer.RemoveActor(part.actor)
        atlas = data.atlas
        self._parts = [
            _Part(self, atlas.source, atlas.triangles, atlas.coordinates, appearance.skin, gloss=appearance.gloss, power=12)
        ]
        for name in ("left_eye", "right_eye"):
            vertices, triangles = _compact(data.triangles[name])
            points = data.template[vertices]
            centre = (points.min(axis=0) + points.max(axis=0)) / 2
            radius = np.ptp(points[:, 0]) / 2
            coordinates = 0.5 + 0.5 * (points[:, :2] - centre[:2]) / radius
            self._parts.append(
                _Part(self, vertices, triangles, coordinates, appearance.eye, gloss=0.9, power=60, ambient=0.25)
            )
        for name, colour, gloss in (
            ("lashes", appearance.lashes, 0.0),
            ("upper_teeth", appearance.teeth, 0.3),
            ("lower_teeth", appearance.teeth * 0.9, 0.3),
            ("tongue", appearance.tongue, 0.2),
        ):
            vertices, triangles = _compact(data.triangles[name])
            picture = np.broadcast_to(np.clip(colour, 0, 255).astype(np.uint8), (2, 2, 3)).copy()
            self._parts.append(
                _Part(self, vertices, triangles, np.full((len(vertices), 2), 0.5), picture, gloss=gloss, power=30)
            )

    def set_scene(self, scene: Scene) -> None:
        """Use this camera, light and background from now on."""
        self.scene = scene
        self._renderer.RemoveAllLights()
        for light in scene.lights:
            source = self._vtk.vtkLight()
            source.SetLightTypeToSceneLight()
            source.SetPositional(False)
            source.SetPosition(*light.direction)
            source.SetFocalPoint(0, 0, 0)
            source.SetColor(*light.colour)
            source.SetIntensity(light.strength)
            self._renderer.AddLight(source)
        for part in self._parts:
            part.actor.GetProperty().SetAmbient(scene.ambient)
        camera = self._renderer.GetActiveCamera()
        middle = np.array([0.0, -0.025, 0.06])
        azimuth, elevation = np.radians([scene.azimuth, scene.elevation])
        direction = np.array(
            [np.sin(azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation)]
        )
        face_height = 0.20
        view_height = face_height / scene.face_share
        right = np.cross([0.0, 1.0, 0.0], direction)
        right /= np.linalg.norm(right)
        up = np.cross(direction, right)
        target = middle - right * scene.shift[0] * view_height + up * scene.shift[1] * view_height
        camera.SetFocalPoint(*target)
        camera.SetPosition(*(target + direction * scene.distance))
        camera.SetViewUp(0, 1, 0)
        camera.SetRoll(scene.roll)
        camera.SetViewAngle(float(np.degrees(2 * np.arctan(view_height / 2 / scene.distance))))
        camera.SetClippingRange(max(0.05, scene.distance - 0.6), scene.distance + 0.8)
        width, height = self.image_size
        rng = np.random.default_rng(scene.noise_seed)
        # One field of noise, shifted at random for every frame: new noise each time would cost more than the drawing.
        self._noise = (rng.standard_normal((2 * height, 2 * width, 1)) * 0.7).astype(np.float32)
        self._noise = self._noise + (rng.standard_normal((2 * height, 2 * width, 3)) * 0.5).astype(np.float32)
        self._noise *= scene.noise
        self._shifts = rng

    def render(self, actions: np.ndarray, rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
        """One frame.

        Args:
            actions: ``(52,)`` weights of the facial actions.
            rotation: ``(3,)`` degrees: pitch (down positive), yaw (to the person's left positive), roll.
            translation: ``(3,)`` metres, of the whole bust.

        Returns:
            ``(H, W, 3)`` uint8 RGB.
        """
        import cv2

        head = self._head
        points = self._grown + (np.asarray(actions, np.float32) @ head._flat_actions).reshape(-1, 3)
        turned = (points - NECK) @ rotation_matrix(rotation).T + NECK
        points += (turned - points) * self._turning
        normals = self._normals(points)
        points += np.asarray(translation, np.float32)
        for part in self._parts:
            part.update(points, normals)
        picture = cv2.resize(self._grab(), self.image_size, interpolation=cv2.INTER_AREA)
        alpha = picture[..., 3:].astype(np.float32) / 255
        rgb = picture[..., :3] + self.scene.background * (1 - alpha)
        rgb = rgb * self.scene.exposure
        if self.scene.blur > 0:
            rgb = cv2.GaussianBlur(rgb, (0, 0), self.scene.blur)
        width, height = self.image_size
        row, column = self._shifts.integers(0, height), self._shifts.integers(0, width)
        rgb += self._noise[row : row + height, column : column + width]
        return np.clip(rgb + 0.5, 0, 255).astype(np.uint8)

    def _make_window(self):  # noqa: ANN202 - VTK has no types
        vtk = self._vtk
        # Mesa's software rasteriser: several processes beat several threads. Read when the first window is made.
        os.environ.setdefault("LP_NUM_THREADS", "1")
        window = vtk.vtkEGLRenderWindow() if hasattr(vtk, "vtkEGLRenderWindow") else vtk.vtkRenderWindow()
        window.SetOffScreenRendering(True)
        window.SetSize(*self._drawn_size)
        window.SetMultiSamples(0)
        window.SetAlphaBitPlanes(True)
        renderer = vtk.vtkRenderer()
        renderer.SetBackground(0, 0, 0)
        renderer.SetBackgroundAlpha(0.0)
        renderer.AutomaticLightCreationOff()
        renderer.SetTwoSidedLighting(True)
        window.AddRenderer(renderer)
        return window, renderer

    def _normals(self, points: np.ndarray) -> np.ndarray:
        """Area-weighted vertex normals ``(N, 3)``."""
        a, b, c = (points[self._faces[:, k]] for k in range(3))
        face = np.cross(b - a, c - a)
        count = len(points)
        normals = np.stack(
            [np.bincount(self._corners, weights=np.tile(face[:, k], 3), minlength=count) for k in range(3)], axis=1
        )
        return (normals / (np.linalg.norm(normals, axis=1, keepdims=True) + 1e-20)).astype(np.float32)

    def _grab(self) -> np.ndarray:
        width, height = self._drawn_size
        self._window.Render()
        pixels = self._vtk.vtkUnsignedCharArray()
        self._window.GetRGBACharPixelData(0, 0, width - 1, height - 1, 0, pixels)
        return self._support.vtk_to_numpy(pixels).reshape(height, width, 4)[::-1]


class _Part:
    """One textured mesh of the scene: numpy arrays that VTK reads in place."""

    def __init__(self, renderer, vertices, triangles, coordinates, picture, gloss, power, ambient=0.0) -> None:  # noqa: ANN001
        vtk, support = renderer._vtk, renderer._support
        self.vertices = vertices
        self.points = np.zeros((len(vertices), 3), np.float32)
        self.normals = np.zeros((len(vertices), 3), np.float32)
        self.mesh = vtk.vtkPolyData()
        points = vtk.vtkPoints()
        self._vtk_points = support.numpy_to_vtk(self.points)
        points.SetData(self._vtk_points)
        self.mesh.SetPoints(points)
        self._points = points
        cells = vtk.vtkCellArray()
        cells.SetData(3, support.numpy_to_vtkIdTypeArray(triangles.astype(np.int64).ravel(), deep=True))
        self.mesh.SetPolys(cells)
        self._vtk_normals = support.numpy_to_vtk(self.normals)
        self.mesh.GetPointData().SetNormals(self._vtk_normals)
        self.mesh.GetPointData().SetTCoords(support.numpy_to_vtk(coordinates.astype(np.float32), deep=True))
        image = vtk.vtkImageData()
        height, width = picture.shape[:2]
        image.SetDimensions(width, height, 1)
        image.GetPointData().SetScalars(support.numpy_to_vtk(np.ascontiguousarray(picture).reshape(-1, 3), deep=True))
        texture = vtk.vtkTexture()
        texture.SetInputData(image)
        texture.InterpolateOn()
        texture.SetMipmap(False)
        texture.SetRepeat(True)
        mapper = vtk.vtkPolyDataMapper()
        mapper.SetInputData(self.mesh)
        mapper.ScalarVisibilityOff()
        self.actor = vtk.vtkActor()
        self.actor.SetMapper(mapper)
        self.actor.SetTexture(texture)
        look = self.actor.GetProperty()
        look.SetInterpolationToPhong()
        look.SetAmbient(1.0)
        look.SetDiffuse(1.0)
        look.SetSpecular(gloss)
        look.SetSpecularPower(power)
        renderer._renderer.AddActor(self.actor)

    def update(self, points: np.ndarray, normals: np.ndarray) -> None:
        np.take(points, self.vertices, axis=0, out=self.points)
        np.take(normals, self.vertices, axis=0, out=self.normals)
        self._vtk_points.Modified()
        self._points.Modified()
        self._vtk_normals.Modified()
        self.mesh.Modified()


def rotation_matrix(degrees: np.ndarray) -> np.ndarray:
    """Rotation ``(3, 3)`` of the head for pitch, yaw and roll in degrees."""
    pitch, yaw, roll = np.radians(np.asarray(degrees, dtype=np.float64))
    cp, sp, cy, sy, cr, sr = np.cos(pitch), np.sin(pitch), np.cos(yaw), np.sin(yaw), np.cos(roll), np.sin(roll)
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return (about_y @ about_x @ about_z).astype(np.float32)


def _turning_share(template: np.ndarray) -> np.ndarray:
    """``(N, 1)`` how much each vertex follows the head: 1 above the jaw, 0 at the collar."""
    y, z = template[:, 1], template[:, 2]
    t = np.clip((y - 0.35 * z + 0.165) / 0.075, 0, 1)
    return (t * t * (3 - 2 * t))[:, None].astype(np.float32)


def _all_triangles(triangles: dict[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([array for name, array in triangles.items() if name != "hair"])


def _compact(triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The vertices that triangles use, and the triangles in terms of those."""
    vertices, inverse = np.unique(triangles, return_inverse=True)
    return vertices, inverse.reshape(-1, 3)


def _load_vtk():  # noqa: ANN202
    try:
        import vtk
        from vtkmodules.util import numpy_support
    except ImportError as error:
        raise MissingExtraError("stgt synthesize", "synthetic") from error
    return vtk, numpy_support


def check_renderer() -> None:
    """Make sure that VTK is there before work begins."""
    _load_vtk()
