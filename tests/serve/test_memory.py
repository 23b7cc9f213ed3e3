"""A server that is asked for long holds no more memory than one that was asked for a while."""

from __future__ import annotations

import gc
import json
import random
import re
import selectors
import socket
import subprocess
import sys
import weakref
from pathlib import Path

import pytest

from cofactor.recommend.updates import Recent
from cofactor.serve.models.catalogue import Lists
from serve_tools import ratings, saved

N_USERS, N_ITEMS = 400, 25


def test_an_answer_that_is_kept_keeps_nothing_of_newer_ratings(tmp_path):
    import cofactor as cf

    rec = cf.fit(ratings(), model="als", seed=0).update([(5, 101, 4.0)])
    lists, code = Lists(1 << 20), rec.users.code(5)
    rec.recommend(5)
    lists.keep(b"asked", rec, 5, b"answer")
    lists.keep(b"another", rec, 6, b"of a user without newer ratings")
    assert lists.find(b"asked", rec).content == b"answer"
    newer = weakref.ref(rec.updates.users[code])
    rec = rec.update([(5, 102, 2.0)])
    gc.collect()
    assert newer() is None
    assert lists.find(b"asked", rec) is None
    assert lists.find(b"another", rec).content == b"of a user without newer ratings"
    assert lists.find(b"asked", rec.replace(updates=cf.fit(ratings(), model="als", seed=0).updates)) is None


def test_what_was_computed_of_newer_ratings_has_a_bound_in_bytes():
    import cofactor as cf

    rec = cf.fit(ratings(), model="als", seed=0)
    events = [(user, item, 3.0) for user in range(1, 41) for item in range(100, 125)]
    recent = rec.remember("recent", Recent)
    recent.most = 20_000
    found = rec.update(events)
    other = cf.fit(ratings(), model="als", seed=0).update(events)
    for _ in range(2):  # what went is computed again, and comes to the same
        for user in range(1, 41):
            assert found.recommend(user, seen=True).equals(other.recommend(user, seen=True))
            held = [one for one in found.updates.users.values() if one._rated is not None or one._state is not None]
            assert set(held) == set(recent._held)
            assert 0 < recent.bytes == sum(recent._held.values()) <= recent.most
    assert len(held) < 40
    later = found.update(events)
    assert (recent.bytes, len(recent._held)) == (0, 0)
    assert later.recommend(5).equals(other.update(events).recommend(5))


def question(rng):
    """A request about somebody, as it is sent."""
    user, item = rng.randint(1, 2 * N_USERS), rng.randint(100, 99 + N_ITEMS)
    some = rng.sample(range(100, 100 + N_ITEMS), rng.randint(1, 20))
    events = [
        {"user": rng.randint(1, 2 * N_USERS), "item": rng.choice(some), "rating": rng.randint(1, 5)}
        for _ in range(rng.choice((1, 1, 1, 20)))
    ]
    word = "".join(rng.choices("abcdefgh", k=5))
    path, body = rng.choice(
        (
            *[(f"/v1/recommend?user={user}&n={rng.randint(1, 20)}&seen={rng.choice(('true', 'false'))}", None)] * 6,
            (f"/v1/recommend?user={user % N_USERS + 1}&where=year+%3E+{rng.randint(1900, 1970)}", None),
            ("/v1/recommend", {"history": [{"item": one, "rating": rng.randint(1, 5)} for one in some]}),
            ("/v1/explain", {"user": user % N_USERS + 1, "item": item}),
            ("/v1/what-if", {"user": user % N_USERS + 1, "without": some[:2]}),
            ("/v1/predict", {"pairs": [{"user": user % N_USERS + 1, "item": one} for one in some]}),
            ("/v1/recommend-many", {"users": [1 + (user + k) % N_USERS for k in range(5)]}),
            (f"/v1/items?q={word}&limit=5", None),
            (f"/v1/user?user={user}", None),
            (f"/v1/{word}", None),
            ("/metrics", None),
            ("/v1/recommend", {word: 3}),
            *[("/v1/events", {"events": events, "key": word + str(rng.random())})] * 2,
        )
    )
    text = b"" if body is None else json.dumps(body).encode()
    head = f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: {word}\r\n"
    if body is not None:
        head += f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n"
    return head.encode() + b"\r\n" + text


def ask(port, count, rng):
    """Send so many requests over eight connections; how many answers there were of each status."""
    statuses, chosen, left = {}, selectors.DefaultSelector(), count
    for _ in range(8):
        one = socket.create_connection(("127.0.0.1", port), timeout=60)
        chosen.register(one, selectors.EVENT_READ, bytearray())
        one.sendall(question(rng))
    while chosen.get_map():
        for key, _ in chosen.select(60):
            held = key.data
            held += key.fileobj.recv(1 << 18)
            head = held.find(b"\r\n\r\n")
            if head < 0 or len(held) < head + 4 + int(re.search(rb"content-length: (\d+)", held)[1]):
                continue
            statuses[int(held[9:12])] = statuses.get(int(held[9:12]), 0) + 1
            held.clear()
            left -= 1
            if left > 0:
                key.fileobj.sendall(question(rng))
            else:
                chosen.unregister(key.fileobj)
                key.fileobj.close()
    return statuses


def memory(process):
    """MB that a process holds itself: what it shares with others depends on these."""
    text = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="utf-8")
    return sum(int(kb) for kb in re.findall(r"^Pss_(?:Anon|Shmem): +(\d+) kB", text, re.M)) / 1000


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="Linux says how much memory a process holds")
def test_memory_stays_flat_under_mixed_load(tmp_path):
    bundle = saved(tmp_path, "als", n_users=N_USERS)
    command = [sys.executable, "-m", "cofactor", "serve", str(bundle), "--port", "0", "--no-watch"]
    command += ["--max-cache", "1000000", "--state", str(tmp_path / "s")]
    rng, n = random.Random(0), 3500
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            found = (re.search(r"at http://.*?:(\d+)", line) for line in process.stdout)
            port = next(int(one[1]) for one in found if one)
            statuses = ask(port, n, rng)  # kernels are compiled, caches and pools filled
            assert set(statuses) <= {200, 404, 422}
            assert statuses[200] > n // 2
            after = [memory(process.pid)]
            for _ in range(2):
                ask(port, n, rng)
                after.append(memory(process.pid))
        finally:
            process.terminate()
    assert max(after[1:]) < 1.03 * after[0], after
