"""redis-py against a server: redis_py.py PORT"""

import sys
import threading
import time

import redis

PORT = int(sys.argv[1])
CLIENTS = 16

LIMITER = """
local now = tonumber(ARGV[1])
local window = tonumber(ARGV[2])
local limit = tonumber(ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, now - window)
if redis.call('ZCARD', KEYS[1]) < limit then
    redis.call('ZADD', KEYS[1], now, ARGV[4])
    redis.call('PEXPIRE', KEYS[1], window)
    return 1
end
return 0
"""

ACQUIRE = """
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
    return redis.call('INCR', KEYS[2])
end
return 0
"""

RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
    return redis.call('DEL', KEYS[1])
end
return 0
"""


def connect(protocol):
    return redis.Redis(port=PORT, protocol=protocol, decode_responses=True)


def in_threads(work):
    errors = []

    def guarded(number):
        try:
            work(number)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors


def check_types(client):
    client.flushall()
    client.hset("hash", mapping={"a": "1", "b": "2"})
    assert client.hgetall("hash") == {"a": "1", "b": "2"}
    client.zadd("board", {"ada": 1.5, "bob": 2})
    found = client.zrange("board", 0, -1, withscores=True)
    assert [(name, float(score)) for name, score in found] == [("ada", 1.5), ("bob", 2.0)]
    client.sadd("tags", "x", "y")
    assert client.smembers("tags") == {"x", "y"}
    client.rpush("list", 1, 2, 3)
    assert client.lrange("list", 0, -1) == ["1", "2", "3"]
    client.xadd("stream", {"field": "value"})
    assert client.xlen("stream") == 1
    assert client.get("missing") is None
    assert client.incrbyfloat("float", 10.5) == 10.5
    assert sorted(client.scan_iter()) == sorted(["hash", "board", "tags", "list", "stream", "float"])
    try:
        client.lpush("hash", 1)
        raise AssertionError("a list command on a hash went through")
    except redis.ResponseError as error:
        assert str(error).startswith("WRONGTYPE") or "wrong kind" in str(error), error


def check_pipelines(client):
    pipeline = client.pipeline(transaction=True)
    pipeline.set("counter", 0)
    for _ in range(100):
        pipeline.incr("counter")
    assert pipeline.execute()[-1] == 100

    def add_one(pipeline):
        value = int(pipeline.get("counter"))
        pipeline.multi()
        pipeline.set("counter", value + 1)

    in_threads(lambda _: [connect(2).transaction(add_one, "counter") for _ in range(5)])
    assert int(client.get("counter")) == 100 + CLIENTS * 5


def check_limiter(client, protocol):
    limit, granted = 50, []

    def ask(number):
        own = connect(protocol)
        script = own.register_script(LIMITER)
        for turn in range(25):
            arguments = [1_000_000 + turn, 60_000, limit, f"{number}:{turn}"]
            if script(keys=["limit"], args=arguments) == 1:
                granted.append(number)

    client.delete("limit")
    in_threads(ask)
    assert len(granted) == limit, len(granted)


def check_lock(client, protocol):
    tokens, holders = [], []

    def work(number):
        own = connect(protocol)
        acquire, release = own.register_script(ACQUIRE), own.register_script(RELEASE)
        for _ in range(5):
            while not (token := acquire(keys=["lock", "fence"], args=[number, 30_000])):
                time.sleep(0.001)
            holders.append(number)
            assert len(holders) == 1, "two hold the lock"
            tokens.append(token)
            holders.clear()
            assert release(keys=["lock"], args=[number]) == 1

    client.delete("lock", "fence")
    in_threads(work)
    assert tokens == list(range(1, CLIENTS * 5 + 1)), "fencing tokens do not rise by one"
    with client.lock("built-in", timeout=10):
        assert client.get("built-in") is not None
    assert client.get("built-in") is None


def check_pubsub(client):
    subscription = client.pubsub()
    subscription.subscribe("news")
    assert subscription.get_message(timeout=5)["type"] == "subscribe"
    assert client.publish("news", "hello") == 1
    message = subscription.get_message(timeout=5)
    assert message["data"] == "hello", message
    subscription.close()


def check_blocking(client, protocol):
    results = []
    waiting = threading.Thread(target=lambda: results.append(connect(protocol).blpop("queue", 10)))
    waiting.start()
    while client.info("clients")["blocked_clients"] == 0:
        time.sleep(0.001)
    client.rpush("queue", "job")
    waiting.join()
    assert list(results[0]) == ["queue", "job"], results


for protocol in (2, 3):
    client = connect(protocol)
    check_types(client)
    check_pipelines(client)
    check_limiter(client, protocol)
    check_lock(client, protocol)
    check_pubsub(client)
    check_blocking(client, protocol)
