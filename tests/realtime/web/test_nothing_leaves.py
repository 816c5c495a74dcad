"""The page says that nothing leaves the computer. Libraries have habits of their own: some that a server loads report
their use to their makers when nobody stops them."""

import contextlib
import json
import socket
import struct
import threading
import time

import cv2
from websockets.sync.client import connect


class Listener:
    """A proxy that nobody should need: what it hears first of everyone who connects."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                with connection:
                    connection.settimeout(2)
                    self.heard.append(connection.recv(200))

    def close(self) -> None:
        self._socket.close()


def test_a_server_at_work_talks_to_nobody(start_server, tmp_path_factory, photos, short_video, face_pictures):
    folder, home = tmp_path_factory.mktemp("private"), tmp_path_factory.mktemp("home")
    with contextlib.closing(Listener()) as listener:
        proxies = dict.fromkeys(
            ("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"), listener.address
        )
        homes = {"HOME": str(home), "XDG_CACHE_HOME": str(home), "XDG_DATA_HOME": str(home)}
        with start_server(temporary=folder, environment={**proxies, **homes, "no_proxy": ""}) as server:
            for path in (photos["one"], short_video):
                assert server.job_after(server.upload(path.read_bytes(), path.name))["status"] == "done"
            with connect(f"ws://127.0.0.1:{server.port}/api/live", proxy=None) as live:
                live.send(json.dumps({"type": "hello", "width": 320, "height": 320, "mesh": False}))
                assert json.loads(live.recv(20))["type"] == "ready"
                picture = cv2.imencode(".jpg", face_pictures[0])[1].tobytes()
                for number in range(1, 6):
                    live.send(struct.pack("<Id", number, number / 10) + picture)
                    while json.loads(live.recv(20))["type"] != "result":
                        pass
            time.sleep(1)  # they report at leisure
        assert listener.heard == []
    assert list(folder.iterdir()) == []
    assert not [path for path in home.rglob("*") if path.is_file() and "onnxruntime" in str(path)]
