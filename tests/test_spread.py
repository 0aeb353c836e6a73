"""Work in two processes at once gives what one process gives, in its order, errors included."""

import os

import pytest

from gpuspec.base.errors import InputError
from gpuspec.base.spread import FORKS, Kept, aside, spread

two_cores = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="needs Linux and two cores",
)


@pytest.fixture
def ours(monkeypatch):
    monkeypatch.setenv(FORKS, "1")


def test_a_process_that_is_not_ours_stays_one():
    assert set(spread(lambda _: os.getpid(), range(4))) == {os.getpid()}


@two_cores
def test_a_command_forks_unless_it_is_told_to_stay_one(monkeypatch):
    monkeypatch.setattr("sys.argv", ["gpuspec"])
    monkeypatch.setattr("threading.active_count", lambda: 1)
    monkeypatch.delenv(FORKS, raising=False)
    assert len(set(spread(lambda _: os.getpid(), range(4)))) == 2
    monkeypatch.setenv(FORKS, "")
    assert set(spread(lambda _: os.getpid(), range(4))) == {os.getpid()}


@two_cores
def test_every_other_part_is_made_by_a_copy(ours):
    made = spread(lambda n: (n, bytes(200_000), os.getpid()), range(5))
    assert [n for n, _, _ in made] == [0, 1, 2, 3, 4]
    assert [where == os.getpid() for *_, where in made] == [True, False, True, False, True]


@two_cores
def test_what_cannot_be_sent_is_made_here(ours):
    assert [give() for give in spread(lambda n: lambda: n, range(4))] == [0, 1, 2, 3]


@two_cores
@pytest.mark.parametrize("bad", [1, 2])
def test_an_error_is_the_same_in_either_process(ours, bad):
    def strict(n):
        if n == bad:
            raise InputError("part", n, "another one")
        return n

    with pytest.raises(InputError, match="part"):
        spread(strict, range(4))
    assert spread(abs, [-1, -2]) == [1, 2]  # and the next one is free to fork again


@two_cores
def test_a_copy_makes_no_copy_of_its_own(ours):
    inner = aside(lambda: spread(lambda _: os.getpid(), range(4)))()
    assert len(set(inner)) == 1
    assert inner[0] != os.getpid()


@two_cores
def test_what_a_copy_made_is_not_made_again(ours):
    made = Kept(lambda n: (n, os.getpid()), 4)
    first = made([1, 2, 3])
    assert len({process for _, process in first}) == 2
    assert made([3, 2, 2, 1]) == [first[2], first[1], first[1], first[0]]
    assert [n for n, _ in made([2, 5, 6])] == [2, 5, 6]  # and no more of them than asked
    assert len(made.made) == 2
