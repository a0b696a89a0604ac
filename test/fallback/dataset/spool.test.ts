import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Long } from 'bson';
import { expect, it } from 'vitest';
import { Spool } from '../../../src/fallback/dataset/spool.ts';
import { temporaryDirectory } from '../../support/temporary.ts';

it('gives back what was put aside, in its order and with its types, as often as asked', async () => {
  await using directory = await temporaryDirectory();
  using spool = new Spool(directory.path, 'x.spool');
  const documents = Array.from({ length: 3_000 }, (_, n) => ({
    _id: n,
    text: `ü\n${'x'.repeat(n)}`,
    long: Long.fromNumber(n),
  }));
  for (const document of documents.slice(0, 2_000)) spool.add(document);
  expect([...spool.read()]).toHaveLength(2_000);
  for (const document of documents.slice(2_000)) spool.add(document);
  expect([...spool.read()]).toEqual(documents);
});

it('leaves nothing on disk that can be read, and at the end nothing at all', async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, 'x.spool');
  const spool = new Spool(directory.path, 'x.spool');
  for (let n = 0; n < 1_000; n++) spool.add({ _id: n, name: `Grete Samsa ${n}` });
  expect([...spool.read()]).toHaveLength(1_000);
  expect(readFileSync(file).includes('Samsa')).toBe(false);
  expect(readFileSync(file).length).toBeGreaterThan(20_000);
  spool[Symbol.dispose]();
  spool[Symbol.dispose]();
  expect(existsSync(file)).toBe(false);
});
