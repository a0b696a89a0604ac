import { chainHash, documentHash, GENESIS_CHAIN, type LogEntry } from '../../../src/model/change.ts';
import type { Position } from '../../../src/model/position.ts';
import type { Row } from '../../../src/protocol/sync-source.ts';
import type { Disk } from './disk.ts';

/** Documents by collection and id; see {@link nameOf}. */
export type Contents = ReadonlyMap<string, Row>;

/** What the simulation finds wrong. */
export class Violation extends Error {}

/** Throws a {@link Violation} unless `condition`. */
export function ensure(condition: boolean, message: () => string): asserts condition {
  if (!condition) throw new Violation(message());
}

/**
 * Everything the primary ever committed, as it stood on its disk; kept when its log is trimmed. After a promotion it is the history of the
 * promoted node: what only the former primary had is no part of it.
 */
export class History {
  readonly entries: LogEntry[] = [];
  /** Last sequence that the former primary and the promoted node have in common; undefined before a promotion. */
  common: number | undefined;
  readonly #states: Contents[] = [new Map()];
  readonly #keys = new Map<string, number>();

  get head(): number {
    return this.entries.length;
  }

  /** Takes down what the last commit added, and checks that it follows: dense, chained, hashed, versions increasing. */
  observe(disk: Disk): void {
    if (!disk.has('log')) return;
    const added = disk.prepare('SELECT * FROM log WHERE sequence > ? ORDER BY sequence').all(this.head);
    for (const entry of added as unknown as LogEntry[]) this.#add(entry);
  }

  /** Another node goes on after `sequence`, with the next epoch. */
  fork(sequence: number, disk: Disk): void {
    this.common = sequence;
    const known = new Set(
      disk
        .prepare('SELECT key FROM log WHERE key IS NOT NULL')
        .all()
        .map(({ key }) => key),
    );
    for (const { key } of this.entries) if (key !== null && !known.has(key)) this.#forgotten.add(key);
    for (const { key } of this.entries.splice(sequence)) {
      if (key !== null) this.#keys.set(key, this.writes(key) - 1);
    }
    this.#states.splice(sequence + 1);
  }

  /** Writes that the promoted node has, without knowing their keys: its copied log did not go back to them. */
  readonly #forgotten = new Set<string>();

  /** Whether the promoted node cannot know that a write under this key was made. */
  isForgotten(key: string): boolean {
    return this.#forgotten.has(key);
  }

  /** Whether what was acknowledged there went with the former primary. */
  isLost(position: Position): boolean {
    return this.common !== undefined && position.epoch === 1 && position.sequence > this.common;
  }

  /** Whether a log that ends there is another one: it has changes that only the former primary had. */
  isForked(sequence: number, chain: string): boolean {
    if (this.common === undefined || sequence <= this.common) return false;
    return this.entries[sequence - 1]?.chain !== chain;
  }

  /** How many entries were written under an idempotency key. */
  writes(key: string): number {
    return this.#keys.get(key) ?? 0;
  }

  /** The documents after `sequence`. */
  at(sequence: number): Contents {
    return this.#states[sequence] as Contents;
  }

  #add(entry: LogEntry): void {
    const { sequence, epoch, collection, id, version, image } = entry;
    const previous = this.entries.at(-1)?.chain ?? GENESIS_CHAIN;
    const place = `entry ${sequence} (${entry.operation} ${collection} ${id})`;
    ensure(sequence === this.head + 1, () => `${place} comes after ${this.head}`);
    ensure(entry.chain === chainHash(previous, epoch, sequence, entry), () => `${place} is not chained`);
    const before = this.at(sequence - 1);
    if (entry.operation === 'EPOCH') {
      this.entries.push(entry);
      this.#states.push(before);
      return;
    }
    const name = nameOf(collection, id);
    const row = before.get(name);
    const was = row === undefined ? null : hashOf(collection, row);
    ensure(entry.before === was, () => `${place} was made on another version than the one in the log`);
    const after = image === null ? null : hashOf(collection, { id, version, text: image });
    ensure(entry.after === after, () => `${place} has another hash than its image`);
    const last = this.entries.findLast((earlier) => earlier.collection === collection && earlier.id === id);
    ensure(version > (last?.version ?? -1), () => `${place} has version ${version} after ${last?.version}`);
    const state = new Map(before);
    if (image === null) state.delete(name);
    else state.set(name, { id, version, text: image });
    this.entries.push(entry);
    this.#states.push(state);
    if (entry.key !== null) this.#keys.set(entry.key, this.writes(entry.key) + 1);
  }
}

export function nameOf(collection: string, id: string): string {
  return `${collection} ${id}`;
}

/** The stored rows of a disk. */
export function contentsOf(disk: Disk): Contents {
  const contents = new Map<string, Row>();
  const placed = "SELECT c.number, c.name FROM collections AS c JOIN sqlite_schema AS s ON s.name = 'd_' || c.number";
  for (const { number, name } of disk.prepare(placed).all()) {
    for (const row of disk.prepare(`SELECT id, version, text FROM d_${number}`).all()) {
      contents.set(nameOf(String(name), String(row.id)), row as unknown as Row);
    }
  }
  return contents;
}

/** The first thing that is not the same, in words; null when all is. */
export function differenceOf(found: Contents, wanted: Contents): string | null {
  for (const [name, row] of wanted) {
    const other = found.get(name);
    if (other === undefined) return `${name} is missing`;
    if (other.version !== row.version) return `${name} has version ${other.version} instead of ${row.version}`;
    if (other.text !== row.text) return `${name} has another text: ${other.text.slice(0, 80)}`;
  }
  for (const name of found.keys()) if (!wanted.has(name)) return `${name} should not be there`;
  return null;
}

function hashOf(collection: string, { id, version, text }: Row): string {
  return documentHash(collection, id, version, text);
}
