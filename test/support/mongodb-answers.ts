import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { EJSON } from 'bson';
import { type Document, isInt32 } from '../../src/model/document.ts';

const DIRECTORY = new URL('../data/mongodb-answers/', import.meta.url);

/** The lines of a file of recorded answers, with numbers as the driver gives them. */
export function readAnswers<T>(name: string): T[] {
  const text = gunzipSync(readFileSync(new URL(`${name}.jsonl.gz`, DIRECTORY))).toString();
  return text
    .trimEnd()
    .split('\n')
    .map((line) => withPlainNumbers(EJSON.parse(line, { relaxed: false })) as T);
}

/** Int32 as a number, and Double too where the number does not read as int32. */
function withPlainNumbers(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withPlainNumbers);
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  const { _bsontype: type, value: number } = value as { _bsontype?: string; value: number };
  if (type === 'Int32' || (type === 'Double' && !isInt32(number))) return number;
  if (type !== undefined) return value;
  return Object.fromEntries(Object.entries(value as Document).map(([key, item]) => [key, withPlainNumbers(item)]));
}
