// Bottleneck, unchanged, as a cluster: bottleneck.mjs PORT
//
// Four limiters share one limit: each job is done once, at most three at a time, in the pace that is
// set. What a killed process was running ends with its expiration, and the others go on.
import assert from 'node:assert/strict';
import Bottleneck from 'bottleneck';
import Redis from 'ioredis';
import { Tally, kill, start } from './processes.mjs';

const [port, role] = process.argv.slice(2);
const [limiters, jobs, atOnce, pace_ms] = [4, 200, 3, 3];
const errors = [];

async function open(id, options) {
  const limiter = new Bottleneck({
    id, datastore: 'ioredis', Redis, clientOptions: { port: Number(port) },
    clientTimeout: 60_000, ...options,
  });
  limiter.on('error', (error) => errors.push(error));
  await limiter.ready();
  return limiter;
}

async function openAll(id, options) {
  return Promise.all(Array.from({ length: limiters }, () => open(id, options)));
}

async function checkLimits() {
  const all = await openAll('paced', { maxConcurrent: atOnce, minTime: pace_ms });
  const done = new Tally();
  let [running, most] = [0, 0];
  const begin = Date.now();
  await Promise.all(Array.from({ length: jobs }, (_, number) =>
    all[number % limiters].schedule({ priority: number % 10 }, async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => { setImmediate(resolve); });
      running -= 1;
      done.add(number);
    })));
  const elapsed_ms = Date.now() - begin;
  assert.equal(done.counts.size, jobs);
  assert.equal(done.doubled(), 0);
  assert.ok(most <= atOnce, `${most} at a time`);
  assert.ok(elapsed_ms >= (jobs - 1) * pace_ms * 0.9, `${jobs} jobs took only ${elapsed_ms} ms`);
  assert.equal(await all[0].running(), 0);
  assert.equal(await all[0].done(), jobs);
}

async function checkReservoir() {
  const all = await openAll('reservoir', { reservoir: 30 });
  const done = new Tally();
  const scheduled = Array.from({ length: 50 }, (_, number) =>
    all[number % limiters].schedule(async () => done.add(number)));
  await done.reached(30);
  assert.equal(await all[0].currentReservoir(), 0);
  assert.equal(done.counts.size, 30);
  await all[1].incrementReservoir(20);
  await Promise.all(scheduled);
  assert.equal(done.doubled(), 0);
}

async function checkDeath() {
  const taken = new Tally();
  const victim = start(port, 'victim', (number) => taken.add(number));
  await taken.reached(1);
  const heir = await open('mortal', { maxConcurrent: 1 });
  assert.equal(await heir.running(), 1);
  const job = heir.schedule(async () => Date.now());
  await kill(victim);
  assert.equal(await job > 0, true);
}

async function runVictim() {
  const limiter = await open('mortal', { maxConcurrent: 1 });
  await limiter.schedule({ expiration: 1500 }, () => {
    process.send(0);
    return new Promise(() => {});
  });
}

if (role === 'victim') {
  await runVictim();
} else {
  await checkLimits();
  await checkReservoir();
  await checkDeath();
  assert.deepEqual(errors.map(String), []);
  console.log(`Bottleneck: ${jobs} jobs in ${limiters} limiters, ${atOnce} at a time at most`);
  process.exit(0);
}
