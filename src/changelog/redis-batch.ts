import { type LogEntry, Operation } from '../model/change.ts';
import { jsonOf } from '../util/json.ts';

/** Most changes in one entry of the stream. */
const MAX_BATCH_CHANGES = 500;
/** Most bytes of images in one, approximately; a single larger change is one of its own. */
const MAX_BATCH_BYTES = 256 * 1024;

/** Dense entries of one epoch, as one entry of a stream holds them. */
export interface Batch {
  /** `<epoch>-<sequence>` of its last change: the stream refuses what is not beyond its top. */
  readonly id: string;
  /** JSON: everything but the images. */
  readonly changes: string;
  /** The images, a line for each change, empty where there is none. Document text has no line breaks. */
  readonly images: string;
}

/** How many leading `entries`, at least one, go into one batch: dense, of one epoch, of bounded size. */
export function batchLength(entries: readonly LogEntry[]): number {
  const [first] = entries;
  if (first === undefined) return 0;
  let bytes = 0;
  for (const [index, entry] of entries.entries()) {
    bytes += entry.image?.length ?? 0;
    const fits = index < MAX_BATCH_CHANGES && (bytes <= MAX_BATCH_BYTES || index === 0);
    if (!fits || entry.epoch !== first.epoch || entry.sequence !== first.sequence + index) return index;
  }
  return entries.length;
}

/** Writes a batch. `entries` are not empty, dense and of one epoch. */
export function encodeBatch(entries: readonly LogEntry[]): Batch {
  const { epoch, sequence } = entries.at(-1) as LogEntry;
  return {
    id: `${epoch}-${sequence}`,
    changes: JSON.stringify(entries.map(rowOf)),
    images: entries.map(({ image }) => image ?? '').join('\n'),
  };
}

/**
 * Reads a batch; undefined for anything that is none: not of this form, or not dense, or under an id that is not that of its last
 * change. Whether chain and image are what the log holds is for the reader to check.
 */
export function decodeBatch({ id, changes, images }: Batch): readonly LogEntry[] | undefined {
  const [epoch, last] = id.split('-').map(Number);
  const rows = jsonOf(changes);
  const lines = images.split('\n');
  if (epoch === undefined || last === undefined || !Array.isArray(rows) || rows.length !== lines.length)
    return undefined;
  const first = last - rows.length + 1;
  const entries: LogEntry[] = [];
  for (const [index, row] of (rows as unknown[]).entries()) {
    if (!isRow(row) || row[0] !== first + index) return undefined;
    const [sequence, operation, collection, documentId, version, at, before, after, key, chain] = row;
    const image = lines[index] || null;
    entries.push({
      epoch,
      sequence,
      operation,
      collection,
      id: documentId,
      version,
      at,
      before,
      after,
      image,
      key,
      chain,
    });
  }
  return entries;
}

type Row = readonly [
  sequence: number,
  operation: Operation,
  collection: string,
  id: string,
  version: number,
  at: number,
  before: string | null,
  after: string | null,
  key: string | null,
  chain: string,
];

function rowOf(entry: LogEntry): Row {
  const { sequence, operation, collection, id, version, at, before, after, key, chain } = entry;
  return [sequence, operation, collection, id, version, at, before, after, key, chain];
}

function isRow(row: unknown): row is Row {
  if (!Array.isArray(row) || row.length !== 10) return false;
  const [sequence, operation, collection, id, version, at, before, after, key, chain] = row as unknown[];
  return (
    [sequence, version, at].every(Number.isSafeInteger) &&
    [collection, id, chain].every(isText) &&
    [before, after, key].every(isTextOrNull) &&
    isText(operation) &&
    Object.hasOwn(Operation, operation)
  );
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isTextOrNull(value: unknown): value is string | null {
  return value === null || typeof value === 'string';
}
