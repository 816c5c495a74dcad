import threading

import pytest
from stgt.realtime.sources.handover import Handover

from stgt.errors import SourceError

LONG_S = 10.0


def test_every_item_arrives_in_order_and_none_piles_up():
    made = []
    third = threading.Event()

    def items():
        for index in range(20):
            made.append(index)
            if index == 2:
                third.set()
            yield index

    handover = Handover(items(), capacity=2)
    assert third.wait(LONG_S)
    assert len(made) == 3, "two wait, and one is in the thread's hand"
    assert list(handover) == list(range(20))
    assert handover.dropped == 0


def test_the_newest_is_kept_and_the_others_are_counted():
    handover = Handover(iter(range(1000)), capacity=1, newest_only=True)
    handover._thread.join(LONG_S)
    assert list(handover) == [999]
    assert handover.dropped == 999


def test_what_is_raised_in_the_thread_is_raised_where_the_items_are_wanted():
    def items():
        yield 1
        raise SourceError("the cable was pulled")

    handover = iter(Handover(items(), capacity=2))
    assert next(handover) == 1
    with pytest.raises(SourceError, match="cable"):
        next(handover)


def test_closing_ends_the_thread_and_whoever_waits():
    go_on, waits, cleaned_up = threading.Event(), threading.Event(), threading.Event()

    def items():
        try:
            yield 1
            waits.set()
            go_on.wait(LONG_S)
            yield 2
        finally:
            cleaned_up.set()

    made = items()
    handover = Handover(made, capacity=1)
    received = []
    waiting = threading.Thread(target=lambda: received.extend(handover))
    waiting.start()
    assert waits.wait(LONG_S)
    assert not handover.close(join_s=0.0), "it hangs"
    assert handover.is_running
    waiting.join(LONG_S)
    assert not waiting.is_alive()
    go_on.set()
    assert handover.close(LONG_S)
    assert cleaned_up.is_set(), "what the thread held was given back"
    assert received == [1]


def test_nobody_waits_longer_than_wanted():
    go_on, enough = threading.Event(), threading.Event()

    def items():
        yield 1
        go_on.wait(LONG_S)

    handover = Handover(items(), capacity=1)
    assert handover.take(LONG_S) == 1
    with pytest.raises(TimeoutError):
        handover.take(0.01)
    threading.Timer(0.01, lambda: (enough.set(), handover.wake())).start()
    with pytest.raises(TimeoutError):
        handover.take(unless=enough)
    go_on.set()
    with pytest.raises(EOFError):
        handover.take(LONG_S)
