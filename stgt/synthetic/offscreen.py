"""A VTK window that is never shown."""

import os

import numpy as np

from stgt.errors import MissingExtraError, StgtError


class OffscreenWindow:
    """Draws a ``vtkRenderer`` into arrays.

    Args:
        size: ``(width, height)`` in pixels.

    Raises:
        MissingExtraError: VTK is not installed.
        StgtError: the system gives no OpenGL context.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        vtk = load_vtk()
        # Mesa's software rasteriser: several processes beat several threads. Read when the first window is made.
        os.environ.setdefault("LP_NUM_THREADS", "1")
        # What can go wrong is said below in a sentence of ours.
        vtk.vtkLogger.SetStderrVerbosity(vtk.vtkLogger.VERBOSITY_OFF)
        vtk.vtkObject.GlobalWarningDisplayOff()
        self.size = size
        # On Linux straight to EGL: no X server is asked for, and none needed.
        self._window = vtk.vtkEGLRenderWindow() if hasattr(vtk, "vtkEGLRenderWindow") else vtk.vtkRenderWindow()
        self._window.SetOffScreenRendering(True)
        self._window.SetSize(*size)
        self._window.SetMultiSamples(0)
        self._window.SetAlphaBitPlanes(True)
        if not self._window.SupportsOpenGL():
            raise StgtError(
                "VTK finds no OpenGL to draw with; install Mesa's software driver "
                "(Debian, Ubuntu: apt install libegl1 libgl1-mesa-dri)"
            )
        self.renderer = vtk.vtkRenderer()
        self.renderer.SetBackground(0, 0, 0)
        self.renderer.SetBackgroundAlpha(0.0)
        self.renderer.AutomaticLightCreationOff()
        self.renderer.SetTwoSidedLighting(True)
        self._window.AddRenderer(self.renderer)
        self._pixels = vtk.vtkUnsignedCharArray()

    def draw(self) -> np.ndarray:
        """The picture ``(H, W, 4)`` uint8: RGB over black, and coverage. It is overwritten by the next one."""
        from vtkmodules.util.numpy_support import vtk_to_numpy

        width, height = self.size
        self._window.Render()
        self._window.GetRGBACharPixelData(0, 0, width - 1, height - 1, 0, self._pixels)
        return vtk_to_numpy(self._pixels).reshape(height, width, 4)[::-1]


def load_vtk():  # noqa: ANN201 - VTK has no types
    """The vtk module.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import vtk
    except ImportError as error:
        raise MissingExtraError("stgt synthesize", "synthetic") from error
    return vtk
