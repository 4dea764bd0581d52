// redlock, unchanged: redlock.mjs PORT
//
// 8 clients take two locks at once, 20 times each: never two hold them. A lock whose holder has died
// is free after its time, one that is extended is not.
import assert from 'node:assert/strict';
import Redis from 'ioredis';
import Redlock from 'redlock';

const port = Number(process.argv[2]);
const [clients, turns] = [8, 20];
const options = { retryCount: -1, retryDelay: 5, retryJitter: 5 };

async function checkExclusion() {
  const plain = new Redis({ port });
  let holders = 0;
  const work = async (redlock, own) => {
    for (let turn = 0; turn < turns; turn += 1) {
      const lock = await redlock.lock(['lock:a', 'lock:b'], 30_000);
      holders += 1;
      assert.equal(holders, 1, 'two hold the lock');
      const count = Number(await own.get('count'));
      await own.set('count', count + 1);
      holders -= 1;
      await lock.unlock();
    }
  };
  await Promise.all(Array.from({ length: clients }, () => {
    const own = new Redis({ port });
    return work(new Redlock([own], options), own);
  }));
  assert.equal(Number(await plain.get('count')), clients * turns);
  assert.equal(await plain.exists('lock:a', 'lock:b'), 0);
}

async function checkExpiry() {
  const first = new Redlock([new Redis({ port })], { retryCount: 0 });
  const patient = new Redlock([new Redis({ port })], options);
  const begin = Date.now();
  const dead = await first.lock('mortal', 300);
  const heir = await patient.lock('mortal', 30_000);
  assert.ok(Date.now() - begin >= 290, 'taken before its time was over');
  await assert.rejects(dead.unlock(), Redlock.LockError);
  await assert.rejects(first.lock('mortal', 1000), Redlock.LockError);
  const longer = await heir.extend(60_000);
  assert.ok(await new Redis({ port }).pttl('mortal') > 50_000);
  await longer.unlock();
  await (await first.lock('mortal', 1000)).unlock();
}

await checkExclusion();
await checkExpiry();
console.log(`redlock: ${clients * turns} locks of two keys, one holder at a time`);
process.exit(0);
