import { expect, test } from 'vitest';
import { type Incoming, Intake } from '../../replica/incoming.ts';
import { documentHash, GENESIS_CHAIN, type LogEntry } from '../../src/model/change.ts';
import type { Frame, Row, SyncSource } from '../../src/protocol/sync-source.ts';
import { chained, change, frameOf } from '../support/entries.ts';

const entries = chained(
  Array.from({ length: 10 }, (_, n) => change({ id: `${n}`, version: n + 1, image: `{"_id":${n}}` })),
);
const chainBefore = (sequence: number): string => entries[sequence - 2]?.chain ?? GENESIS_CHAIN;
const frame = (from: number, to: number, more: Partial<Frame> = {}): Frame => ({
  ...frameOf(entries.slice(from - 1, to), undefined, chainBefore(from)),
  ...more,
});
/** An empty frame after `sequence`. */
const idle = (sequence: number): Frame => ({
  ...frame(sequence, sequence),
  from: sequence + 1,
  previous: chainBefore(sequence + 1),
  body: '',
  checksum: 0,
});

function intake(after: number, source: Partial<SyncSource> = {}, known = ['teachers']): Intake {
  const tail = { epoch: 1, sequence: after, chain: chainBefore(after + 1) };
  return new Intake({ source: source as SyncSource, isKnown: (name) => known.includes(name), tail });
}

async function taken(into: Intake, ...frames: Frame[]): Promise<Incoming[]> {
  const parts: Incoming[] = [];
  for (const item of frames) for await (const part of into.take(item)) parts.push(part);
  return parts;
}

const sequences = (parts: readonly Incoming[]): number[][] =>
  parts.map((part) => part.entries.map((entry) => entry.sequence));

test('takes what follows, and of a frame that begins earlier only the rest', async () => {
  expect(sequences(await taken(intake(0), frame(1, 3), idle(3), frame(4, 6)))).toEqual([[1, 2, 3], [], [4, 5, 6]]);
  expect(sequences(await taken(intake(4), frame(3, 6)))).toEqual([[5, 6]]);
});

test('drops a frame that was taken before', async () => {
  expect(sequences(await taken(intake(6), frame(1, 3), frame(4, 6), frame(7, 8)))).toEqual([[], [], [7, 8]]);
});

test('digests count only at the end of a frame that was taken now', async () => {
  const digests = [{ collection: 'teachers', count: 1, sum: '0'.repeat(32) }];
  const parts = await taken(intake(2), frame(1, 2, { digests }), frame(3, 4, { digests }), frame(1, 2, { digests }));
  expect(parts.map((part) => part.digests)).toEqual([digests, digests, null]);
});

test('refuses a gap', async () => {
  await expect(taken(intake(2), frame(4, 6))).rejects.toMatchObject({
    code: 'VALIDATION_FAILED',
    message: expect.stringContaining('changes 3 to 3 are missing'),
  });
  await expect(taken(intake(2), idle(6))).rejects.toMatchObject({ code: 'VALIDATION_FAILED' });
});

test('refuses another history: before the frame, inside it, and in an empty one', async () => {
  const other = chained(entries.slice(0, 6).map((entry) => ({ ...entry, at: 7 })));
  const wrong = { ...frameOf(other.slice(2, 6), undefined, other[1]?.chain) };
  await expect(taken(intake(2), wrong)).rejects.toMatchObject({ code: 'FORK' });
  await expect(taken(intake(4), wrong)).rejects.toMatchObject({ code: 'FORK' });
  const chain = 'f'.repeat(32);
  const empty = { ...frameOf([], undefined, chain), from: 5, to: 4, head: 4, cursor: wrong.cursor };
  await expect(taken(intake(4), empty)).rejects.toMatchObject({
    code: expect.stringMatching(/FORK|VALIDATION_FAILED/),
  });
});

test('refuses a lower epoch, unless what it brings was taken already', async () => {
  const into = new Intake({
    source: {} as SyncSource,
    isKnown: () => true,
    tail: { epoch: 2, sequence: 4, chain: chainBefore(5) },
  });
  expect(sequences(await taken(into, frame(1, 3)))).toEqual([[]]);
  await expect(taken(into, frame(5, 6))).rejects.toMatchObject({ code: 'FENCED' });
});

test('nothing is taken from a damaged frame', async () => {
  const into = intake(0);
  await expect(taken(into, frame(1, 3, { checksum: 1 }))).rejects.toMatchObject({ code: 'VALIDATION_FAILED' });
  expect(sequences(await taken(into, frame(1, 3)))).toEqual([[1, 2, 3]]);
});

test('asks for the SDL again when a document of an unknown collection comes; without its image the entry is only copied', async () => {
  await expect(taken(intake(0, {}, ['schools']), frame(1, 2))).rejects.toMatchObject({ code: 'SCHEMA_MISMATCH' });
  const hidden = { ...frameOf(entries.slice(0, 2), () => true) };
  expect(sequences(await taken(intake(0, {}, ['schools']), hidden))).toEqual([[1, 2]]);
});

const LARGE = 'x'.repeat(300_000);
const large = (n: number): LogEntry[] =>
  chained(
    Array.from({ length: n }, (_, i) => change({ id: `${i}`, version: 1, image: `{"_id":${i},"t":"${LARGE}"}` })),
  ) as LogEntry[];
const rowOf = ({ id, version, image }: LogEntry): Row => ({ id, version, text: image ?? '' });

test('fetches images that did not travel and verifies them', async () => {
  const list = large(2);
  const source: Partial<SyncSource> = {
    rows: async (_collection, ids) => list.filter(({ id }) => ids.includes(id)).map(rowOf),
  };
  const [part] = await taken(intake(0, source), frameOf(list));
  expect(part?.entries.map((entry) => entry.image)).toEqual(list.map((entry) => entry.image));
  expect([part?.ahead.size, part?.settleAt]).toEqual([0, null]);
});

test('a row that is newer, gone or not the one that was written is ahead, until the position where it was read', async () => {
  const list = large(3);
  const newer: Row = { id: '0', version: 9, text: '{"_id":0}' };
  const source: Partial<SyncSource> = {
    rows: async (_collection, [id]) =>
      id === '0' ? [newer] : id === '2' ? [{ ...rowOf(list[2]!), text: '{"_id":2}' }] : [],
    digests: async () => ({ position: { epoch: 1, sequence: 77 }, digests: [] }),
  };
  const [part] = await taken(intake(0, source), frameOf(list));
  expect(part?.entries.map((entry) => entry.image)).toEqual([null, null, null]);
  expect([...(part?.ahead ?? [])].map(([sequence, row]) => [sequence, row?.text ?? null])).toEqual([
    [1, '{"_id":0}'],
    [2, null],
    [3, '{"_id":2}'],
  ]);
  expect(part?.settleAt).toEqual({ epoch: 1, sequence: 77 });
});

test('many large images come in several parts, so that few are held at once', async () => {
  const list = large(130);
  const source: Partial<SyncSource> = {
    rows: async (_collection, ids) => list.filter(({ id }) => ids.includes(id)).map(rowOf),
  };
  const digests = [{ collection: 'teachers', count: 1, sum: '0'.repeat(32) }];
  const parts = await taken(intake(0, source), { ...frameOf(list), digests });
  expect(parts.length).toBeGreaterThan(2);
  expect(parts.flatMap((part) => part.entries.map((entry) => entry.sequence))).toEqual(
    list.map((entry) => entry.sequence),
  );
  expect(parts.map((part) => part.digests !== null)).toEqual([...parts.slice(1).map(() => false), true]);
  expect(documentHash('teachers', '0', 1, list[0]?.image ?? '')).toBe(list[0]?.after);
});
