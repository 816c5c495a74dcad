"""Drawing a head off screen with VTK."""

import numpy as np

from stgt.synthetic.appearance import Appearance, Look
from stgt.synthetic.glasses import fit
from stgt.synthetic.hair import curtain
from stgt.synthetic.heads import Head, weigh
from stgt.synthetic.mesh import Part, compact, rotation_matrix, smooth_normals, turning_share
from stgt.synthetic.offscreen import OffscreenWindow
from stgt.synthetic.scenes import Scene
from stgt.synthetic.wrinkles import draw_folds, fold_drivers

#: The picture is drawn this much larger and averaged down: smooth edges for a fraction of what multisampling costs.
SUPERSAMPLING = 1.5
#: Where the head turns on the neck, in metres.
NECK = np.array([0.0, -0.085, -0.025], dtype=np.float32)
#: What the camera is aimed at, and the height that ``Scene.face_share`` is the share of.
FACE_CENTRE, FACE_HEIGHT = np.array([0.0, -0.012, 0.06]), 0.20
#: Texture coordinates (left, bottom, right, top) of the part of the atlas whose folds move.
FACE_WINDOW = (0.26, 0.27, 0.74, 0.73)
GLINT_RADIUS = 0.0011  # m, of the light's reflection on the cornea
LASH_SHARES = {"upper_lashes": 0.6, "lower_lashes": 0.22}  # how dark: lashes are sheets here, black ones look painted
TEETH_COLOUR, TONGUE_COLOUR = np.array([190.0, 180.0, 162.0]), np.array([104.0, 44.0, 43.0])


class FaceRenderer:
    """Draws heads into pictures of one size; keep one per process.

    From frame to frame only point coordinates, normals and the face's texture change; pipeline and buffers stay.

    Args:
        image_size: ``(width, height)``.

    Raises:
        MissingExtraError: VTK is not installed.
        StgtError: the system gives no OpenGL context.
    """

    def __init__(self, image_size: tuple[int, int]) -> None:
        self.image_size = image_size
        width, height = (round(side * SUPERSAMPLING) for side in image_size)
        self._window = OffscreenWindow((width, height))
        self._renderer = self._window.renderer
        self._parts: list[Part] = []
        self._glints: list = []
        self._head: Head | None = None
        self._drivers = fold_drivers()
        self._folds: np.ndarray | None = None

    def set_head(self, head: Head, appearance: Appearance) -> None:
        """Draw this head from now on."""
        if self._head is head:
            return
        data, atlas, look = head.data, head.data.atlas, appearance.look
        self._reflectance = 1.1 - 0.45 * look.tone
        for part in self._parts:
            part.remove()
        for glint in self._glints:
            self._renderer.RemoveActor(glint)
        self._parts, self._head = [], head
        count = len(head.rest)
        bare = np.concatenate([array for name, array in data.triangles.items() if name != "hair"])
        grown = head.rest + smooth_normals(head.rest, bare) * appearance.hair_thickness[:, None]
        skull = (appearance.hair_thickness > 0) | (atlas.ear_vertices > 0)
        sheet, sheet_triangles, sheet_uv = curtain(grown, skull, look.style)
        self._eyes = [np.unique(data.triangles[name]) for name in ("left_eye", "right_eye")]
        frame, frame_triangles = self._fit_glasses(head, look)
        self._rest = np.concatenate([grown, sheet, frame])
        self._triangles = np.concatenate([bare, sheet_triangles + count, frame_triangles + count + len(sheet)])
        self._turning = np.concatenate(
            [turning_share(data.template), np.maximum(0.35, turning_share(sheet)), np.ones((len(frame), 1), np.float32)]
        )

        self._add_skin(head, appearance)
        self._add_eyes(head, appearance)
        self._add_plain_parts(head, look)
        if len(sheet):
            ids = np.arange(count, count + len(sheet))
            self._add_part(ids, sheet_triangles, sheet_uv, appearance.strands, 0.15, 12)
        if look.glasses is not None:
            ids = np.arange(count + len(sheet), len(self._rest))
            plain = np.zeros((len(frame), 2), np.float32)
            self._add_part(ids, frame_triangles, plain, look.glasses.colour[None, None], 0.4, 30)
        self._glints = [self._add_glint() for _ in self._eyes]

    def _fit_glasses(self, head: Head, look: Look) -> tuple[np.ndarray, np.ndarray]:
        if look.glasses is None:
            return np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int64)
        # Fitted to the face as it is at rest; they do not follow the skin below them.
        rest = head.shape(head.identity.resting)
        skin = np.unique(head.data.triangles["skin"])
        return fit(look.glasses, rest, skin, tuple(self._eyes), np.flatnonzero(head.data.atlas.ear_vertices > 0))

    def set_scene(self, scene: Scene) -> None:
        """Use this camera, light and background from now on; call it after `set_head`."""
        import vtk

        self._scene = scene
        self._renderer.RemoveAllLights()
        for light in scene.lights:
            source = vtk.vtkLight()
            source.SetLightTypeToSceneLight()
            source.SetPositional(False)
            source.SetPosition(*light.direction)
            source.SetFocalPoint(0, 0, 0)
            source.SetColor(*light.colour)
            source.SetIntensity(light.strength)
            self._renderer.AddLight(source)
        for part in self._parts:
            part.look.SetAmbient(scene.ambient)
        self._aim(scene)
        width, height = self.image_size
        self._rng = np.random.default_rng(scene.noise_seed)
        # One field of noise, shifted for every frame: new noise each time would cost more than the drawing.
        grey = self._rng.standard_normal((2 * height, 2 * width, 1), dtype=np.float32)
        coloured = self._rng.standard_normal((2 * height, 2 * width, 3), dtype=np.float32)
        self._noise = scene.noise * (0.7 * grey + 0.5 * coloured)
        self._gain: np.ndarray | None = None

    def render(self, actions: np.ndarray, rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
        """One frame.

        Args:
            actions: ``(52,)`` weights of the facial actions, 0..1.
            rotation: ``(3,)`` degrees: pitch (down positive), yaw (to the person's left positive), roll.
            translation: ``(3,)`` metres, of the whole bust.

        Returns:
            ``(H, W, 3)`` uint8 RGB.
        """
        import cv2

        weights = np.asarray(actions, np.float32)
        points = self._rest.copy()
        points[: len(self._head.rest)] += self._head.displacement(weights)
        turn = rotation_matrix(rotation)
        turned = np.einsum("ij,nj->ni", turn, points - NECK) + NECK
        points += (turned - points) * self._turning
        normals = smooth_normals(points, self._triangles)
        points += np.asarray(translation, np.float32)
        self._press_folds(weights)
        for part in self._parts:
            part.update(points, normals)
        self._place_glints(points)

        picture = cv2.resize(self._window.draw(), self.image_size, interpolation=cv2.INTER_LINEAR).astype(np.float32)
        alpha = picture[..., 3:] / 255
        rgb = picture[..., :3] + self._scene.background * (1 - alpha)
        if self._gain is None:
            self._gain = self._scene.exposure * _automatic_exposure(picture, self._scene.brightness * self._reflectance)
        rgb *= self._gain
        if self._scene.blur > 0.2:
            rgb = cv2.GaussianBlur(rgb, (0, 0), self._scene.blur)
        width, height = self.image_size
        row, column = self._rng.integers(0, height), self._rng.integers(0, width)
        rgb += self._noise[row : row + height, column : column + width]
        return np.clip(rgb + 0.5, 0, 255).astype(np.uint8)

    def _press_folds(self, weights: np.ndarray) -> None:
        depth = self._fold_depth * np.clip((self._drivers * weights).sum(axis=1), 0, 1)
        shade = 1 - weigh(depth, self._folds)
        self._face.repaint(self._folded, np.clip(self._folded_skin * shade[:, None], 0, 255))

    def _aim(self, scene: Scene) -> None:
        azimuth, elevation = np.radians([scene.azimuth, scene.elevation])
        direction = np.array(
            [np.sin(azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation)]
        )
        view_height = FACE_HEIGHT / scene.face_share
        right = np.cross([0.0, 1.0, 0.0], direction)
        right /= np.linalg.norm(right)
        up = np.cross(direction, right)
        target = FACE_CENTRE - right * scene.shift[0] * view_height + up * scene.shift[1] * view_height
        self._towards_camera = direction
        camera = self._renderer.GetActiveCamera()
        camera.SetFocalPoint(*target)
        camera.SetPosition(*(target + direction * scene.distance))
        camera.SetViewUp(0, 1, 0)
        camera.SetRoll(scene.roll)
        camera.SetViewAngle(float(np.degrees(2 * np.arctan(view_height / 2 / scene.distance))))
        camera.SetClippingRange(max(0.05, scene.distance - 0.4), scene.distance + 0.5)

    def _add_skin(self, head: Head, appearance: Appearance) -> None:
        """The face, whose texture changes with the folds; the rest of head and neck; the clothed torso."""
        atlas, skin, gloss = head.data.atlas, appearance.skin, appearance.look.gloss
        face, rest = _split_face(atlas.triangles, atlas.coordinates)
        rows, columns = _window_texels(skin.shape)
        window = skin[rows, columns]
        if self._folds is None:  # the same for all heads: they share the atlas
            folds = draw_folds(atlas.place[rows, columns])
            folds = folds.reshape(len(folds), -1)
            # Folds touch few texels: only those are repainted.
            self._folded = np.flatnonzero(np.abs(folds).max(axis=0) > 0.01)
            self._folds = np.ascontiguousarray(folds[:, self._folded])
        self._fold_depth = appearance.fold_depth
        self._folded_skin = window.reshape(-1, 3)[self._folded]
        window_uv = _into_window(atlas.coordinates, skin.shape, rows, columns)
        self._face = self._add_part(atlas.source, face, window_uv, window, gloss, 14, closed=True)
        self._add_part(atlas.source, rest, atlas.coordinates, skin, 0.6 * gloss, 14, closed=True)
        cloth_uv = 9 * head.data.template[:, :2]
        self._add_part(np.arange(len(cloth_uv)), atlas.torso, cloth_uv, appearance.cloth, 0.0, 10, closed=True)

    def _add_eyes(self, head: Head, appearance: Appearance) -> None:
        template = head.data.template
        uv = np.zeros((len(template), 2), np.float32)
        for eye in self._eyes:
            low, high = template[eye].min(axis=0), template[eye].max(axis=0)
            uv[eye] = 0.5 + (template[eye] - (low + high) / 2)[:, :2] / (high - low)[0]
        triangles = np.concatenate([head.data.triangles[name] for name in ("left_eye", "right_eye")])
        self._add_part(np.arange(len(template)), triangles, uv, appearance.eye, 0.25, 40, closed=True)

    def _add_plain_parts(self, head: Head, look: Look) -> None:
        """Teeth, tongue and lashes: one mesh, and a texture of one texel per colour."""
        colours = {"upper_teeth": TEETH_COLOUR, "lower_teeth": 0.85 * TEETH_COLOUR, "tongue": TONGUE_COLOUR}
        for name, share in LASH_SHARES.items():
            colours[name] = share * 0.3 * look.brows + (1 - share) * 0.75 * look.skin
        uv = np.full((len(head.rest), 2), 0.5, np.float32)
        for index, name in enumerate(colours):
            uv[head.data.triangles[name].ravel(), 0] = (index + 0.5) / len(colours)
        triangles = np.concatenate([head.data.triangles[name] for name in colours])
        texture = np.array([list(colours.values())])
        self._add_part(np.arange(len(head.rest)), triangles, uv, texture, 0.12, 25)

    def _add_part(self, vertices, triangles, coordinates, picture, gloss, power, closed=False) -> Part:  # noqa: ANN001
        used, packed = compact(triangles)
        part = Part(self._renderer, vertices[used], packed, coordinates[used], picture, gloss, power, closed)
        self._parts.append(part)
        return part

    def _add_glint(self):  # noqa: ANN202 - VTK has no types
        import vtk

        disc = vtk.vtkRegularPolygonSource()
        disc.SetNumberOfSides(10)
        disc.SetRadius(GLINT_RADIUS)
        disc.GeneratePolylineOff()
        mapper = vtk.vtkPolyDataMapper()
        mapper.SetInputConnection(disc.GetOutputPort())
        actor = vtk.vtkActor()
        actor.SetMapper(mapper)
        actor.GetProperty().LightingOff()
        actor.GetProperty().SetColor(0.93, 0.94, 0.96)
        self._renderer.AddActor(actor)
        return actor

    def _place_glints(self, points: np.ndarray) -> None:
        """Put the key light's reflection on each cornea: where the normal halves the angle from light to camera."""
        light = np.asarray(self._scene.lights[0].direction)
        half = light / np.linalg.norm(light) + self._towards_camera
        half /= np.linalg.norm(half)
        for actor, eye in zip(self._glints, self._eyes, strict=True):
            ball = points[eye]
            centre = (ball.min(axis=0) + ball.max(axis=0)) / 2
            actor.SetPosition(*(centre + half * (np.ptp(ball[:, 0]) / 2 * 1.03)))
            pitch, yaw = np.degrees([np.arcsin(half[1]), np.arctan2(half[0], half[2])])
            actor.SetOrientation(-pitch, yaw, 0)


def _automatic_exposure(picture: np.ndarray, brightness: float) -> float:
    """The gain with which a camera would bring the face towards ``brightness``; dark skin stays darker."""
    height, width = picture.shape[:2]
    centre = picture[height // 3 : 3 * height // 4, width // 3 : 2 * width // 3]
    luminance = 0.299 * centre[..., 0] + 0.587 * centre[..., 1] + 0.114 * centre[..., 2]
    covered = centre[..., 3] > 128
    mean = float(luminance[covered].mean()) if covered.any() else brightness
    return float(np.clip((brightness / max(mean, 1.0)) ** 0.7, 0.6, 2.2))


def _window_texels(shape: tuple[int, ...]) -> tuple[slice, slice]:
    left, bottom, right, top = FACE_WINDOW
    height, width = shape[:2]
    return slice(int(bottom * height), int(top * height)), slice(int(left * width), int(right * width))


def _split_face(triangles: np.ndarray, coordinates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Triangles inside the face's window, and the others."""
    left, bottom, right, top = FACE_WINDOW
    u, v = coordinates[triangles].transpose(2, 0, 1)
    margin = 0.01
    inside = (u > left + margin) & (u < right - margin) & (v > bottom + margin) & (v < top - margin)
    whole = inside.all(axis=1)
    return triangles[whole], triangles[~whole]


def _into_window(coordinates: np.ndarray, shape: tuple[int, ...], rows: slice, columns: slice) -> np.ndarray:
    """Atlas coordinates as coordinates of the face's own texture."""
    height, width = shape[:2]
    u = (coordinates[:, 0] * width - columns.start) / (columns.stop - columns.start)
    v = (coordinates[:, 1] * height - rows.start) / (rows.stop - rows.start)
    return np.stack([u, v], axis=1)
