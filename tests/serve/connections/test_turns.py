"""In each round of the event loop one request begins, and nobody waits for all the others."""

from __future__ import annotations

import asyncio

from cofactor.serve.connections.turns import AHEAD, FIRST, LATER, Rounds, Turns


class One:
    def __init__(self, name, begun, again=lambda: None):
        self.name, self.begun, self.again = name, begun, again

    def begin(self):
        self.begun.append(self.name)
        self.again()

    def cut(self):
        self.begun.append(f"not {self.name}")
        return self.name != "gone"


def test_first_requests_and_those_of_connections_that_had_one_take_turns():
    async def main():
        loop, turns, begun = asyncio.get_running_loop(), Turns(One.begin), []

        def old(name):  # which asks again as soon as it has an answer
            one = One(name, begun, lambda: turns.take(one, loop, 1))
            return one

        assert turns.take(One("at once", begun), loop, 0)
        for name in range(100):
            assert not turns.take(old(name), loop, 1)
        for k in range(20):
            assert turns.crowded() == (k >= turns.enough)
            assert not turns.take(One(f"new {k}", begun), loop, 0)
        for round in range(1, 42):
            await asyncio.sleep(0)
            assert len(begun) == round
        assert [name for name in begun if isinstance(name, str)] == [f"new {k}" for k in range(20)]
        assert [name for name in begun if not isinstance(name, str)] == list(range(21))
        assert not turns.crowded()

    asyncio.run(main())


def test_who_sent_many_requests_at_once_takes_a_third_of_the_turns():
    """However many these are, and however often they come again."""

    async def main():
        loop, turns, begun = asyncio.get_running_loop(), Turns(One.begin), []

        def again(name, line):
            one = One(name, begun, lambda: turns.take(one, loop, line))
            return one

        turns.take(One("at once", begun), loop, FIRST)
        for _ in range(400):
            turns.take(again("ahead", AHEAD), loop, AHEAD)
        assert turns.crowded(AHEAD)
        assert not turns.crowded()
        turns.take(again("later", LATER), loop, LATER)
        turns.take(again("first", FIRST), loop, FIRST)
        for _ in range(30):
            await asyncio.sleep(0)
        assert {name: begun.count(name) for name in set(begun)} == {"ahead": 10, "later": 10, "first": 10}

    asyncio.run(main())


def test_a_turn_is_free_again_in_the_next_round():
    async def main():
        loop, turns = asyncio.get_running_loop(), Turns(One.begin)
        for _ in range(3):
            assert turns.take(One("a", []), loop, 0)
            await asyncio.sleep(0)

    asyncio.run(main())


def test_who_had_an_answer_makes_room_before_who_had_none():
    async def main():
        loop, turns, begun = asyncio.get_running_loop(), Turns(One.begin), []
        turns.make_room()  # nobody is there
        for name, first in [("at once", True), ("new", True), ("newest", True), ("old", False), ("gone", False)]:
            turns.take(One(name, begun), loop, 0 if first else 1)
        for _ in range(3):
            turns.make_room()
        assert begun == ["not gone", "not old", "not newest", "not new"]

    asyncio.run(main())


def test_so_many_go_on_in_a_round():
    async def main():
        loop, begun = asyncio.get_running_loop(), []
        rounds = Rounds(3, One.begin)
        assert [rounds.take(One(k, begun), loop) for k in range(10)] == [True] * 3 + [False] * 7
        sizes = []
        for _ in range(4):
            await asyncio.sleep(0)
            sizes.append(len(begun))
        assert sizes == [3, 6, 7, 7]
        assert begun == list(range(3, 10))

    asyncio.run(main())
