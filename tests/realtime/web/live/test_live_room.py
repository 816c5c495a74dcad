"""Places, the line before them, and landmarkers that are used again."""

import asyncio
import contextlib
import threading
import time
from functools import partial

import numpy as np
import pytest

pytest.importorskip("fastapi")

from stgt.realtime.session import session_landmarker
from stgt.realtime.web.landmarkers import Landmarkers
from stgt.realtime.web.limits import Limits
from stgt.realtime.web.live.outbox import Outbox, OutboxFullError
from stgt.realtime.web.live.room import LiveRoom, RoomIsFullError
from stgt.realtime.web.live.turns import Turns


def test_the_line_is_fair_and_everyone_is_told_where_they_stand():
    async def visit() -> None:
        room = LiveRoom(Limits(live_sessions=2, live_waiting=3))
        inside = [room.ask(), room.ask()]
        line = [room.ask() for _ in range(3)]
        assert [place.ahead for place in (*inside, *line)] == [None, None, 0, 1, 2]
        with pytest.raises(RoomIsFullError, match="2 cameras are being read and 3 wait"):
            room.ask()
        room.leave(line[1])
        assert [place.ahead for place in line] == [0, 1, 1], "who left is told nothing"
        last = room.ask()
        assert last.ahead == 2
        leaving = threading.Thread(target=room.leave, args=[inside[1]])
        leaving.start()
        await asyncio.wait_for(line[0].moved(), 2)
        leaving.join()
        assert (line[0].ahead, line[2].ahead, last.ahead) == (None, 0, 1)
        assert (room.inside, room.waiting) == (2, 2)
        room.leave(inside[1])
        assert (room.inside, room.waiting) == (2, 2), "once is enough"
        for place in (inside[0], line[0], line[2], last):
            room.leave(place)
        assert (room.inside, room.waiting) == (0, 0)
        room.close()
        with pytest.raises(RoomIsFullError, match="about to end"):
            room.ask()

    asyncio.run(visit())


def test_closing_stops_whoever_is_inside():
    async def visit() -> None:
        room = LiveRoom(Limits())
        stopped = threading.Event()
        place = room.ask()
        running = room.threads.submit(stopped.wait, 5.0)
        room.stop_with(place, stopped.set)
        await asyncio.to_thread(room.close)
        assert running.result()

    asyncio.run(visit())


def test_landmarkers_are_used_again_by_those_with_as_many_faces():
    pool = Landmarkers(partial(session_landmarker, shared=True), 2)
    with pool.lent(1) as first:
        with pool.lent(1) as second:
            assert first is not second
        with pool.lent(2) as third:
            assert third.faces == 2
        assert pool.idle == 2
    assert pool.idle == 2, "the one that was used longest ago is closed"
    with pool.lent(1) as again:
        assert again is first
    with pytest.raises(RuntimeError), pool.lent(1):
        raise RuntimeError
    assert pool.idle == 1, "whatever was the matter with it"
    pool.close()
    with pool.lent(1):
        pass
    assert pool.idle == 0


def work_in_turns(turns: Turns, count: int, eventually) -> tuple[list[int], int]:
    """Threads that ask one after the other while nobody gets a turn: the order of their turns, and how many worked at
    once at most."""
    order, working, most = [], [], 0
    lock = threading.Lock()

    def work(number: int) -> None:
        nonlocal most
        with turns.taken():
            with lock:
                order.append(number)
                working.append(number)
                most = max(most, len(working))
            time.sleep(0.02)
            with lock:
                working.remove(number)

    threads = [threading.Thread(target=work, args=[number]) for number in range(count)]
    with contextlib.ExitStack() as held:
        for _ in range(turns._free):
            held.enter_context(turns.taken())
        for number, thread in enumerate(threads, start=1):
            thread.start()
            eventually(lambda number=number: len(turns._line) == number, "it stands in line")
    for thread in threads:
        thread.join()
    return order, most


def test_turns_come_in_the_order_in_which_they_were_asked_for(eventually):
    # One at a time: of two that are let in together, either may be the first to do something.
    assert work_in_turns(Turns(1), 8, eventually) == (list(range(8)), 1)


def test_as_many_have_a_turn_at_once_as_may(eventually):
    order, most = work_in_turns(Turns(2), 8, eventually)
    assert (sorted(order), most) == (list(range(8)), 2)


def test_turns_are_given_back_by_those_who_fail():
    turns = Turns(1)
    for _ in range(3):
        with pytest.raises(ValueError, match="no"), turns.taken():
            raise ValueError("no")
    with turns.taken():
        pass


def test_only_the_newest_result_waits_but_all_news():
    async def send() -> None:
        outbox = Outbox(results=1, news=4)
        threads = [threading.Thread(target=outbox.put_result, args=[f"r{number}"]) for number in range(50)]
        for thread in threads:
            thread.start()
            thread.join()
        outbox.put_news("n0")
        outbox.put_news("n1")
        assert [await outbox.take() for _ in range(3)] == ["n0", "n1", "r49"]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(outbox.take(), 0.05)
        threading.Timer(0.02, outbox.put_result, ["r50"]).start()
        assert await asyncio.wait_for(outbox.take(), 2) == "r50"
        for number in range(5):
            outbox.put_news(f"n{number}")
        with pytest.raises(OutboxFullError):
            await outbox.take()

    asyncio.run(send())


def test_what_a_landmarker_saw_in_one_session_is_forgotten_in_the_next(reader, made_source, face_frames):
    """To the last bit, in a landmarker that has seen somebody else."""
    from stgt.realtime.session import LiveSession

    pool = Landmarkers(partial(session_landmarker, shared=True), 1)
    mirrored = [(time_s, np.ascontiguousarray(rgb[:, ::-1])) for time_s, rgb in face_frames]

    def seen(frames):
        with (
            pool.lent(1) as landmarker,
            LiveSession(reader, made_source(frames), landmarker=landmarker, shared=True) as session,
        ):
            return [(live.faces[0].landmarks.points, live.faces[0].probabilities) for live in session], landmarker

    (first, one), (_, two), (again, three) = seen(face_frames), seen(mirrored), seen(face_frames)
    assert one is two is three
    for (points, probabilities), (points_again, probabilities_again) in zip(first, again, strict=True):
        np.testing.assert_array_equal(points, points_again)
        np.testing.assert_array_equal(probabilities, probabilities_again)
    pool.close()
