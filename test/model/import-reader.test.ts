import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ObjectId } from 'bson';
import { describe, expect, it } from 'vitest';
import { type ReadDocument, readDocuments } from '../../src/model/import-reader.ts';
import { temporaryDirectory } from '../support/temporary.ts';

async function* chunksOf(text: string): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < text.length; start += 5) yield Buffer.from(text.slice(start, start + 5));
}

async function readAll(source: string | AsyncIterable<Uint8Array>): Promise<ReadDocument[]> {
  const read: ReadDocument[] = [];
  for await (const document of readDocuments(source)) read.push(document);
  return read;
}

describe('readDocuments', () => {
  it('reads the documents of JSON Lines and passes over what is none', async () => {
    expect(await readAll(chunksOf('{"a":1}\n[2]\n\n{"a":{"$oid":"5e5677d71bdc2ae76344968c"}}\n{"a"'))).toEqual([
      { line: 1, index: 0, document: { a: 1 } },
      { line: 2, index: 1, error: 'it is an array, not an object' },
      { line: 4, index: 2, document: { a: new ObjectId('5e5677d71bdc2ae76344968c') } },
      { line: 5, index: 3, error: expect.stringMatching(/JSON.*; the file may be cut off here$/) },
    ]);
  });

  it('reads the elements of an array, several on one line', async () => {
    expect(await readAll(chunksOf('[{"a":1},{"a":2},\n3]'))).toEqual([
      { line: 1, index: 0, document: { a: 1 } },
      { line: 1, index: 1, document: { a: 2 } },
      { line: 2, index: 2, error: 'it is a single value, not an object' },
    ]);
  });

  it('reads files', async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, 'a.json');
    await writeFile(path, '{\n "a": {\n "b": 1\n }\n}\n');
    expect(await readAll(path)).toEqual([{ line: 1, index: 0, document: { a: { b: 1 } } }]);
    await expect(readAll(join(directory.path, 'absent'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('refuses a line of more than 16 MiB and goes on', async () => {
    async function* large() {
      yield Buffer.from('{"a":"');
      for (let i = 0; i < 17; i++) yield Buffer.alloc(1024 * 1024, 0x78);
      yield Buffer.from('"}\n{"a":1}\n');
    }
    expect(await readAll(large())).toEqual([
      { line: 1, index: 0, error: 'it has 17825800 bytes; at most 16777216 are read' },
      { line: 2, index: 1, document: { a: 1 } },
    ]);
  });
});
