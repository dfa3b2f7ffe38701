from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from fijibridge.errors import Cancelled, RenamedWarning
from fijibridge.verbs import Call
from fijibridge.verbs.device_queue import DeviceQueue, in_turn


def test_two_calls_on_a_device_are_never_at_once():
    together, most, order = [0], [0], []
    entered, may_end = threading.Event(), threading.Event()

    def work(name):
        with in_turn("test:0", Call(say=order.append)):
            together[0] += 1
            most[0] = max(most[0], together[0])
            entered.set()
            assert may_end.wait(20)
            order.append(name)
            together[0] -= 1

    first = threading.Thread(target=work, args=("first",))
    first.start()
    assert entered.wait(20)
    others = [threading.Thread(target=work, args=(f"other {n}",)) for n in range(3)]
    for thread in others:
        thread.start()
    while len(order) < 3:
        threading.Event().wait(0.01)
    assert order == ["waiting for another call, which computes on test:0"] * 3
    with in_turn("test:1", Call()):
        may_end.set()  # another device waits for nobody
    for thread in [first, *others]:
        thread.join(20)
    assert order[3] == "first"
    assert (most[0], len(order)) == (1, 7)


def cancelled_while_waiting(device):
    """Ask for a device that this thread has, in another one, and cancel that; return what it was told."""
    said = []
    waiting = Call(say=said.append)

    def wait():
        with pytest.raises(Cancelled), in_turn(device, waiting):
            pytest.fail("it went on beside another one")

    threading.Timer(0.3, waiting.stop.set).start()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(wait).result(20)
    return said


def test_a_call_that_waits_can_be_cancelled_and_an_error_gives_the_device_back():
    with in_turn("test:2", Call()):
        cancelled_while_waiting("test:2")
    with pytest.raises(ValueError, match="broken"), in_turn("test:2", Call()):
        raise ValueError("broken")
    with in_turn("test:2", Call(say=pytest.fail)):
        pass


def test_a_verb_that_works_on_a_device_calls_another_that_does():
    outer = Call()
    outer.name = "the outer one"
    with in_turn("test:3", outer):
        with in_turn("test:3", Call(say=pytest.fail)):
            pass
        assert cancelled_while_waiting("test:3") == ["waiting for the outer one, which computes on test:3"]


def test_queues_do_not_wait_for_each_other():
    with in_turn("test:4", Call()), DeviceQueue().turn("test:4", Call(say=pytest.fail)):
        pass


def test_the_old_place_works_and_warns():
    from fijibridge.verbs import invocation

    with pytest.warns(RenamedWarning, match=r"verbs\.device_queue\.in_turn"):
        assert invocation.in_turn is in_turn
