"""redis-py's cluster client against a server that says it is a cluster of one: PORT"""

import sys

import redis

PORT = int(sys.argv[1])

for protocol in (2, 3):
    client = redis.RedisCluster(host="127.0.0.1", port=PORT, protocol=protocol, decode_responses=True)
    assert client.cluster_info()["cluster_state"] == "ok"
    assert client.cluster_keyslot("foo") == 12182
    client.delete("foo", "n{foo}")
    assert client.set("foo", "1")
    script = client.register_script("return redis.call('INCR', KEYS[1]) + redis.call('INCR', KEYS[2])")
    assert script(keys=["foo", "n{foo}"]) == 3
    assert client.cluster_countkeysinslot(12182) == 2
    pipeline = client.pipeline()
    pipeline.get("foo")
    pipeline.get("elsewhere")
    assert pipeline.execute() == ["2", None]
    assert len(client.cluster_nodes()) == 1
    assert len(client.cluster_shards()) == 1
