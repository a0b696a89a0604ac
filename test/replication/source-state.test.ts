import { describe, expect, test } from 'vitest';
import { documentHash, GENESIS_CHAIN } from '../../src/model/change.ts';
import { Buckets, bucketOf } from '../../src/protocol/digest.ts';
import type { SourceStage } from '../../src/replication/source.ts';
import { ALL, code, Follower, setUp, write } from './support.ts';

describe('state', () => {
  test('pages hold at most the limit and name the position they include', async () => {
    const { node, source } = setUp();
    write(node, 25);
    const seen: string[] = [];
    for (let after: string | null = null; ; ) {
      const page = await source.snapshot('teachers', after, 10);
      expect(page.position).toEqual({ epoch: 1, sequence: 25 });
      expect(page.rows.length).toBeLessThanOrEqual(10);
      seen.push(...page.rows.map(({ id }) => id));
      after = page.next;
      if (after === null) break;
    }
    expect(new Set(seen).size).toBe(25);
  });

  test('a page is lowered to 1,000 rows and 4 MiB; a larger row goes alone', async () => {
    const { node, source } = setUp();
    write(node, 1_500);
    expect((await source.snapshot('teachers', null, 1e9)).rows).toHaveLength(1_000);
    const megabyte = JSON.stringify('x'.repeat(1024 * 1024 - 2));
    node.write('schools', { a: megabyte, b: megabyte, c: megabyte, d: megabyte, e: megabyte });
    expect((await source.snapshot('schools', null, 1_000)).rows).toHaveLength(4);
    node.write('schools', { a: JSON.stringify('x'.repeat(5_000_000)) });
    expect((await source.snapshot('schools', null, 1_000)).rows).toHaveLength(1);
  });

  test('rows gives those that exist', async () => {
    const { node, source } = setUp();
    write(node, 3);
    const rows = await source.rows('teachers', ['"teacher-1"', '"nobody"', '"teacher-2"']);
    expect(rows.map(({ id }) => id)).toEqual(['"teacher-1"', '"teacher-2"']);
  });

  test('rows that are too large together are refused, one is not', async () => {
    const { node, source } = setUp();
    const text = JSON.stringify('x'.repeat(9 * 1024 * 1024));
    node.write('teachers', { a: text, b: text });
    await expect(source.rows('teachers', ['"a"', '"b"'])).rejects.toEqual(code('PAYLOAD_TOO_LARGE'));
    expect(await source.rows('teachers', ['"a"'])).toHaveLength(1);
  });

  test('bucketRows gives id, version and hash of one bucket', async () => {
    const { node, source } = setUp();
    node.write('teachers', { ada: '{"n":1}' });
    const { rows, position } = await source.bucketRows('teachers', bucketOf('"ada"'));
    const [row] = await source.rows('teachers', ['"ada"']);
    const version = row?.version as number;
    expect(rows).toEqual([{ id: '"ada"', version, hash: documentHash('teachers', '"ada"', version, '{"n":1}') }]);
    expect(position).toEqual({ epoch: 1, sequence: 1 });
  });

  test('chain gives the hashes that are kept, the one before the floor included', async () => {
    const { node, log, source } = setUp();
    write(node, 6);
    const entry = async (sequence: number) => (await log.entry(sequence))?.chain;
    const [third, fourth, sixth] = [await entry(3), await entry(4), await entry(6)];
    expect(await source.chain([0])).toEqual([GENESIS_CHAIN]);
    await log.trim(4);
    expect(await source.chain([0, 2, 3, 4, 6, 7])).toEqual([null, null, third, fourth, sixth, null]);
  });

  test('at most 1,000 ids or sequences at a time', async () => {
    const { source } = setUp();
    await expect(source.rows('teachers', Array(1_001).fill('"a"'))).rejects.toEqual(code('VALIDATION_FAILED'));
    await expect(source.chain(Array(1_001).fill(1))).rejects.toEqual(code('VALIDATION_FAILED'));
  });

  test('buckets at the head are those of the store; at a place of the past, those of then', async () => {
    const { node, source } = setUp();
    write(node, 10);
    const then = node.buckets('teachers').clone();
    const at = { epoch: 1, sequence: 10 };
    write(node, 5);
    node.write('teachers', { 'teacher-7': null, new: '{}' });
    const past = await source.buckets('teachers', at);
    expect(past.position).toEqual(at);
    expect(Buckets.fromBase64(past.buckets).differing(then)).toEqual([]);
    const now = await source.buckets('teachers', null);
    expect(Buckets.fromBase64(now.buckets).differing(node.buckets('teachers'))).toEqual([]);
  });

  test('a collection that is not handed on is NOT_FOUND', async () => {
    const { source } = setUp();
    const refused = code('NOT_FOUND');
    await expect(source.snapshot('secrets', null, 10)).rejects.toEqual(refused);
    await expect(source.rows('secrets', ['"a"'])).rejects.toEqual(refused);
    await expect(source.buckets('secrets', null)).rejects.toEqual(refused);
    await expect(source.bucketRows('secrets', 1)).rejects.toEqual(refused);
  });

  test('a replica that settles hands on its log, not its documents; an empty one nothing', async () => {
    let stage: SourceStage = 'SETTLING';
    const { source, start } = setUp({ stage: () => stage });
    const refused = code('NOT_READY');
    await expect(source.snapshot('teachers', null, 10)).rejects.toEqual(refused);
    await expect(source.rows('teachers', [])).rejects.toEqual(refused);
    await expect(source.digests(null)).rejects.toEqual(refused);
    expect((await source.hello(start, ALL)).status).toBe('OK');
    expect(await source.chain([0])).toEqual([GENESIS_CHAIN]);
    stage = 'EMPTY';
    await expect(source.hello(null, ALL)).rejects.toEqual(refused);
    await expect(new Follower(source, start).next()).rejects.toEqual(refused);
  });
});
