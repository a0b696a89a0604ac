import type { SqliteChangeLog } from '../src/changelog/sqlite-change-log.ts';
import { formatPosition, type Position } from '../src/model/position.ts';
import { encodeCursor } from '../src/protocol/cursor.ts';
import type { CursorText, Hello } from '../src/protocol/sync-source.ts';
import type { Database } from '../src/sqlite/database.ts';
import { requireOpen } from './guarded.ts';
import { Lock } from './lock.ts';
import { type AdoptedSchema, LOAD_START, Progress } from './progress.ts';
import type { Prepare, Prepared } from './row-store.ts';
import type { State } from './state.ts';

export interface LocalCopyOptions {
  readonly database: Database;
  /** Of the same database; nothing else may append to it. */
  readonly log: SqliteChangeLog;
  readonly prepare: Prepare;
  /** The SDL to insist on. Default: the source's is adopted. */
  readonly schema?: AdoptedSchema | undefined;
}

/** What a replica has: the documents, the copied log, the facts about them, and the store prepared for their SDL. */
export class LocalCopy {
  readonly database: Database;
  readonly log: SqliteChangeLog;
  readonly progress: Progress;
  /** Held while the documents must be those of one position. */
  readonly lock = new Lock();
  readonly #prepare: Prepare;
  readonly #insisted: AdoptedSchema | undefined;
  #prepared: Prepared | undefined;
  /** Hash of the SDL it was prepared for. */
  #preparedFor: string | undefined;

  private constructor({ database, log, prepare, schema }: LocalCopyOptions, progress: Progress) {
    this.database = database;
    this.log = log;
    this.progress = progress;
    this.#prepare = prepare;
    this.#insisted = schema;
  }

  /** Reads what is stored and prepares the store for the SDL known from before. @throws what `prepare` throws */
  static async open(options: LocalCopyOptions): Promise<LocalCopy> {
    const progress = await Progress.open(options.database);
    await adoptOwnLog(options, progress);
    const copy = new LocalCopy(options, progress);
    const schema = options.schema ?? progress.schema;
    if (schema !== null) await copy.#prepareFor(schema);
    return copy;
  }

  /** The store that fits the SDL. May be asked for once {@link adopt} was called, or {@link isPrepared} says so. */
  get prepared(): Prepared {
    return this.#prepared as Prepared;
  }

  get isPrepared(): boolean {
    return this.#prepared !== undefined;
  }

  /** Of the SDL that is served, or will be; null while none is known. */
  get sdlHash(): string | null {
    return (this.#insisted ?? this.progress.schema)?.sdlHash ?? null;
  }

  /** Applied up to here, durably. */
  position(): Position {
    const { epoch, sequence } = this.log.head();
    return { epoch, sequence };
  }

  /** {@link position}, as it is shown. */
  positionText(): string {
    return formatPosition(this.position());
  }

  /** Where to resume. */
  cursor(): CursorText {
    const { epoch, sequence, chain } = this.log.head();
    return encodeCursor({ logId: this.log.logId, epoch, sequence, chain });
  }

  /** Whether a source with this SDL must not be followed. */
  mismatches(sdlHash: string): boolean {
    return this.#insisted !== undefined && this.#insisted.sdlHash !== sdlHash;
  }

  /** Prepares the store for the source's SDL when it is new here. Resolves with whether it took the place of another one. */
  async adopt({ sdl, sdlHash }: Hello, signal: AbortSignal): Promise<boolean> {
    if (this.#insisted !== undefined) return false;
    const before = this.progress.schema;
    const isOther = before?.sdlHash !== sdlHash;
    if (!isOther && this.#preparedFor === sdlHash) return false;
    const adopted: AdoptedSchema = { sdl, sdlHash };
    await this.#prepareFor(adopted);
    await this.database.transaction((transaction) => {
      requireOpen(signal);
      this.progress.saveSchema(transaction, adopted);
    });
    return before !== null && isOther;
  }

  /**
   * Whether rows may be here of a history that ended before the copied log came to them: an epoch began below where they are settled. Nobody
   * will bring what they are ahead of: they are settled where that epoch begins, and are to be repaired.
   */
  async leaveEnded({ epochs }: Hello, signal: AbortSignal): Promise<boolean> {
    const { settled, task } = this.progress.facts;
    if (this.log.head().sequence >= settled.sequence) return false;
    const next = epochs.find(({ epoch, firstSequence }) => epoch > settled.epoch && firstSequence <= settled.sequence);
    if (next === undefined) return false;
    await this.database.transaction((transaction) => {
      requireOpen(signal);
      const { epoch, firstSequence: sequence } = next;
      this.progress.saveFacts(transaction, { settled: { epoch, sequence }, task: task ?? 'REPAIR' });
      if (task === null) this.progress.saveLoad(transaction, LOAD_START);
    });
    return true;
  }

  /** Makes durable what the state says. A task begun by it starts from its start. */
  async save({ proven, task, forked }: State): Promise<void> {
    await this.database.transaction((transaction) => {
      this.progress.saveFacts(transaction, { proven, task, forked });
      this.progress.saveLoad(transaction, LOAD_START);
    });
  }

  /** What was prepared last is what is served: it is written to from now on, whatever becomes of the connection. */
  async #prepareFor(schema: AdoptedSchema): Promise<void> {
    this.#prepared = await this.#prepare(schema);
    this.#preparedFor = schema.sdlHash;
  }
}

/**
 * The directory of a primary begins to follow: its documents are those of its own log, which may go on at the source or part
 * from it. So does that of a promoted replica which was fenced.
 */
async function adoptOwnLog({ database, log }: LocalCopyOptions, progress: Progress): Promise<void> {
  const { epoch, sequence } = log.head();
  if (progress.promoted === null && (progress.facts.joined || sequence === 0)) return;
  await database.transaction((transaction) => {
    const settled = { epoch, sequence };
    progress.saveFacts(transaction, { joined: true, proven: true, task: null, forked: false, settled });
    progress.savePromoted(transaction, null);
  });
}
