import { type LogEntry, Operation } from '../model/change.ts';

/** Most changes in one entry of the stream. */
const MAX_BATCH_CHANGES = 500;
/** Most bytes of images in one, approximately; a single larger change is one of its own. */
const MAX_BATCH_BYTES = 256 * 1024;

/** Dense entries of one epoch, as one entry of a stream holds them. */
export interface Batch {
  /** `<epoch>-<sequence>` of its last change: the stream refuses what is not beyond its top. */
  readonly id: string;
  readonly text: string;
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
  const last = entries.at(-1) as LogEntry;
  const rows = entries.map(rowOf);
  return { id: `${last.epoch}-${last.sequence}`, text: JSON.stringify(rows) };
}

/**
 * Reads a batch; undefined for anything that is none: not of this form, or not dense, or under an id that is not that of its last
 * change. Whether chain and image are what the log holds is for the reader to check.
 */
export function decodeBatch({ id, text }: Batch): readonly LogEntry[] | undefined {
  const place = /^(\d{1,15})-(\d{1,16})$/.exec(id);
  const epoch = Number(place?.[1]);
  let rows: unknown;
  try {
    rows = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (place === null || !Array.isArray(rows) || rows.length === 0) return undefined;
  const first = Number(place[2]) - rows.length + 1;
  const entries: LogEntry[] = [];
  for (const row of rows as unknown[]) {
    if (!isRow(row) || row[0] !== first + entries.length) return undefined;
    const [sequence, operation, collection, documentId, version, at, before, after, image, key, chain] = row;
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
  image: string | null,
  key: string | null,
  chain: string,
];

function rowOf(entry: LogEntry): Row {
  const { sequence, operation, collection, id, version, at, before, after, image, key, chain } = entry;
  return [sequence, operation, collection, id, version, at, before, after, image, key, chain];
}

function isRow(row: unknown): row is Row {
  if (!Array.isArray(row) || row.length !== 11) return false;
  const [sequence, operation, collection, id, version, at, before, after, image, key, chain] = row as unknown[];
  return (
    [sequence, version, at].every(Number.isSafeInteger) &&
    [collection, id, chain].every(isText) &&
    [before, after, image, key].every(isTextOrNull) &&
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
