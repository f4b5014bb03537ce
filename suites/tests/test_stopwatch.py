"""The stopwatch: every second is counted once, for the innermost name."""

from __future__ import annotations

import threading

import pytest

from suites.scoring.stopwatch import Stopwatch


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_time_inside_is_not_counted_for_what_encloses_it(clock: Clock) -> None:
    watch = Stopwatch(clock)
    clock.now = 1.0
    with watch.spent_on("judging"):
        clock.now = 3.0
        with watch.spent_on("reference"):
            clock.now = 7.0
            with watch.spent_on("certification"):
                clock.now = 15.0
        clock.now = 31.0
    clock.now = 63.0
    assert watch.so_far() == {"rest": 1.0 + 32.0, "judging": 2.0 + 16.0, "reference": 4.0, "certification": 8.0}


def test_all_times_together_are_the_whole(clock: Clock) -> None:
    watch = Stopwatch(clock)
    for second in range(10):
        with watch.spent_on(f"part {second % 3}"):
            clock.now += 0.5
        clock.now += 0.25
    assert sum(watch.so_far().values()) == clock.now


def test_an_exception_ends_what_was_counted(clock: Clock) -> None:
    watch = Stopwatch(clock)

    def fail() -> None:
        with watch.spent_on("judging"):
            clock.now = 2.0
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    clock.now = 5.0
    assert watch.so_far() == {"rest": 3.0, "judging": 2.0}


def test_a_new_start_forgets(clock: Clock) -> None:
    watch = Stopwatch(clock)
    clock.now = 4.0
    watch.restart()
    clock.now = 5.0
    assert watch.so_far() == {"rest": 1.0}


def test_another_threads_time_is_not_the_drivers(clock: Clock) -> None:
    watch = Stopwatch(clock)

    def elsewhere() -> None:
        with watch.spent_on("judging"):
            clock.now = 9.0

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert watch.so_far() == {"rest": 9.0}
