import { describe, expect, it } from 'vitest';
import { type JsonPiece, JsonSplitter } from '../../src/util/json-splitter.ts';

/** All pieces of `input`, which must be the same however it is cut into chunks. */
function split(input: string | Buffer, maxBytes = 1_000): JsonPiece[] {
  const bytes = Buffer.from(input as string);
  const results = [1, 2, 3, 7, 64, bytes.length + 1].map((size) => {
    const splitter = new JsonSplitter(maxBytes);
    const pieces: JsonPiece[] = [];
    for (let start = 0; start < bytes.length; start += size)
      pieces.push(...splitter.push(bytes.subarray(start, start + size)));
    return [...pieces, ...splitter.end()];
  });
  for (const result of results) expect(result).toEqual(results[0]);
  return results[0] ?? [];
}

const texts = (input: string) => split(input).map(({ text, error }) => text ?? error);

describe('JSON Lines', () => {
  it('are cut at line breaks; empty lines count and are passed over', () => {
    expect(split('{"a":1}\r\n\n  {"a":2} \n{"a":')).toEqual([
      { line: 1, text: '{"a":1}' },
      { line: 3, text: '{"a":2}' },
      { line: 4, text: '{"a":', last: true },
    ]);
  });

  it('may begin with a byte order mark', () => {
    expect(texts('\ufeff{"a":1}\n{"b":2}\n')).toEqual(['{"a":1}', '{"b":2}']);
  });

  it('lose only the malformed line', () => {
    expect(texts('{"a": 1\n{"b": 2}\n}\n{"c": 3}\n')).toEqual(['{"a": 1', '{"b": 2}', '}', '{"c": 3}']);
  });

  it('lose only a line that is too long, or not UTF-8', () => {
    const long = `{"a":1}\n"${'x'.repeat(50)}"\n{"b":2}\n`;
    expect(split(long, 20)).toEqual([
      { line: 1, text: '{"a":1}' },
      { line: 2, error: 'it has 52 bytes; at most 20 are read' },
      { line: 3, text: '{"b":2}' },
    ]);
    const bytes = Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xc3, 0x28]), Buffer.from('"}\n{"b":"é"}\n')]);
    expect(split(bytes)).toEqual([
      { line: 1, error: 'it is not UTF-8' },
      { line: 2, text: '{"b":"é"}' },
    ]);
  });
});

describe('an array', () => {
  it('is cut at its own commas', () => {
    expect(split('[{"a":"],{\\""},\n [1,[2]] ,3\n,"x"]\n')).toEqual([
      { line: 1, text: '{"a":"],{\\""}' },
      { line: 2, text: '[1,[2]]' },
      { line: 2, text: '3' },
      { line: 3, text: '"x"' },
    ]);
  });

  it('may be empty', () => {
    expect(split(' [ ]\n')).toEqual([]);
  });

  it('loses only the malformed or too large element', () => {
    expect(texts('[{"a" 1}, {"b":2}]')).toEqual(['{"a" 1}', '{"b":2}']);
    expect(split(`[{"a":[${'1,'.repeat(30)}1]},{"b":2}]`, 20)).toEqual([
      { line: 1, error: 'it has 69 bytes; at most 20 are read' },
      { line: 1, text: '{"b":2}' },
    ]);
  });

  it('tells where it is cut off', () => {
    expect(split('[{"a":1},\n{"b":[')).toEqual([
      { line: 1, text: '{"a":1}' },
      { line: 2, error: 'the file ends inside this value; it may be cut off' },
    ]);
    expect(split('[{"a":1},{"b":2}')).toEqual([
      { line: 1, text: '{"a":1}' },
      { line: 1, text: '{"b":2}', last: true },
      { line: 1, error: 'the file ends inside the array; it may be cut off' },
    ]);
  });

  it('refuses what follows it, once', () => {
    expect(split('[1]\n[2]\n[3]')).toEqual([
      { line: 1, text: '1' },
      { line: 2, error: 'there is text after the end of the array' },
    ]);
  });
});

describe('indented values', () => {
  it('are cut after their last bracket', () => {
    expect(split('{\n  "a": "}"\n}\n{\n  "b": [\n 1 ] } {"c":3}\n')).toEqual([
      { line: 1, text: '{\n  "a": "}"\n}' },
      { line: 4, text: '{\n  "b": [\n 1 ] }' },
      { line: 6, text: '{"c":3}' },
    ]);
  });

  it('lose stray text with its line only', () => {
    expect(split('{\n"a":1}\n}, oops\n{\n"b":2}')).toEqual([
      { line: 1, text: '{\n"a":1}' },
      { line: 3, text: '}, oops' },
      { line: 4, text: '{\n"b":2}' },
    ]);
  });

  it('tell where they are cut off', () => {
    expect(split('{\n"a": {\n')).toEqual([{ line: 1, error: 'the file ends inside this value; it may be cut off' }]);
  });
});

it('says what a file is that holds no JSON text', () => {
  expect(split(Buffer.from('{"a":1}', 'utf16le'))).toHaveLength(1);
  expect(split(Buffer.from('\ufeff{"a":1}', 'utf16le'))).toEqual([
    { line: 1, error: 'the file is UTF-16; convert it to UTF-8' },
  ]);
  expect(split(Buffer.from([0x1f, 0x8b, 8, 0, 0]))).toEqual([
    { line: 1, error: 'the file is compressed; unpack it with gunzip' },
  ]);
  expect(split('')).toEqual([]);
  expect(split(' \n\t\n')).toEqual([]);
});

it('keeps no more of a long value than it may return', () => {
  const splitter = new JsonSplitter(1_000);
  const chunk = Buffer.alloc(1_000_000, 0x78);
  splitter.push(Buffer.from('{"a":1}\n'));
  for (let i = 0; i < 50; i++) expect(splitter.push(chunk)).toEqual([]);
  expect(splitter.push(Buffer.from('\n{"b":2}\n'))).toEqual([
    { line: 2, error: 'it has 50000000 bytes; at most 1000 are read' },
    { line: 3, text: '{"b":2}' },
  ]);
});
