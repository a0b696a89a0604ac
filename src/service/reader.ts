import type { ChangeLog } from '../changelog/change-log.ts';
import { HoldfastError } from '../errors.ts';
import type { Document } from '../model/document.ts';
import { decodeValue } from '../model/document.ts';
import type { Entity } from '../model/entity.ts';
import type { Position } from '../model/position.ts';
import { comparePositions, formatPosition } from '../model/position.ts';
import { epochAt } from '../replication/history.ts';
import { compileFilter } from '../store/filter.ts';
import type { Collection, Filter, FindOptions, Store } from '../store/store.ts';
import { waitForAdvance } from './advance.ts';
import type { ChangesQuery, EntityChange, RequestContext } from './data-service.ts';
import { LogTail } from './log-tail.ts';

/**
 * The read side of a DataService over a store and its log; shared by primary and replica, which differ in what must hold
 * before a read.
 */
export abstract class StoreReader {
  readonly #store: Store;
  readonly #log: ChangeLog;
  readonly #tail: LogTail;

  constructor(options: { readonly store: Store; readonly log: ChangeLog }) {
    this.#store = options.store;
    this.#log = options.log;
    this.#tail = new LogTail(options.log);
  }

  /** Called before each read; sets `context.provenance` and waits or refuses (STALE_READ, NOT_READY). */
  protected abstract beforeRead(context: RequestContext): void | Promise<void>;

  /** What a read is asked of. */
  protected collectionOf(entity: Entity, _context: RequestContext): Collection {
    return this.#store.collection(entity.collection);
  }

  async find(entity: Entity, filter: Filter, options: FindOptions, context: RequestContext): Promise<Document[]> {
    await this.#before(context);
    return this.collectionOf(entity, context)
      .find(filter, { ...options, signal: context.signal })
      .toArray();
  }

  async count(entity: Entity, filter: Filter, context: RequestContext): Promise<number> {
    await this.#before(context);
    return this.collectionOf(entity, context).countDocuments(filter, { signal: context.signal });
  }

  async findGrouped(
    entity: Entity,
    path: string,
    keys: readonly unknown[],
    filter: Filter,
    options: FindOptions,
    context: RequestContext,
  ): Promise<Document[][]> {
    await this.#before(context);
    return this.collectionOf(entity, context).findGrouped(path, keys, filter, { ...options, signal: context.signal });
  }

  /**
   * Changes of one entity in log order, each version once. An entry whose image is not kept here (withheld from this
   * replica) yields no event. @throws CURSOR_EXPIRED (`oldest`), also when the log becomes another history meanwhile;
   * VALIDATION_FAILED for a position of another history.
   */
  async *changes(entity: Entity, query: ChangesQuery, context: RequestContext): AsyncIterable<EntityChange> {
    await this.#before(context);
    const matches = compileFilter(query.filter);
    const { generation } = this.#log;
    let after = query.after === undefined ? this.#log.head().sequence : this.#resume(query.after);
    while (!context.signal.aborted) {
      const head = this.#log.head().sequence;
      const entries = await this.#tail.read(after);
      if (this.#log.generation !== generation) {
        throw this.#expired('the history of this node was replaced: read again what you need, then go on from here');
      }
      if (entries.length === 0) {
        await waitForAdvance(this.#log, head, context.signal);
        continue;
      }
      for (const item of entries) {
        const { entry } = item;
        after = entry.sequence;
        if (entry.collection !== entity.collection || entry.operation === 'EPOCH') continue;
        if (!query.operations.includes(entry.operation)) continue;
        const { document } = item;
        if (document === null ? entry.operation !== 'DELETED' : !matches(document)) continue;
        if (context.signal.aborted) return;
        yield {
          operation: entry.operation,
          id: decodeValue(entry.id),
          document,
          version: entry.version,
          position: { epoch: entry.epoch, sequence: entry.sequence },
          at: new Date(entry.at),
        };
      }
    }
  }

  /** @throws STALE_READ for a position of a history that ended: what it stands for was lost with a former primary */
  protected requirePlace(position: Position): void {
    const head = this.#log.head();
    if (comparePositions(position, head) > 0 || epochAt(this.#log, position.sequence) === position.epoch) return;
    throw new HoldfastError(
      'STALE_READ',
      `the position ${formatPosition(position)} is not in the history of this database: what was written there was lost with a former primary`,
      { details: { position: formatPosition(head), lagMs: 0 } },
    );
  }

  #before(context: RequestContext): void | Promise<void> {
    context.signal.throwIfAborted();
    return this.beforeRead(context);
  }

  /** The sequence to go on after, when `position` belongs to this history. */
  #resume(position: Position): number {
    if (epochAt(this.#log, position.sequence) !== position.epoch) {
      throw new HoldfastError(
        'VALIDATION_FAILED',
        `the position ${formatPosition(position)} does not belong to this database's history`,
      );
    }
    if (position.sequence < this.#log.floor() - 1) {
      throw this.#expired(`changes after ${formatPosition(position)} are no longer kept`);
    }
    return position.sequence;
  }

  #expired(reason: string): HoldfastError {
    const sequence = this.#log.floor() - 1;
    const oldest = formatPosition({ epoch: epochAt(this.#log, sequence), sequence });
    return new HoldfastError('CURSOR_EXPIRED', `${reason}; the oldest position is ${oldest}`, { details: { oldest } });
  }
}
