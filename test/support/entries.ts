import {
  type Change,
  chainHash,
  documentHash,
  GENESIS_CHAIN,
  type Hash,
  type LogEntry,
  type Operation,
} from '../../src/model/change.ts';
import { encodeCursor } from '../../src/protocol/cursor.ts';
import { encodeBody, type Hides } from '../../src/protocol/frame.ts';
import type { Frame } from '../../src/protocol/sync-source.ts';

/** A change of one document that fits its hashes. */
export function change(fields: Partial<Change> = {}): Change {
  const collection = fields.collection ?? 'teachers';
  const id = fields.id ?? '"ada"';
  const version = fields.version ?? 1;
  const operation: Operation = fields.operation ?? 'CREATED';
  const image =
    fields.image !== undefined ? fields.image : operation === 'DELETED' ? null : '{"_id":"ada","name":"Ada"}';
  const after = image === null ? null : documentHash(collection, id, version, image);
  return {
    before: null,
    after,
    at: 1_700_000_000_000,
    key: null,
    ...fields,
    operation,
    collection,
    id,
    version,
    image,
  };
}

/** The entries of these changes after `previous`. */
export function chained(
  changes: readonly Change[],
  from = 1,
  previous: Hash = GENESIS_CHAIN,
  epoch = 1,
): readonly LogEntry[] {
  let chain = previous;
  return changes.map((item, index) => {
    const sequence = from + index;
    chain = chainHash(chain, epoch, sequence, item);
    return { ...item, epoch, sequence, chain };
  });
}

export const LOG_ID = 'c0ffee00'.repeat(4);

/** A frame of these entries, as a source makes it. */
export function frameOf(
  entries: readonly LogEntry[],
  hides: Hides = () => false,
  previous: Hash = GENESIS_CHAIN,
): Frame {
  const { sequence: from = 1, epoch = 1 } = entries[0] ?? {};
  const to = from + entries.length - 1;
  const chain = entries.at(-1)?.chain ?? previous;
  const cursor = encodeCursor({ logId: LOG_ID, epoch, sequence: to, chain });
  const body = entries.length === 0 ? { body: '', checksum: 0 } : encodeBody(entries, hides);
  return { epoch, from, to, head: to, floor: 1, previous, chain, cursor, digests: null, ...body };
}

/** Changes of every kind over a few documents, with text of every kind. */
export function randomChanges(random: () => number, count: number): readonly Change[] {
  const texts = ['plain', 'Zoë Ünï', '日本語 🎉', '"quoted" \\ \n \u2028 \u0000', ''];
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
  const state = new Map<string, Hash>();
  const hex = (): string => Array.from({ length: 32 }, () => Math.floor(random() * 16).toString(16)).join('');
  return Array.from({ length: count }, (_, index) => {
    const id = JSON.stringify(pick(['a', 'b', 'Ω"\\', '1']));
    const before = state.get(id) ?? null;
    const operation: Operation = before === null ? 'CREATED' : pick(['UPDATED', 'DELETED']);
    const text = pick(texts).repeat(Math.floor(random() * 20));
    const made = change({
      operation,
      collection: pick(['teachers', 'schools', 'with "quotes"\n']),
      id,
      version: index + 1,
      at: Math.floor(random() * 2e12),
      before,
      key: random() < 0.5 ? hex() : null,
      image: operation === 'DELETED' ? null : JSON.stringify({ text, n: random() }),
    });
    if (made.after === null) state.delete(id);
    else state.set(id, made.after);
    return made;
  });
}
