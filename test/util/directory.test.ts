import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { namesIn } from '../../src/util/directory.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const MODULE = join(import.meta.dirname, '../../src/util/directory.ts');
const COUNT = 2_000;

/** Makes directories `0` to `COUNT - 1`; begins when all are there, so that they meet. */
const WORK = `
  const { workerData: { module, root, count, gate, workers } } = require('node:worker_threads');
  import(module).then(({ ensureDirectory }) => {
    const arrived = new Int32Array(gate);
    Atomics.add(arrived, 0, 1);
    while (Atomics.load(arrived, 0) < workers);
    for (let i = 0; i < count; i++) ensureDirectory(root + '/' + i);
  });`;

it('makes directories that others make at the same moment', async () => {
  await using directory = await temporaryDirectory();
  const gate = new SharedArrayBuffer(4);
  const workerData = { module: MODULE, root: directory.path, count: COUNT, gate, workers: 2 };
  const ended = await Promise.allSettled(
    [1, 2].map(() => {
      const worker = new Worker(WORK, { eval: true, workerData });
      return new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject));
    }),
  );
  expect(ended).toEqual([
    { status: 'fulfilled', value: 0 },
    { status: 'fulfilled', value: 0 },
  ]);
  expect(namesIn(directory.path)).toHaveLength(COUNT);
});
