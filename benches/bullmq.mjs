// BullMQ's jobs per second and the server's CPU per job: benches/bullmq.mjs PORT QUEUES JOBS
//
// Each queue has its own producer (jobs in bulks of 250) and a worker at concurrency 10. Needs
// `npm ci --prefix tests/clients`.
import { createRequire } from 'node:module';

const require = createRequire(new URL('../tests/clients/package.json', import.meta.url));
const { Queue, Worker } = require('bullmq');
const Redis = require('ioredis');

const [port, queues, jobs] = process.argv.slice(2).map(Number);
const connection = { host: '127.0.0.1', port, maxRetriesPerRequest: null };
const client = new Redis(connection);

async function cpuSeconds() {
  const info = await client.info('cpu');
  const read = (name) => Number(new RegExp(`^${name}:(.*)$`, 'm').exec(info)[1]);
  return read('used_cpu_sys') + read('used_cpu_user');
}

async function run(name, total) {
  const queue = new Queue(name, { connection });
  let done = 0;
  let finish;
  const finished = new Promise((resolve) => { finish = resolve; });
  const worker = new Worker(name, async () => {
    done += 1;
    if (done === total) finish();
  }, { connection, concurrency: 10 });
  for (let added = 0; added < total; added += 250) {
    const count = Math.min(250, total - added);
    await queue.addBulk(Array.from({ length: count }, () => ({ name: 'job', data: {} })));
  }
  await finished;
  await worker.close();
  await queue.close();
}

await client.flushall();
await run('warm', 500);
const [cpuBefore, begin] = [await cpuSeconds(), process.hrtime.bigint()];
await Promise.all(Array.from({ length: queues }, (_, at) => run(`queue${at}`, jobs / queues)));
const seconds = Number(process.hrtime.bigint() - begin) / 1e9;
const cpu = await cpuSeconds() - cpuBefore;
console.log(`${queues} queues: ${Math.round(jobs / seconds)} jobs/s, `
  + `${(cpu / jobs * 1e6).toFixed(0)} us of CPU a job`);
process.exit(0);
