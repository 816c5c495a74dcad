"""One model for several sessions: what threads ask at once is answered as if each had asked alone."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from stgt.engines.choice import one_thread
from stgt.engines.engine import TorchEngine
from stgt.engines.parity import random_windows
from stgt.faces.landmarker import quiet_stderr

THREADS = 6


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def together(work) -> list:
    """What ``work(number)`` gives in so many threads that begin at the same moment."""
    ready = threading.Barrier(THREADS)

    def begin(number: int):
        ready.wait()
        return work(number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(begin, range(THREADS)))


@pytest.mark.parametrize("name", ["torch", "onnxruntime"])
def test_an_engine_answers_several_threads_at_once(pretrained, engine_cache, name):
    if name == "onnxruntime":
        pytest.importorskip("onnxruntime")
        from stgt.engines.choice import onnx_engine

        engine = onnx_engine(pretrained, engine_cache, may_translate=False)
    else:
        engine = TorchEngine(pretrained.model)
    config, window = pretrained.model_config, pretrained.window
    batches = [random_windows(config, window, 1 + number % 3, seed=number) for number in range(THREADS)]
    alone = [engine.logits_with_attention(batch) for batch in batches]

    def ask(number: int) -> list:
        answers = []
        for _ in range(8):
            with one_thread():
                answers.append(engine.logits_with_attention(batches[number]))
        return answers

    for (logits, attention), answers in zip(alone, together(ask), strict=True):
        for said, looked in answers:
            np.testing.assert_allclose(said, logits, atol=1e-5, rtol=0)
            np.testing.assert_allclose(looked, attention, atol=1e-5, rtol=0)


def test_everybody_inside_has_one_thread_and_afterwards_all_have_as_many_as_before(two_threads):
    inside = threading.Barrier(THREADS)

    def work(number: int) -> list[int]:
        seen = []
        for _ in range(20):
            with one_thread():
                inside.wait()
                seen.append(torch.get_num_threads())
                if number % 2:
                    inside.wait()  # the others leave before
                else:
                    seen.append(torch.get_num_threads())
            if not number % 2:
                inside.wait()
            seen.append(-torch.get_num_threads())
        return seen

    for seen in together(work):
        assert {count for count in seen if count > 0} == {1}
        assert {-count for count in seen if count < 0} == {2}
    assert torch.get_num_threads() == 2
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(torch.get_num_threads).result() == 2, "a thread that is new has as many"


def test_one_thread_may_be_asked_for_twice(two_threads):
    with one_thread():
        with one_thread():
            pass
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2


def test_the_screen_is_given_back_however_many_keep_it_quiet(capfd):
    def work(number: int) -> None:
        for _ in range(4):
            with quiet_stderr():
                os.write(2, b"chatter\n")
                time.sleep(0.001 * (1 + number))

    together(work)
    os.write(2, b"heard\n")
    assert capfd.readouterr().err == "heard\n"
