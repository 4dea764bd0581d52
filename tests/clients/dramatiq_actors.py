"""dramatiq, unchanged: dramatiq_actors.py PORT

Messages at once, later and failing first are done once each by a worker; another one is killed while
it holds some, and those are given to the other. Its scripts make their keys up.
"""

import logging
import signal
import sys

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.rate_limits import ConcurrentRateLimiter
from dramatiq.rate_limits.backends import RedisBackend as LimitsBackend
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend as ResultsBackend

from processes import Witness, kill, start

PORT = int(sys.argv[-1])
MESSAGES, HELD = 150, 4

broker = RedisBroker(host="127.0.0.1", port=PORT, heartbeat_timeout=2000, maintenance_chance=1_000_000)
broker.add_middleware(Results(backend=ResultsBackend(host="127.0.0.1", port=PORT)))
dramatiq.set_broker(broker)
limits = ConcurrentRateLimiter(LimitsBackend(host="127.0.0.1", port=PORT), "few", limit=2)
witness = Witness(PORT)


@dramatiq.actor(store_results=True)
def work(number):
    witness.tell("done", number)
    return number


@dramatiq.actor(max_retries=3, min_backoff=10, max_backoff=20)
def fail_first(number):
    witness.tell("tried", number)
    if witness.counts("tried")[number] == 1:
        raise ValueError("on purpose")
    witness.tell("done", number)


@dramatiq.actor(queue_name="held")
def hang_first(number):
    witness.tell("taken", number)
    if witness.counts("taken")[number] == 1:
        witness.hang()
    witness.tell("done", number)


@dramatiq.actor
def limited(number):
    with limits.acquire(raise_on_failure=False) as acquired:
        if acquired:
            at_once = witness.client.incr("at once")
            witness.tell("most", at_once)
            witness.client.decr("at once")
    witness.tell("limited", number)


def run_worker(*queues):
    logging.disable(logging.ERROR)
    worker = dramatiq.Worker(broker, queues=set(queues), worker_threads=4, worker_timeout=100)
    worker.start()
    signal.pause()


def main():
    victim = start("worker", "held", str(PORT))
    for number in range(HELD):
        hang_first.send(number)
    witness.until("taken", HELD)
    worker = start("worker", "default,held", str(PORT))
    sent = []
    for number in range(HELD, MESSAGES):
        if number % 3 == 1:
            sent.append(work.send_with_options(args=(number,), delay=300))
        elif number % 3 == 2:
            fail_first.send(number)
        else:
            sent.append(work.send(number))
    for number in range(20):
        limited.send(number)
    for message in sent:
        assert message.get_result(block=True, timeout=30_000) == message.args[0]
    witness.until("done", MESSAGES - HELD)
    witness.until("limited", 20)
    assert not set(range(HELD)) & set(witness.counts("done")), "done while its worker lived"
    kill(victim)
    witness.until("done", MESSAGES)
    broker.join("default", timeout=10_000)
    kill(worker)
    assert witness.doubled("done") == {}, witness.doubled("done")
    assert max(witness.counts("most")) <= 2, witness.counts("most")
    print(f"dramatiq: {MESSAGES} messages, {HELD} of them after their worker was killed")


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        run_worker(*sys.argv[2].split(","))
    else:
        main()
