import { isHoldfastError } from '../errors.ts';
import type { LogEntry } from '../model/change.ts';
import type { DocumentText } from '../model/document.ts';
import type { MongoClearer } from './mongo-clearer.ts';
import { DOCUMENT_MS } from './mongo-deadline.ts';
import { pendingChange, type Stored } from './mongo-document.ts';
import type { MongoDurable } from './mongo-durable.ts';
import { outcomeUnknown } from './mongo-errors.ts';
import { changeOf, type Image } from './mongo-image.ts';
import type { MongoMemory } from './mongo-memory.ts';
import { contention } from './mongo-results.ts';
import type { MongoTable } from './mongo-table.ts';
import { inTurns } from './mongo-turns.ts';
import type { KeyedChange, LogAppender } from './outbox.ts';

/** How often documents are looked at that others keep changing. */
const LOOKS = 50;

/** What versions are logged with, and cleared. */
export interface LoggingParts {
  readonly log: LogAppender;
  readonly memory: MongoMemory;
  readonly durable: MongoDurable;
  readonly clearer: MongoClearer;
  /** Bound of the commands of one write, in ms; finding out what became of one may take as long again. */
  readonly deadlineMs: number;
}

/** The steps H, L and C of SPEC.md: what brings versions into the log. */
export class MongoLogging {
  readonly #parts: LoggingParts;

  constructor(parts: LoggingParts) {
    this.#parts = parts;
  }

  /**
   * Step H for many: sees to it that pending versions are in the log, in the order given. Returns the documents in their places with the
   * hashes logged: as they were given, or as they are where what was given was not durable; null where nothing is then.
   * @throws DATABASE_UNAVAILABLE, WRITE_OUTCOME_UNKNOWN; WRITE_CONTENTION when others keep changing them
   */
  async help(table: MongoTable, documents: readonly Stored[]): Promise<(Stored | null)[]> {
    const { clearer } = this.#parts;
    const isOpen = ({ pending, id, version }: Stored) =>
      pending !== undefined && !clearer.knows(table.raw, id, version);
    const now = new Map<string, Stored | null>(documents.map((stored) => [stored.id, stored]));
    let open = documents.filter(isOpen);
    for (let looks = 0; open.length > 0; looks++) {
      if (looks === LOOKS) throw contention(table.name, LOOKS);
      const helped = await this.#helpOpen(table, open);
      for (const { id } of open) now.set(id, helped.get(id)?.stored ?? null);
      open = [...helped.values()].flatMap(({ stored, isLogged }) => (isLogged || !isOpen(stored) ? [] : [stored]));
    }
    return documents.map(({ id }) => now.get(id) ?? null);
  }

  /** Puts those into the log that are not there yet and are durable; the others as they are durably, nothing for those that are not there. */
  async #helpOpen(
    table: MongoTable,
    open: readonly Stored[],
  ): Promise<Map<string, { readonly stored: Stored; readonly isLogged: boolean }>> {
    const { log, memory, durable, deadlineMs } = this.#parts;
    const found = await inTurns(open, ({ id, version }) => log.entryOfVersion(table.name, id, version));
    // An entry of another content may be that of another version with the same number, which took the place of this one.
    const unsure = open.filter(({ hash }, place) => found[place]?.after !== hash);
    const inTime = { deadlineMs: deadlineMs + unsure.length * DOCUMENT_MS };
    const ids = unsure.map(({ _id }) => _id);
    const read = ids.length === 0 ? [] : await durable.read(table, ids, inTime);
    const durably = new Map(read.map((stored) => [stored.id, stored]));
    const sure = open.flatMap((stored, place) => {
      const entry = found[place];
      if (entry?.after === stored.hash) return [{ stored, entry }];
      // Whoever helps does so with the content that the version has durably.
      const now = durably.get(stored.id);
      return now !== undefined && isSameVersion(now, stored) ? [{ stored: now, entry }] : [];
    });
    await memory.rememberRemoved(sure.flatMap(({ stored }) => removedOf(stored.pending)));
    const missing = sure.flatMap(({ stored, entry }) => (entry === undefined ? [stored] : []));
    const appended = await this.#appendAll(
      missing.map((stored) => pendingChange(table.name, stored, stored.pending as NonNullable<Stored['pending']>)),
    );
    const entries = appended.values();
    const helped = new Map(read.map((stored) => [stored.id, { stored, isLogged: false }]));
    for (const { stored, entry = entries.next().value as LogEntry } of sure) {
      this.#logged(table, stored, entry);
      helped.set(stored.id, { stored: { ...stored, hash: entry.after }, isLogged: true });
    }
    return helped;
  }

  /** Steps L, A and C for images that were written. In their order, with one entry for each. */
  async log(table: MongoTable, images: readonly Image[]): Promise<readonly LogEntry[]> {
    const { memory } = this.#parts;
    const [entries] = await Promise.all([
      this.#appendAll(images.map((image) => changeOf(table.name, image))),
      memory.rememberRemoved(images.flatMap(({ pending }) => removedOf(pending))).catch((error: unknown) => {
        // The documents are written already.
        throw outcomeUnknown('remember what was deleted', error);
      }),
    ]);
    for (const [place, entry] of entries.entries()) this.#logged(table, images[place] as Image, entry);
    return entries;
  }

  async #appendAll(changes: readonly KeyedChange[]): Promise<readonly LogEntry[]> {
    if (changes.length === 0) return [];
    const { log } = this.#parts;
    try {
      return await log.append(changes);
    } catch (error) {
      // The document is written: whatever the log says, that will be logged some time.
      if (isHoldfastError(error, 'DATABASE_UNAVAILABLE')) throw outcomeUnknown('append to the change log', error);
      if (!isHoldfastError(error, 'VALIDATION_FAILED')) throw error;
      const [first, ...others] = changes as readonly [KeyedChange, ...KeyedChange[]];
      if (others.length > 0) return [...(await this.#appendAll([first])), ...(await this.#appendAll(others))];
      if (first.key === null) throw error;
      // Two primaries wrote two documents under one key at the same moment. Both changes are there, so both are logged.
      return log.append([{ ...first, key: null, digest: null }]);
    }
  }

  #logged(table: MongoTable, { _id, id, version, hash }: Stored | Image, entry: LogEntry): void {
    const rehash = entry.after !== hash && entry.after !== null ? entry.after : undefined;
    const remove = table.tombstones.brief && hash === null;
    this.#parts.clearer.add(table.raw, { _id, id, version, rehash, remove });
  }
}

/** Whether both are the same write of a document. */
function isSameVersion(a: Stored, b: Stored): boolean {
  return a.version === b.version && a.pending?.token === b.pending?.token;
}

function removedOf(pending: Stored['pending']): { readonly key: string; readonly document: DocumentText }[] {
  if (pending?.removed === undefined || pending.key === null) return [];
  return [{ key: pending.key, document: pending.removed }];
}
