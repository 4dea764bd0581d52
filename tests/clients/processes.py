"""What the scenarios of frameworks share: processes that can die, and what was done how often.

What was done is counted in database 15 of the same server, by plain commands.
"""

import atexit
import os
import signal
import subprocess
import sys

import redis


class Witness:
    def __init__(self, port):
        self.client = redis.Redis(port=port, db=15, decode_responses=True)

    def tell(self, what, number):
        self.client.hincrby(what, number, 1)
        self.client.rpush(f"told:{what}", number)

    def until(self, what, size, timeout_s=45):
        """Waits until `size` different numbers were told."""
        while self.client.hlen(what) < size:
            told = self.client.blpop(f"told:{what}", timeout_s)
            assert told, f"{self.client.hlen(what)} of {size} {what}"

    def until_nobody_waits(self):
        """Waits until the server has seen the end of killed processes that waited at it.

        A child may hold its parent's connection a little longer, and what is pushed until then
        goes to the dead (to Redis's as well).
        """
        while self.client.info("clients")["blocked_clients"]:
            pass

    def counts(self, what):
        return {int(number): int(count) for number, count in self.client.hgetall(what).items()}

    def doubled(self, what):
        return {number: count for number, count in self.counts(what).items() if count != 1}

    def hang(self):
        """Never returns: what a process does that is about to be killed."""
        self.client.blpop("never", 0)


def start(*arguments):
    """The same scenario again, in a group of processes of its own."""
    process = subprocess.Popen([sys.executable, sys.argv[0], *arguments], start_new_session=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    atexit.register(kill, process)
    return process


def kill(process):
    """Ends a process and its children as a power cut would."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
