"""The window on a real X server without a monitor, where there is one."""

import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import ImageGrab
from stgt.realtime.painting import screen

needs_xvfb = pytest.mark.skipif(
    not (shutil.which("Xvfb") and shutil.which("xdotool")), reason="needs Xvfb and xdotool to press keys in a window"
)

SHOW = """
import time
import numpy as np
from stgt.realtime.painting.screen import Screen, display_problem
assert display_problem() is None
with Screen("stgt live", (320, 240)) as screen:
    shown, key, colour = (320, 240), "", (200, 40, 10)
    while key != "q":
        screen.show(np.full((shown[1], shown[0], 3), colour, np.uint8))
        key = screen.key(20)
        if key:
            print(key, flush=True)
        if key == "m":
            shown, colour = (400, 300), (10, 40, 200)
"""


@pytest.fixture(scope="module")
def display():
    """Name of a display."""
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "800x600x24", "-nolisten", "tcp", "-noreset"],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as numbers:
        name = f":{numbers.readline().strip()}"
    yield name
    server.terminate()
    server.wait()


@pytest.fixture
def window(display):
    """A process that shows pictures and prints the keys it gets, and what runs xdotool on its window."""
    environment = os.environ | {"DISPLAY": display}
    process = subprocess.Popen(
        [sys.executable, "-c", SHOW], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )

    def xdotool(*arguments):
        return subprocess.run(["xdotool", *arguments], env=environment, capture_output=True, text=True).stdout.strip()

    number = ""
    until_s = time.monotonic() + 60
    while not number and process.poll() is None and time.monotonic() < until_s:
        number = xdotool("search", "--name", "stgt live")
        time.sleep(0.1)
    number = number.split("\n")[0]
    assert number, process.communicate()[1]
    yield process, lambda *arguments: xdotool(*[number if part == "WINDOW" else part for part in arguments])
    if process.poll() is None:
        process.kill()
    process.communicate()


def wait_for(display: str, colour: tuple[int, int, int], process: subprocess.Popen, timeout_s: float = 40) -> int:
    """How many pixels of the display have a colour, as soon as any has; 0 after some seconds."""
    count, until_s = 0, time.monotonic() + timeout_s
    while not count and time.monotonic() < until_s:
        assert process.poll() is None, (process.returncode, process.communicate()[1])
        picture = np.asarray(ImageGrab.grab(xdisplay=display).convert("RGB"), int)
        count = int((np.abs(picture - colour).max(axis=2) < 3).sum())
        time.sleep(0.05)
    return count


@needs_xvfb
def test_pictures_are_shown_and_keys_come_back(window, display):
    process, xdotool = window
    # Red, green and blue as they are, and in the size of the picture.
    red = (200, 40, 10)
    if not wait_for(display, red, process, timeout_s=5):
        # Where no window manager is, Qt leaves about one first window in ten unpainted on a busy machine: it is visible
        # for X and answers keys, and nothing but being mapped once more makes Qt paint it.
        xdotool("windowunmap", "WINDOW", "windowmap", "WINDOW")
    assert wait_for(display, red, process) == pytest.approx(320 * 240, rel=0.02)
    for key in ("p", "M"):
        xdotool("key", "--window", "WINDOW", key)
        assert process.stdout.readline().strip() == key.lower()
    assert wait_for(display, (10, 40, 200), process) == pytest.approx(400 * 300, rel=0.02), (
        "the window follows its pictures"
    )
    xdotool("key", "--window", "WINDOW", "Escape")
    assert process.stdout.readline().strip() == "q"
    assert process.wait(40) == 0


def test_a_display_that_does_not_answer_is_told(monkeypatch):
    monkeypatch.setattr(screen.sys, "platform", "linux")
    monkeypatch.setenv("DISPLAY", ":9876")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert "cannot open a window" in screen.display_problem()  # the toolkit itself would end this process
    monkeypatch.delenv("DISPLAY")
    assert "no display" in screen.display_problem()
