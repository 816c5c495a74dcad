"""Browsers and servers that are killed in the middle."""

import json
import struct
import time

import psutil


def alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_killed_browser_leaves_its_place_to_the_next(
    chromium, browser_arguments, server, live_socket, greet, face_jpeg, eventually
):
    """Chromium is killed while its pages have both places: nobody is left to say goodbye."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        before = {process.pid for process in psutil.Process().children(recursive=True)}
        browser = playwright.chromium.launch(executable_path=chromium, args=browser_arguments)
        context = browser.new_context(permissions=["camera"])
        for _ in range(2):
            page = context.new_page()
            page.goto(f"{server.url}/#live")
            page.locator('[data-test="live-start"]').click()
            page.wait_for_function("() => window.stgtLive && window.stgtLive.results > 2")
        with live_socket(server) as waiting:
            assert greet(waiting)["type"] == "wait"
            # Also those that the browser started since.
            killed = [process for process in psutil.Process().children(recursive=True) if process.pid not in before]
            assert killed
            for process in filter(alive, killed):
                process.kill()
            killed_s = time.monotonic()
            while json.loads(waiting.recv(25))["type"] != "ready":
                pass
            assert time.monotonic() - killed_s < 25
            waiting.send(struct.pack("<Id", 1, 0.0) + face_jpeg)
            while json.loads(waiting.recv(20))["type"] != "result":
                pass
        eventually(lambda: not any(map(alive, killed)), "the browser is gone")


def test_servers_that_are_killed_or_interrupted_leave_nothing(
    start_server, tmp_path_factory, long_video, eventually, live_socket, greet
):
    """Both in the middle of a job. The children of the one that was killed end, and the next one finds no trace of it;
    the one that was interrupted ends soon, and cleans up itself."""
    folder = tmp_path_factory.mktemp("ended")

    def busy(server) -> list[psutil.Process]:
        job = server.upload(long_video.read_bytes(), "long.mp4").json()
        eventually(lambda: server.get(f"/api/jobs/{job['id']}")["progress"]["done"] > 20, "the job runs")
        return server.family()

    with start_server(temporary=folder) as server:
        family = busy(server)
        assert len(family) > 1
        server.kill()
        eventually(lambda: not any(map(alive, family)), "no process is left", 15)
    assert server.left() == []
    with start_server(temporary=folder) as server:
        assert len(list(folder.iterdir())) == 1
        family = busy(server)
        with live_socket(server) as connection:
            greet(connection)
            began_s = time.monotonic()
            assert server.stop() == 0
            assert time.monotonic() - began_s < 10
    assert not any(map(alive, family))
    assert list(folder.iterdir()) == []
    assert server.log.read_text().count("\n") == 1, "not a word but where it listens"
