import { isHoldfastError } from '../../../src/errors.ts';
import type { LogEntry } from '../../../src/model/change.ts';
import { encodeValue } from '../../../src/model/document.ts';
import type { Entity } from '../../../src/model/entity.ts';
import { type Position, parsePosition } from '../../../src/model/position.ts';
import { MAX_INLINE_IMAGE_BYTES } from '../../../src/protocol/frame.ts';
import type { EntityChange } from '../../../src/service/data-service.ts';
import { ensure, type History } from './history.ts';
import { Follower, type Node } from './nodes.ts';
import type { Scheduler } from './scheduler.ts';

/** Pause after a refusal. */
const RETRY_MS = 300;
const OPERATIONS = ['CREATED', 'UPDATED', 'DELETED'] as const;

export interface SubscriberOptions {
  readonly scheduler: Scheduler;
  readonly name: string;
  readonly node: Node;
  readonly entity: Entity;
  readonly history: History;
}

/**
 * Reads the changes of one entity, and subscribes again after the last one it got whenever its node dies. What it gets must
 * be the entries of the log, each once and in order; it may begin later only where the log no longer goes back so far.
 */
export class Subscriber {
  /** Events received. */
  events = 0;
  readonly #options: SubscriberOptions;
  readonly #fail: (error: unknown) => void;
  /** The last entry received, or passed over where the log was trimmed. */
  #after: Position = { epoch: 1, sequence: 0 };
  #subscribed: object | undefined;
  #retired = false;
  /** It was refused and waits a little. */
  #waits = false;
  #end = (): void => undefined;

  constructor(options: SubscriberOptions, fail: (error: unknown) => void) {
    this.#options = options;
    this.#fail = fail;
  }

  /** Whether nothing is left that it should still get. */
  get isUpToDate(): boolean {
    return this.#retired || this.#expected() === undefined;
  }

  /** Ends the subscription. */
  stop(): void {
    this.#end();
  }

  /** Ends it for good: its node is no source of the history any more. */
  retire(): void {
    this.#retired = true;
    this.#end();
  }

  get node(): Node {
    return this.#options.node;
  }

  /** Subscribes when it is not subscribed and the node serves. */
  subscribe(): void {
    const { node, entity, scheduler, name } = this.#options;
    const service = node.running?.service();
    if (this.#retired || this.#subscribed !== undefined || this.#waits || service === undefined) return;
    const subscription = {};
    this.#subscribed = subscription;
    const { process } = node;
    const controller = new AbortController();
    const end = (): void => {
      if (this.#subscribed === subscription) this.#subscribed = undefined;
      controller.abort();
    };
    this.#end = end;
    node.onCrash(end);
    const context = { principal: name, signal: controller.signal };
    const query = { filter: {}, operations: OPERATIONS, after: this.#after };
    const isOver = (): boolean => this.#subscribed !== subscription || !process.alive;
    const next = (changes: AsyncIterator<EntityChange>): void => {
      changes.next().then(
        (result) => {
          if (isOver()) return;
          scheduler.add(`${name} gets a change`, () => {
            // What was on its way when the node died may still arrive, or not.
            if (isOver()) return;
            if (result.done === true) return end();
            this.#guarded(() => this.#take(result.value));
            next(changes);
          });
        },
        (error: unknown) => {
          if (isOver()) return;
          end();
          this.#waits = true;
          scheduler.after(RETRY_MS, `${name} tries again`, () => {
            this.#waits = false;
          });
          this.#guarded(() => this.#refused(error));
        },
      );
    };
    this.#guarded(() => next(service.changes(entity, query, context)[Symbol.asyncIterator]()));
  }

  #take(change: EntityChange): void {
    const expected = this.#expected(change.position.sequence);
    const got = `${change.operation} ${encodeValue(change.id)} version ${change.version} at ${change.position.sequence}`;
    ensure(
      expected !== undefined &&
        change.position.sequence === expected.sequence &&
        change.version === expected.version &&
        change.operation === expected.operation &&
        encodeValue(change.id) === expected.id,
      () => `${this.#options.name} got ${got}; entry ${expected?.sequence} was next after ${this.#after.sequence}`,
    );
    this.#after = change.position;
    this.events += 1;
  }

  /** The log was trimmed past its place or begun anew, at its place at the earliest; or there is nothing to be had yet. */
  #refused(error: unknown): void {
    if (isHoldfastError(error, 'NOT_READY')) return;
    if (!isHoldfastError(error, 'CURSOR_EXPIRED')) throw error;
    const oldest = parsePosition(String(error.details.oldest));
    ensure(oldest.sequence >= this.#after.sequence, () => `the log still goes back to ${this.#after.sequence}`);
    this.#after = oldest;
  }

  /** The entry that must come next when the one at `sequence` comes; any one when it is left out. */
  #expected(sequence = Number.POSITIVE_INFINITY): LogEntry | undefined {
    const { history, entity, node } = this.#options;
    const rest = history.entries.slice(this.#after.sequence).filter((entry) => entry.collection === entity.collection);
    return rest.find((entry, place) => {
      // An image that travels by reference may be gone when a follower asks for it: a later version takes its place.
      const isLarge = node instanceof Follower && (entry.image?.length ?? 0) > MAX_INLINE_IMAGE_BYTES;
      const isSuperseded = isLarge && rest.slice(place + 1).some(({ id }) => id === entry.id);
      return !isSuperseded || entry.sequence === sequence;
    });
  }

  #guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#fail(error);
    }
  }
}
