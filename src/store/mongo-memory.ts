import { randomBytes } from 'node:crypto';
import type { Db, WithId } from 'mongodb';
import { HoldfastError } from '../errors.ts';
import type { DocumentText } from '../model/document.ts';
import type { Position } from '../model/position.ts';
import { coded, isDuplicateKey } from './mongo-errors.ts';
import type { IdempotencyKey } from './store.ts';

/** Name of the collection; see SPEC.md. */
const MEMORY = 'holdfast_operations';

/** An answer that no entry of the log has: an update that changed nothing. */
export interface UnchangedWrite {
  readonly digest: string;
  readonly version: number;
  readonly position: Position;
  readonly document: DocumentText;
}

/** One document written by a bulk operation, by which its answer is given again. */
export interface WrittenPart {
  readonly key: string;
  readonly id: DocumentText;
  readonly version: number;
}

/** What a bulk operation came to. */
export interface OperationEnd {
  readonly digest: string;
  readonly matched: number;
  readonly modified: number;
  readonly position: Position;
  /** The first documents written. */
  readonly written: readonly WrittenPart[];
}

interface Remembered {
  readonly _id: string;
  /** ms since 1970; by this it is forgotten. */
  readonly at: number;
  readonly unchanged?: UnchangedWrite;
  readonly removed?: DocumentText;
  readonly end?: OperationEnd;
  readonly plan?: { readonly operation: string; readonly digest: string; readonly ids: readonly DocumentText[] };
}

/**
 * What must be remembered of writes under a key beside their entries in the log. Everything in it is written once and never changed,
 * so that any call may be repeated: one whose answer is missing is DATABASE_UNAVAILABLE.
 */
export class MongoMemory {
  readonly #remembered;
  readonly #clock: () => number;

  constructor(database: Db, clock: () => number) {
    this.#remembered = database.collection<Remembered>(MEMORY);
    this.#clock = clock;
  }

  /** Creates the indexes that are missing. */
  async prepare(): Promise<void> {
    await remembering(() =>
      this.#remembered.createIndexes([
        { key: { at: 1 }, name: 'at' },
        { key: { 'plan.operation': 1 }, name: 'operation', sparse: true },
      ]),
    );
  }

  /** The update under `key` that changed nothing, if there was one. @throws VALIDATION_FAILED when it had other arguments */
  async unchanged(key: IdempotencyKey): Promise<UnchangedWrite | undefined> {
    const found = await this.#recall(key.key);
    if (found?.unchanged !== undefined) requireSame(found.unchanged.digest, key);
    return found?.unchanged;
  }

  /** Remembers an update that changed nothing; the first one under a key counts and is returned. */
  async rememberUnchanged(key: string, unchanged: UnchangedWrite): Promise<UnchangedWrite> {
    return (await this.#remember({ _id: key, at: this.#clock(), unchanged })).unchanged ?? unchanged;
  }

  /** The document that a deletion under `key` removed. */
  async removed(key: string): Promise<DocumentText | undefined> {
    return (await this.#recall(key))?.removed;
  }

  /** Keeps what deletions removed, before their `pending` may go. */
  async rememberRemoved(removed: readonly { readonly key: string; readonly document: DocumentText }[]): Promise<void> {
    if (removed.length === 0) return;
    const at = this.#clock();
    const upserts = removed.map(({ key, document }) => ({
      updateOne: { filter: { _id: key }, update: { $setOnInsert: { at, removed: document } }, upsert: true },
    }));
    await remembering(() => mended(() => this.#remembered.bulkWrite(upserts, { ordered: false })));
  }

  /** How the bulk operation under `key` ended. @throws VALIDATION_FAILED when it had other arguments */
  async end(key: IdempotencyKey): Promise<OperationEnd | undefined> {
    const end = (await this.#recall(key.key))?.end;
    if (end !== undefined) requireSame(end.digest, key);
    return end;
  }

  async rememberEnd(key: string, end: OperationEnd): Promise<OperationEnd> {
    return (await this.#remember({ _id: key, at: this.#clock(), end })).end ?? end;
  }

  /** Ids that the bulk operation was about to write, in its order. @throws VALIDATION_FAILED when it had other arguments */
  async planned(key: IdempotencyKey): Promise<readonly DocumentText[]> {
    const plans = await remembering(() =>
      this.#remembered.find({ 'plan.operation': key.key }).sort({ at: 1, _id: 1 }).toArray(),
    );
    return [
      ...new Set(
        plans.flatMap(({ plan }) => {
          requireSame(plan?.digest ?? key.digest, key);
          return plan?.ids ?? [];
        }),
      ),
    ];
  }

  /** Whether another run of the same bulk operation planned to write some of `ids`, after this one did. */
  async plannedTwice({ key }: IdempotencyKey, ids: readonly DocumentText[]): Promise<boolean> {
    const same = { 'plan.operation': key, 'plan.ids': { $in: [...ids] } };
    return (await remembering(() => this.#remembered.countDocuments(same))) > 1;
  }

  /** Remembers, before they are written, which documents a bulk operation is about to write. */
  async rememberPlan({ key, digest }: IdempotencyKey, ids: readonly DocumentText[]): Promise<void> {
    const _id = `plan-${randomBytes(12).toString('hex')}`;
    const plan = { operation: key, digest, ids };
    await remembering(() => this.#remembered.insertOne({ _id, at: this.#clock(), plan }));
  }

  /** Forgets what was remembered before `at`, ms since 1970. */
  async prune(at: number): Promise<void> {
    await remembering(() => this.#remembered.deleteMany({ at: { $lt: at } }));
  }

  /** Inserts unless there is one, and returns the one there is. */
  async #remember(remembered: Remembered): Promise<WithId<Remembered>> {
    const { _id, ...fields } = remembered;
    await remembering(() =>
      mended(() => this.#remembered.updateOne({ _id }, { $setOnInsert: fields }, { upsert: true })),
    );
    return (await this.#recall(_id)) ?? remembered;
  }

  #recall(_id: string): Promise<WithId<Remembered> | null> {
    return remembering(() => this.#remembered.findOne({ _id }));
  }
}

/** Two upserts at the same moment may refuse each other; then one of them finds what the other inserted. */
async function mended<T>(upsert: () => Promise<T>): Promise<T> {
  try {
    return await upsert();
  } catch (error) {
    if (isDuplicateKey(error)) return upsert();
    throw error;
  }
}

async function remembering<T>(step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    throw coded(error, `look up or remember a write in "${MEMORY}"`, 'READ');
  }
}

/** @throws VALIDATION_FAILED when a key was used with other arguments */
export function requireSame(known: string, { digest }: Pick<IdempotencyKey, 'digest'>): void {
  if (known === digest) return;
  throw new HoldfastError('VALIDATION_FAILED', 'this idempotency key was used before, with other arguments');
}
