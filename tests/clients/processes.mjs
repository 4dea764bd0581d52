// What the scenarios of frameworks share: processes that can die, and what was done how often.
import { fork } from 'node:child_process';
import { once } from 'node:events';

// A process that was started goes when its parent does.
if (process.send) process.on('disconnect', () => process.exit());

/** How often each job was done, by its own number. Others can wait for what it will say. */
export class Tally {
  counts = new Map();
  #waiting = [];

  add(number) {
    this.counts.set(number, (this.counts.get(number) ?? 0) + 1);
    this.#waiting = this.#waiting.filter(({ size, resolve }) => {
      if (this.counts.size < size) return true;
      resolve();
      return false;
    });
  }

  /** Waits until `size` different jobs were done. */
  reached(size) {
    if (this.counts.size >= size) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ size, resolve }));
  }

  doubled() {
    return [...this.counts.values()].filter((count) => count > 1).length;
  }
}

/** The same scenario again in a process of its own, with a role; each of its messages goes to `tell`. */
export function start(port, role, tell) {
  const child = fork(process.argv[1], [port, role]);
  child.on('message', tell);
  return child;
}

/** Ends a process as a power cut would. */
export async function kill(child) {
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}
