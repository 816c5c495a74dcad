"""Where there are two cores, each of a session's busy threads has one of its own; elsewhere nothing is done."""

import os
import threading

import numpy as np
import pytest
from stgt.realtime import cores
from stgt.realtime import session as session_module
from stgt.realtime.session import LiveSession

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="only Linux lets a thread choose its cores"
)


@pytest.mark.parametrize(
    ("allowed", "landmarks", "model"), [({3, 5}, {3}, {5}), ({0}, None, None), ({0, 1, 2, 3}, None, None)]
)
def test_two_cores_are_shared_out(monkeypatch, allowed, landmarks, model):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: allowed)
    assert cores.shared_out() == (landmarks, model)


def test_a_thread_is_kept_for_a_while_and_nobody_else():
    before = os.sched_getaffinity(0)
    chosen = frozenset([min(before)])
    inside, started = [], []
    with cores.kept_to(chosen):
        inside.append(os.sched_getaffinity(0))
        thread = threading.Thread(target=lambda: started.append(os.sched_getaffinity(0)))
        thread.start()
        thread.join()
    assert inside == started == [chosen], "what is started meanwhile stays there"
    assert os.sched_getaffinity(0) == before
    with cores.kept_to(None):
        assert os.sched_getaffinity(0) == before


def test_cores_that_are_gone_are_no_reason_to_stop():
    before = os.sched_getaffinity(0)
    with cores.kept_to(frozenset([4095])):
        assert os.sched_getaffinity(0) == before


def test_whoever_iterates_a_session_keeps_their_cores(reader, made_source, monkeypatch):
    before = os.sched_getaffinity(0)
    one = min(before)
    monkeypatch.setattr(session_module, "shared_out", lambda: (frozenset([one]), frozenset([one])))
    frames = [(index / 16, np.zeros((64, 64, 3), np.uint8)) for index in range(3)]
    with LiveSession(reader, made_source(frames)) as session:
        seen = [os.sched_getaffinity(0) for _ in session]
    assert seen == [before] * 3
    assert os.sched_getaffinity(0) == before


def test_a_session_among_others_takes_whatever_core_is_free(reader, made_source, landmarker, monkeypatch):
    before = os.sched_getaffinity(0)
    one = frozenset([min(before)])
    monkeypatch.setattr(session_module, "shared_out", lambda: (one, one))
    seen, detect = [], landmarker.detect_all

    def noted(timestamp_s, rgb):
        seen.append(os.sched_getaffinity(0))
        return detect(timestamp_s, rgb)

    monkeypatch.setattr(landmarker, "detect_all", noted)
    frames = [(index / 16, np.zeros((64, 64, 3), np.uint8)) for index in range(3)]
    for shared, cores_of_landmarks in ((True, before), (False, one)):
        seen.clear()
        with LiveSession(reader, made_source(frames), landmarker=landmarker, shared=shared) as session:
            list(session)
        assert seen == [cores_of_landmarks] * 3
