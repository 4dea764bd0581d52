// bee-queue, unchanged: bee_queue.mjs PORT
//
// 600 jobs at once, delayed and failing first, are done once each by two workers. A third one
// takes eight jobs, is killed while it holds them, and those are done by the others.
import assert from 'node:assert/strict';
import Queue from 'bee-queue';
import { Tally, kill, start } from './processes.mjs';

const [port, role] = process.argv.slice(2);
const [jobs, held] = [600, 8];
const errors = [];

function open(options) {
  const queue = new Queue('jobs', {
    redis: { host: '127.0.0.1', port: Number(port) },
    stallInterval: 1500,
    activateDelayedJobs: true,
    removeOnSuccess: true,
    ...options,
  });
  queue.on('error', (error) => errors.push(error));
  return queue;
}

function runWorker() {
  const queue = open();
  queue.checkStalledJobs(500);
  queue.process(10, async ({ id, data, options }) => {
    if (data.failsFirst && options.retries === 2) throw new Error('on purpose');
    process.send(Number(id));
  });
}

function runVictim() {
  open().process(held, ({ id }) => {
    process.send(Number(id));
    return new Promise(() => {});
  });
}

async function addJob(queue, number) {
  const failsFirst = number % 4 === 1;
  const job = queue.createJob({ failsFirst }).setId(String(number)).retries(2);
  if (number % 4 === 2) job.delayUntil(Date.now() + 300);
  await job.save();
}

async function runAll() {
  const queue = open({ isWorker: false });
  const [done, taken] = [new Tally(), new Tally()];
  const victim = start(port, 'victim', (number) => taken.add(number));
  for (let number = 0; number < held; number += 1) await addJob(queue, number * 4);
  await taken.reached(held);
  const workers = [1, 2].map(() => start(port, 'worker', (number) => done.add(number)));
  const rest = Array.from({ length: jobs }, (_, number) => number)
    .filter((number) => !taken.counts.has(number));
  await Promise.all(rest.map((number) => addJob(queue, number)));
  await done.reached(jobs - held);
  const early = [...taken.counts.keys()].filter((number) => done.counts.has(number));
  assert.deepEqual(early, [], 'what the victim still held was done by others');
  await kill(victim);
  await done.reached(jobs);
  await Promise.all(workers.map(kill));
  assert.equal(done.doubled(), 0);
  assert.equal((await queue.checkHealth()).failed, 0);
  assert.deepEqual(errors.map(String), []);
  console.log(`bee-queue: ${done.counts.size} of ${jobs} jobs, ${held} of them after their worker `
    + `was killed, doubled ${done.doubled()}`);
  process.exit(0);
}

if (role === 'worker') runWorker();
else if (role === 'victim') runVictim();
else await runAll();
