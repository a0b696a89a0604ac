import { expect, test } from 'vitest';
import { gather } from '../../replica/gather.ts';
import type { Frame } from '../../src/protocol/sync-source.ts';
import { settle } from '../support/manual-clock.ts';

const frame = (from: number, to: number, checkpoint = false, bytes = 1): Frame =>
  ({ from, to, digests: checkpoint ? [] : null, body: 'x'.repeat(bytes) }) as unknown as Frame;

const options = (signal: AbortSignal = new AbortController().signal) => ({
  ...{ maxChanges: 100, maxBytes: 1_000 },
  soon: (task: () => void) => void setImmediate(task),
  signal,
});

async function grouped(frames: AsyncIterable<Frame>): Promise<number[][]> {
  const groups: number[][] = [];
  for await (const group of gather(frames, options())) groups.push(group.map(({ to }) => to));
  return groups;
}

async function* from(...frames: Frame[]): AsyncGenerator<Frame> {
  yield* frames;
}

test('groups what is there, up to the limit', async () => {
  expect(await grouped(from(frame(1, 30), frame(31, 60), frame(61, 100), frame(101, 120)))).toEqual([
    [30, 60, 100],
    [120],
  ]);
  expect(await grouped(from(frame(1, 60), frame(61, 120)))).toEqual([[60], [120]]);
  expect(await grouped(from(frame(1, 500), frame(501, 501)))).toEqual([[500], [501]]);
});

test('a group holds no more text than the limit', async () => {
  const sized = (from: number, bytes: number) => frame(from, from, false, bytes);
  expect(await grouped(from(sized(1, 600), sized(2, 400), sized(3, 1), sized(4, 2_000), sized(5, 1)))).toEqual([
    [1, 2],
    [3],
    [4],
    [5],
  ]);
});

test('a group ends with a checkpoint, so that nothing later is applied before it is compared', async () => {
  expect(await grouped(from(frame(1, 2, true), frame(3, 4), frame(5, 5, true), frame(6, 6)))).toEqual([
    [2],
    [4, 5],
    [6],
  ]);
});

test('does not wait for a frame that is not there yet', async () => {
  const later = Promise.withResolvers<void>();
  async function* slow(): AsyncGenerator<Frame> {
    yield frame(1, 1);
    await later.promise;
    yield frame(2, 2);
  }
  const groups = gather(slow(), options());
  expect((await groups.next()).value?.map(({ to }: Frame) => to)).toEqual([1]);
  const next = groups.next();
  later.resolve();
  expect((await next).value?.map(({ to }: Frame) => to)).toEqual([2]);
});

test('an error comes after the frames before it', async () => {
  async function* failing(): AsyncGenerator<Frame> {
    yield frame(1, 1);
    throw new Error('no');
  }
  const groups = gather(failing(), options());
  expect((await groups.next()).value).toHaveLength(1);
  await expect(groups.next()).rejects.toThrow('no');
});

test('ends with the signal although the source never answers', async () => {
  const ended = new AbortController();
  const silent: AsyncIterable<Frame> = { [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) };
  const next = gather(silent, options(ended.signal)).next();
  await settle();
  ended.abort();
  await expect(next).rejects.toMatchObject({ code: 'PRIMARY_UNREACHABLE' });
});
