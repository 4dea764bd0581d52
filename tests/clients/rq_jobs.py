"""rq, unchanged: rq_jobs.py declared|undeclared PORT

Jobs at once, later, unique, dependent on others and failing first are done once each by two workers.
A third one is killed while it works, and its job is done by the others. `undeclared` adds what rq
does by scripts that make their keys up: limits of jobs at once, and emptying a queue.
"""

import os
import sys
import time

from processes import Witness, kill, start

JOBS = 60


def port():
    return int(os.environ["RQ_PORT"])


def work(number):
    Witness(port()).tell("done", number)


def fail_first(number):
    witness = Witness(port())
    witness.tell("tried", number)
    if witness.counts("tried")[number] == 1:
        raise ValueError("on purpose")
    witness.tell("done", number)


def hang_first(number):
    witness = Witness(port())
    witness.tell("taken", number)
    if witness.counts("taken")[number] == 1:
        witness.hang()
    witness.tell("done", number)


def limited(number):
    witness = Witness(port())
    at_once = witness.client.incr("at once")
    witness.tell("most", at_once)
    witness.client.decr("at once")
    witness.tell("limited", number)


def run_worker(kind, queue):
    import redis
    from rq import SimpleWorker, Worker

    made = {"forks": Worker, "simple": SimpleWorker}[kind]([queue], connection=redis.Redis(port=port()))
    made.work(with_scheduler=True, logging_level="CRITICAL")


def enqueue_all(queue):
    import datetime

    from rq import Retry
    from rq.exceptions import DuplicateJobError

    soon = datetime.timedelta(seconds=1)
    for number in range(1, JOBS):
        if number % 6 == 1:
            queue.enqueue_in(soon, "rq_jobs.work", number)
        elif number % 6 == 2:
            queue.enqueue("rq_jobs.fail_first", number, retry=Retry(max=2))
        elif number % 6 == 3:
            first = queue.enqueue("rq_jobs.work", number)
        elif number % 6 == 4:
            queue.enqueue("rq_jobs.work", number, depends_on=first)
        elif number % 6 == 5:
            queue.enqueue("rq_jobs.work", number, job_id=f"unique-{number}", unique=True)
            try:
                queue.enqueue("rq_jobs.work", number, job_id=f"unique-{number}", unique=True)
                raise AssertionError("a unique job was taken twice")
            except DuplicateJobError:
                pass
        else:
            queue.enqueue("rq_jobs.work", number)


def check_work(client, witness):
    from rq import Queue, Retry
    from rq.registry import StartedJobRegistry

    queue = Queue("jobs", connection=client)
    victim = start("worker", "forks", "jobs")
    queue.enqueue("rq_jobs.hang_first", 0, retry=Retry(max=1))
    witness.until("taken", 1)
    workers = [start("worker", "simple", "jobs") for _ in range(2)]
    enqueue_all(queue)
    witness.until("done", JOBS - 1)
    assert 0 not in witness.counts("done")
    kill(victim)
    StartedJobRegistry(queue=queue).cleanup(timestamp=time.time() + 3600)
    witness.until("done", JOBS)
    for worker in workers:
        kill(worker)
    assert witness.doubled("done") == {}, witness.doubled("done")
    assert len(queue) == 0


def check_limits(client, witness):
    from rq import Queue
    from rq.rate_limit import RateLimit

    queue = Queue("limited", connection=client)
    for number in range(20):
        queue.enqueue("rq_jobs.limited", number, rate_limit=RateLimit("few", 2))
    workers = [start("worker", "simple", "limited") for _ in range(3)]
    witness.until("limited", 20)
    for worker in workers:
        kill(worker)
    assert witness.doubled("limited") == {}
    assert max(witness.counts("most")) <= 2, witness.counts("most")
    witness.until_nobody_waits()
    for number in range(50):
        queue.enqueue("rq_jobs.work", number)
    assert queue.empty() == 50
    assert len(queue) == 0


def main(mode):
    import redis

    client, witness = redis.Redis(port=port()), Witness(port())
    check_work(client, witness)
    if mode == "undeclared":
        check_limits(client, witness)
    print(f"rq: {len(witness.counts('done'))} of {JOBS} jobs, one of them after its worker was killed")


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        run_worker(*sys.argv[2:])
    else:
        os.environ["RQ_PORT"] = sys.argv[2]
        main(sys.argv[1])
