"""The server that `stgt bench web` measures, in a process of its own."""

import contextlib
import http.client
import json
import os
import re
import secrets
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from stgt.errors import StgtError

_START_S = 120.0
_SETTLED_S = 1.5


class WebServer:
    """``stgt web`` in a process of its own; a context manager.

    Attributes:
        port: where it listens on this machine.

    Raises:
        StgtError: it does not start.
    """

    def __init__(self) -> None:
        import psutil

        self._process = subprocess.Popen(
            [sys.executable, "-m", "stgt", "web", "--port", "0"],
            stdout=subprocess.PIPE,
            text=True,
            env={name: value for name, value in os.environ.items() if name != "STGT_WEB_TOKEN"},
        )
        said = self._process.stdout.readline()
        found = re.search(r"http://[\w.]+:(\d+)/", said)
        if found is None:
            self.close()
            raise StgtError(f"stgt web does not start; it says {said.strip()!r}")
        self.port = int(found[1])
        self._memory = psutil.Process(self._process.pid).memory_info

    @property
    def memory_mb(self) -> float:
        """Resident memory of the process."""
        return self._memory().rss / 2**20

    def settled_memory_mb(self) -> float:
        """The same, when whoever has just left has left for good."""
        time.sleep(_SETTLED_S)
        return self.memory_mb

    def ask(self, method: str, path: str, body: bytes | None = None, kind: str = "") -> dict[str, Any]:
        """The JSON that is answered.

        Raises:
            StgtError: it was not done.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_START_S)
        with contextlib.closing(connection):
            connection.request(method, path, body, {"Content-Type": kind} if kind else {})
            answer = connection.getresponse()
            content = answer.read()
        if answer.status >= 400:
            raise StgtError(f"{method} {path} was answered with {answer.status}: {content[:200]!r}")
        return json.loads(content) if content else {}

    def read_video(self, path: Path) -> float:
        """Let it read a video as a job; seconds from the upload's begin to the job's end."""
        boundary = secrets.token_hex(16)
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{path.name}"\r\n\r\n'
        body = head.encode() + path.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
        began_s = time.perf_counter()
        job = self.ask("POST", "/api/predict", body, f"multipart/form-data; boundary={boundary}")
        address = f"/api/jobs/{job['id']}"
        while job["status"] in ("waiting", "running"):
            time.sleep(0.05)
            job = self.ask("GET", address)
        took_s = time.perf_counter() - began_s
        if job["status"] != "done":
            raise StgtError(f"the video was not read: {job['error']}")
        self.ask("DELETE", address)
        return took_s

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait()
        self._process.stdout.close()

    def __enter__(self) -> "WebServer":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
