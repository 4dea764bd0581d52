"""taskiq with taskiq-redis, unchanged: taskiq_tasks.py list|stream PORT

Tasks by a stream and by a list are done once each. A worker is killed while it holds tasks of the
stream, and those are given to another one.
"""

import asyncio
import sys

from taskiq.api import run_receiver_task
from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend, RedisStreamBroker

from processes import Witness, kill, start

PORT = int(sys.argv[-1])
URL = f"redis://127.0.0.1:{PORT}"
TASKS, HELD = 100, 5
IDLE_MS = 3000

witness = Witness(PORT)
results = RedisAsyncResultBackend(URL, result_ex_time=60)
stream = RedisStreamBroker(URL, queue_name="stream", consumer_id="0", idle_timeout=IDLE_MS,
                           xread_block=200, xread_count=HELD,
                           unacknowledged_lock_timeout=10).with_result_backend(results)
plain = ListQueueBroker(URL, queue_name="list").with_result_backend(results)


@stream.task(task_name="streamed")
async def streamed(number):
    witness.tell("streamed", number)
    return number


@plain.task(task_name="listed")
async def listed(number):
    witness.tell("listed", number)
    return number


@stream.task(task_name="hang_first")
async def hang_first(number):
    witness.tell("taken", number)
    if witness.counts("taken")[number] == 1:
        await asyncio.Event().wait()
    witness.tell("streamed", number)


async def run_worker(broker):
    broker.is_worker_process = True
    await broker.startup()
    await run_receiver_task(broker, run_startup=False, max_async_tasks=10)


async def finish(sent):
    """Waits for what was sent, and for its results."""
    found = await asyncio.gather(*(task.wait_result(check_interval=0.05, timeout=40) for task in sent))
    assert [result.return_value for result in found] == list(range(TASKS - len(sent), TASKS))


async def check_list():
    await plain.startup()
    workers = [start("worker", "list", str(PORT)) for _ in range(2)]
    await finish([await listed.kiq(number) for number in range(TASKS)])
    for worker in workers:
        kill(worker)
    await plain.shutdown()
    assert witness.doubled("listed") == {}, witness.doubled("listed")
    print(f"taskiq by a list: {TASKS} tasks, none twice")


async def check_stream():
    await stream.startup()
    victim = start("worker", "stream", str(PORT))
    for number in range(HELD):
        await hang_first.kiq(number)
    await asyncio.to_thread(witness.until, "taken", HELD)
    kill(victim)
    # A worker looks for what others hold only when it has been given something new.
    await asyncio.sleep(IDLE_MS / 1000)
    worker = start("worker", "stream", str(PORT))
    await finish([await streamed.kiq(number) for number in range(HELD, TASKS)])
    await asyncio.to_thread(witness.until, "streamed", TASKS)
    kill(worker)
    await stream.shutdown()
    assert witness.doubled("streamed") == {}, witness.doubled("streamed")
    print(f"taskiq by a stream: {TASKS} tasks, {HELD} of them after their worker was killed")


if sys.argv[1] == "worker":
    asyncio.run(run_worker({"stream": stream, "list": plain}[sys.argv[2]]))
else:
    asyncio.run({"stream": check_stream, "list": check_list}[sys.argv[1]]())
