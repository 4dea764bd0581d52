// ioredis against a server: ioredis.mjs PORT
import assert from 'node:assert/strict';
import { Redis } from 'ioredis';

const port = Number(process.argv[2]);
const CLIENTS = 16;
const clients = Array.from({ length: CLIENTS }, () => new Redis({ port }));

for (const client of clients) {
  client.defineCommand('limit', {
    numberOfKeys: 1,
    lua: `
      redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, ARGV[1] - ARGV[2])
      if redis.call('ZCARD', KEYS[1]) < tonumber(ARGV[3]) then
        redis.call('ZADD', KEYS[1], ARGV[1], ARGV[4])
        return 1
      end
      return 0`,
  });
  client.defineCommand('acquire', {
    numberOfKeys: 2,
    lua: `
      if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
        return redis.call('INCR', KEYS[2])
      end
      return 0`,
  });
  client.defineCommand('release', {
    numberOfKeys: 1,
    lua: `return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0`,
  });
}

// The sliding-window rate limiter: never one grant too many.
const grants = await Promise.all(
  clients.flatMap((client, number) =>
    Array.from({ length: 25 }, (_, turn) =>
      client.limit('limit', 1000000 + turn, 60000, 50, `${number}:${turn}`))));
assert.equal(grants.filter((grant) => grant === 1).length, 50);

// A lock with a fencing token.
let holders = 0;
const tokens = [];
await Promise.all(clients.map(async (client, number) => {
  for (let turn = 0; turn < 5; turn += 1) {
    let token = 0;
    while (!(token = await client.acquire('lock', 'fence', number, 30000)));
    holders += 1;
    assert.equal(holders, 1, 'two hold the lock');
    tokens.push(token);
    holders -= 1;
    assert.equal(await client.release('lock', number), 1);
  }
}));
assert.deepEqual(tokens, Array.from({ length: CLIENTS * 5 }, (_, index) => index + 1));

// Pipelines, transactions, types.
const [client] = clients;
const results = await client.pipeline().set('a', 1).incr('a').get('a').exec();
assert.deepEqual(results.map(([error, value]) => error ?? value), ['OK', 2, '2']);
const executed = await client.multi().hset('h', 'f', 'v').hgetall('h').exec();
assert.deepEqual(executed[1][1], { f: 'v' });
await assert.rejects(client.lpush('h', 1), /WRONGTYPE/);

// Subscriptions.
const subscriber = new Redis({ port });
await subscriber.subscribe('news');
const message = new Promise((resolve) => subscriber.on('message', (_, text) => resolve(text)));
await client.publish('news', 'hello');
assert.equal(await message, 'hello');

for (const open of [...clients, subscriber]) open.disconnect();
