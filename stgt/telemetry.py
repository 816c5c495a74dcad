"""Libraries below STGT report their use to their makers by themselves; STGT's commands keep them from it.

MediaPipe (seen in 1.2) sends a usage log to ``play.googleapis.com`` whenever a task is made or closed, and has
no switch for it. ONNX Runtime (from 1.29) writes an identifier of the device to the disk and sends session events,
unless an environment variable forbids it before the library is loaded.
"""

import os

#: Port 9 of this machine, "discard", where nobody listens: what is sent there comes back refused, at once.
_NOWHERE = "http://127.0.0.1:9"
_REPORTS_TO = "play.googleapis.com"


def refuse_telemetry() -> None:
    """Keep both libraries from reporting, in this process and those that it starts. Call it before they are used.

    MediaPipe's uploader (libcurl) is given a proxy that does not exist. ``os.putenv`` changes what C libraries see and
    leaves ``os.environ`` as it is, so that downloads by Python, such as weights from a hub, go on as they are set up.
    A program of your own that uses STGT as a library has to decide this for itself: programs that it starts inherit it.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    for name in ("https_proxy", "HTTPS_PROXY"):
        os.putenv(name, _NOWHERE)
    for name in ("no_proxy", "NO_PROXY"):
        direct = [host.strip() for host in os.environ.get(name, "").split(",")]
        if any(host == "*" or _REPORTS_TO.endswith(host.lstrip(".*")) for host in direct if host):
            os.putenv(name, ",".join(host for host in direct if not _REPORTS_TO.endswith(host.lstrip(".*"))))
            if "*" in direct:  # no proxy was to be used for anything
                os.putenv("http_proxy", "")
