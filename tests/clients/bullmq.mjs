// BullMQ, unchanged, against a server: bullmq.mjs atomic|direct PORT
//
// atomic: 5,000 jobs through one queue with 4 workers at concurrency 10, each done exactly once.
// direct: with one worker at concurrency 1 exactly once; with 4 × 10 no server error, and the jobs
// that interleaved scripts doubled are counted: the price of disable-atomicity.
import assert from 'node:assert/strict';
import { FlowProducer, Queue, QueueEvents, Worker } from 'bullmq';

const [mode, port] = [process.argv[2], Number(process.argv[3])];
const connection = { host: '127.0.0.1', port, maxRetriesPerRequest: null };
const errors = [];

/** How often each job was done, by its own number. */
class Tally {
  counts = new Map();

  add(number) {
    this.counts.set(number, (this.counts.get(number) ?? 0) + 1);
  }

  doubled() {
    return [...this.counts.values()].filter((count) => count > 1).length;
  }
}

function startWorkers(name, workers, concurrency, tally, options = {}) {
  const failedOnce = new Set();
  return Array.from({ length: workers }, () => {
    const worker = new Worker(name, async (job) => {
      const { number, failsFirst } = job.data;
      if (failsFirst && !failedOnce.has(number)) {
        failedOnce.add(number);
        throw new Error('on purpose');
      }
      tally.add(number);
      return number;
    }, { connection, concurrency, ...options });
    worker.on('error', (error) => errors.push(error));
    return worker;
  });
}

/** Waits until `expected` different jobs are done, or nothing has moved for a while. */
async function whenDone(tally, expected, seconds = 120) {
  const end = Date.now() + seconds * 1000;
  while (tally.counts.size < expected && Date.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function addJobs(queue, flows, total) {
  let number = 0;
  const next = (extra = {}) => ({ number: number++, ...extra });
  const retry = { attempts: 3, backoff: { type: 'fixed', delay: 10 } };
  const bulk = (count, options, extra) =>
    queue.addBulk(Array.from({ length: count }, () =>
      ({ name: 'job', data: next(extra), opts: options })));
  for (let turn = 0; turn < 500; turn += 1) await queue.add('job', next());
  await bulk(500, { delay: 300 });
  for (let turn = 0; turn < 500; turn += 1) {
    await queue.add('job', next(), { priority: 1 + (turn % 10) });
  }
  await bulk(500, retry, { failsFirst: true });
  for (let turn = 0; turn < 50; turn += 1) {
    await flows.add({
      name: 'job',
      queueName: queue.name,
      data: next(),
      children: Array.from({ length: 4 }, () =>
        ({ name: 'job', queueName: queue.name, data: next() })),
    });
  }
  while (number < total) await bulk(Math.min(250, total - number), {});
  return number;
}

async function run(name, workers, concurrency, total) {
  const queue = new Queue(name, { connection });
  const flows = new FlowProducer({ connection });
  const events = new QueueEvents(name, { connection });
  for (const emitter of [queue, flows, events]) emitter.on('error', (error) => errors.push(error));
  const tally = new Tally();
  const begin = Date.now();
  const running = startWorkers(name, workers, concurrency, tally);
  const added = await addJobs(queue, flows, total);
  await whenDone(tally, added);
  const seconds = (Date.now() - begin) / 1000;
  await Promise.all(running.map((worker) => worker.close()));
  const counts = await queue.getJobCounts();
  await Promise.all([queue.close(), flows.close(), events.close()]);
  return { tally, added, seconds, counts };
}

/** A limited queue: no more than `max` jobs in any window. */
async function runLimited() {
  const queue = new Queue('limited', { connection });
  const tally = new Tally();
  const limiter = { max: 50, duration: 200 };
  await queue.addBulk(Array.from({ length: 200 }, (_, number) =>
    ({ name: 'job', data: { number } })));
  const begin = Date.now();
  const workers = startWorkers('limited', 2, 10, tally, { limiter });
  await whenDone(tally, 200);
  const elapsed = Date.now() - begin;
  await Promise.all(workers.map((worker) => worker.close()));
  await queue.close();
  assert.equal(tally.counts.size, 200);
  assert.equal(tally.doubled(), 0);
  assert.ok(elapsed >= 3 * 200 * 0.9, `200 jobs at 50 per 200 ms took only ${elapsed} ms`);
}

function report(what, { tally, added, seconds, counts }) {
  console.log(`${what}: ${tally.counts.size} of ${added} jobs in ${seconds.toFixed(1)} s `
    + `(${Math.round(added / seconds)}/s), doubled ${tally.doubled()}, `
    + `left ${JSON.stringify(counts)}`);
}

if (mode === 'atomic') {
  const result = await run('jobs', 4, 10, 5000);
  report('4 workers × 10', result);
  assert.equal(result.tally.counts.size, 5000);
  assert.equal(result.tally.doubled(), 0);
  assert.equal(result.counts.failed, 0);
  await runLimited();
} else {
  const single = await run('single', 1, 1, 5000);
  report('1 worker × 1', single);
  assert.equal(single.tally.counts.size, 5000);
  assert.equal(single.tally.doubled(), 0);
  const many = await run('many', 4, 10, 5000);
  report('4 workers × 10', many);
}
assert.deepEqual(errors.map(String), []);
process.exit(0);
