// rate-limiter-flexible, unchanged: rate_limiter.mjs PORT
//
// 16 clients ask for far more than there is: exactly what the limit allows is granted, of each key,
// and again in the next window.
import assert from 'node:assert/strict';
import Redis from 'ioredis';
import { BurstyRateLimiter, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';

const port = Number(process.argv[2]);
const clients = Array.from({ length: 16 }, () => new Redis({ port }));

function limiters(keyPrefix, points, duration, options = {}) {
  return clients.map((storeClient) =>
    new RateLimiterRedis({ storeClient, keyPrefix, points, duration, ...options }));
}

/** Whether it was granted; errors other than a refusal go on. */
async function asks(limiter, key, points = 1) {
  try {
    await limiter.consume(key, points);
    return true;
  } catch (refusal) {
    if (!(refusal instanceof RateLimiterRes)) throw refusal;
    assert.ok(refusal.msBeforeNext > 0);
    return false;
  }
}

async function countGranted(all, key, turns) {
  const answers = await Promise.all(all.flatMap((limiter) =>
    Array.from({ length: turns }, () => asks(limiter, key))));
  return answers.filter(Boolean).length;
}

async function checkLimit() {
  const all = limiters('limit', 50, 60);
  const keys = Array.from({ length: 5 }, (_, number) => `user:${number}`);
  const granted = await Promise.all(keys.map((key) => countGranted(all, key, 40)));
  assert.deepEqual(granted, keys.map(() => 50));
  return 5 * 16 * 40;
}

async function checkNextWindow() {
  const all = limiters('window', 20, 1);
  const before = await countGranted(all, 'user', 10);
  assert.ok(before >= 20 && before % 20 === 0, `${before} of 20 granted in a window`);
  const left = await all[0].get('user');
  await new Promise((resolve) => { setTimeout(resolve, (left?.msBeforeNext ?? 0) + 1); });
  assert.ok(await asks(all[0], 'user'), 'refused in the next window');
}

async function checkTheRest() {
  const [one, two] = limiters('rest', 10, 60);
  await one.penalty('user', 4);
  await two.reward('user', 1);
  assert.equal((await one.get('user')).consumedPoints, 3);
  assert.ok(await asks(two, 'user', 7));
  assert.ok(!await asks(one, 'user'));
  assert.equal(await one.delete('user'), true);
  assert.equal(await two.get('user'), null);
  await one.block('user', 30);
  assert.ok(!await asks(two, 'user'));
  const [strict] = limiters('blocks', 1, 60, { blockDuration: 90 });
  assert.ok(await asks(strict, 'user'));
  assert.ok(!await asks(strict, 'user'));
  assert.ok((await strict.get('user')).msBeforeNext > 60_000);
}

async function checkBursts() {
  const [steady] = limiters('steady', 5, 60);
  const [burst] = limiters('burst', 10, 60);
  assert.equal(await countGranted([new BurstyRateLimiter(steady, burst)], 'user', 40), 15);
}

const asked = await checkLimit();
await checkNextWindow();
await checkTheRest();
await checkBursts();
console.log(`rate-limiter-flexible: ${asked} asked, 250 granted, in 5 keys`);
process.exit(0);
