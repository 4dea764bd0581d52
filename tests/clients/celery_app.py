"""Celery, unchanged, with Redis as broker and as backend: celery_app.py declared|undeclared PORT

Tasks at once, later, in groups and chords, and failing first are done once each by a worker. Another
one is killed while it holds tasks, and those are delivered again. redis-py's locks keep two tasks
from being inside at once. `undeclared` adds what Celery does by a script that makes its keys up: it
sweeps the bindings of queues that have expired.
"""

import os
import sys
import warnings

import redis
from celery import Celery, chord, group
from kombu import Connection, Exchange, Queue

from processes import Witness, kill, start

PORT = int(os.environ.setdefault("CELERY_PORT", sys.argv[-1]))
TASKS, HELD, INSIDE = 100, 3, 20
URL = f"redis://127.0.0.1:{PORT}/0"

app = Celery("celery_app", broker=URL, backend=URL)
app.conf.update(
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    broker_transport_options={"visibility_timeout": 8, "unacked_restore_interval": 1},
    result_backend_transport_options={"visibility_timeout": 8},
    worker_hijack_root_logger=False,
)
witness = Witness(PORT)


@app.task(name="work")
def work(number):
    witness.tell("done", number)
    return number


@app.task(name="fail_first", bind=True, max_retries=2)
def fail_first(self, number):
    if self.request.retries == 0:
        raise self.retry(countdown=0)
    witness.tell("done", number)
    return number


@app.task(name="hang_first")
def hang_first(number):
    witness.tell("taken", number)
    if witness.counts("taken")[number] == 1:
        witness.hang()
    witness.tell("done", number)


@app.task(name="inside")
def inside(number):
    client = redis.Redis(port=PORT, decode_responses=True)
    with client.lock("a lock", timeout=30, sleep=0.005) as lock:
        count = int(client.get("count") or 0)
        lock.extend(10)
        lock.reacquire()
        client.set("count", count + 1)
        client.incr("entered")
    witness.tell("inside", number)


@app.task(name="total")
def total(numbers):
    return sum(numbers)


def run_worker(kind, queue):
    pool = {"threads": ["-P", "threads", "-c", "4"], "prefork": ["-P", "prefork", "-c", "3"]}[kind]
    warnings.simplefilter("ignore")
    app.worker_main(["-q", "worker", "-l", "CRITICAL", "-Q", queue, "-n", f"{kind}@here",
                     "--without-gossip", "--without-mingle", *pool])


def send_all():
    sent = []
    for number in range(HELD, TASKS):
        if number % 4 == 1:
            sent.append(work.apply_async([number], countdown=0.5))
        elif number % 4 == 2:
            sent.append(fail_first.delay(number))
        else:
            sent.append(work.delay(number))
    grouped = group(work.s(number) for number in range(TASKS, TASKS + 20)).apply_async()
    united = chord(work.s(number) for number in range(TASKS + 20, TASKS + 40))(total.s())
    for number in range(INSIDE):
        inside.delay(number)
    assert united.get(timeout=40) == sum(range(TASKS + 20, TASKS + 40))
    assert grouped.get(timeout=40) == list(range(TASKS, TASKS + 20))
    assert [result.get(timeout=40) for result in sent] == list(range(HELD, TASKS))


def check_sweep():
    client = redis.Redis(port=PORT)
    with Connection(URL) as connection:
        channel = connection.channel()
        Queue("fleeting", Exchange("fleeting"), expires=10, channel=channel).declare()
        assert client.exists("_kombu.binding.fleeting") == 1
        for deadlines in client.scan_iter("*deadlines*"):
            client.zadd(deadlines, {"fleeting": 1})
        assert channel.sweep_bindings() == 1
    assert client.exists("_kombu.binding.fleeting") == 0


def main(mode):
    victim = start("worker", "prefork", "held", str(PORT))
    for number in range(HELD):
        hang_first.apply_async([number], queue="held")
    witness.until("taken", HELD)
    kill(victim)
    worker = start("worker", "threads", "celery,held", str(PORT))
    send_all()
    witness.until("inside", INSIDE)
    witness.until("done", TASKS + 40)
    assert app.control.ping(timeout=5, limit=1), "no worker answers"
    kill(worker)
    assert witness.doubled("done") == {}, witness.doubled("done")
    count, entered = map(int, redis.Redis(port=PORT).mget("count", "entered"))
    assert count == entered >= INSIDE, f"{entered} were inside, {count} were counted"
    if mode == "undeclared":
        check_sweep()
    print(f"Celery: {len(witness.counts('done'))} tasks, {HELD} of them after their worker was killed")


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        run_worker(*sys.argv[2:4])
    else:
        main(sys.argv[1])
