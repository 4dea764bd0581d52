"""redlock-py, unchanged: redlock_py.py PORT

Threads take one lock in turn, never two at once; a lock whose holder has died is free after its time.
"""

import sys
import threading
import time

import redis
from redlock import Redlock

PORT = int(sys.argv[1])
CLIENTS, TURNS = 8, 15


def connect():
    return Redlock([{"host": "127.0.0.1", "port": PORT}], retry_count=10_000, retry_delay=0.01)


def check_exclusion():
    holders, errors = [], []

    def work():
        own, client = connect(), redis.Redis(port=PORT)
        try:
            for _ in range(TURNS):
                lock = own.lock("lock", 30_000)
                holders.append(lock)
                assert len(holders) == 1, "two hold the lock"
                client.set("count", int(client.get("count") or 0) + 1)
                holders.clear()
                own.unlock(lock)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors
    assert int(redis.Redis(port=PORT).get("count")) == CLIENTS * TURNS


def check_expiry():
    client, begin = redis.Redis(port=PORT), time.monotonic()
    dead = connect().lock("mortal", 300)
    assert Redlock([client], retry_count=1).lock("mortal", 300) is False
    heir = connect().lock("mortal", 30_000)
    assert time.monotonic() - begin >= 0.29, "taken before its time was over"
    connect().unlock(dead)
    assert client.get("mortal") == heir.key, "another's lock was released"
    connect().unlock(heir)
    assert client.get("mortal") is None


check_exclusion()
check_expiry()
print(f"redlock-py: {CLIENTS * TURNS} locks, one holder at a time")
