"""The page says that nothing leaves the computer. Libraries have habits of their own: some that a server loads report
their use to their makers when nobody stops them."""

import json
import struct
import time

import cv2
from websockets.sync.client import connect


def test_a_server_at_work_talks_to_nobody(web_server, listener, server_home, photos, face_pictures):
    """Its proxies lead to somebody who listens."""
    assert web_server.job_after(web_server.upload(photos["one"].read_bytes(), "one.jpg"))["status"] == "done"
    with connect(f"ws://127.0.0.1:{web_server.port}/api/live", proxy=None) as live:
        live.send(json.dumps({"type": "hello", "width": 320, "height": 320, "mesh": False}))
        while json.loads(live.recv(20))["type"] != "ready":
            pass
        picture = cv2.imencode(".jpg", face_pictures[0])[1].tobytes()
        for number in range(1, 6):
            live.send(struct.pack("<Id", number, number / 10) + picture)
            while json.loads(live.recv(20))["type"] != "result":
                pass
    time.sleep(1)  # they report at leisure
    assert listener.heard == []
    assert not [path for path in server_home.rglob("*") if path.is_file() and "onnxruntime" in str(path)]
