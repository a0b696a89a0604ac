import type { AnyBulkWriteOperation } from 'mongodb';
import type { Hash } from '../model/change.ts';
import type { Document, DocumentText } from '../model/document.ts';
import { failpoint } from '../util/failpoint.ts';
import type { Raw } from './mongo-bson.ts';
import { METADATA } from './mongo-document.ts';

/** Documents cleared in one command. */
const AT_ONCE = 500;
/** Documents waiting at most; what is above is left to the sweeper. */
const MOST_WAITING = 20_000;

/** A version that is in the log, so that its `pending` says nothing any more. */
export interface Logged {
  readonly _id: unknown;
  readonly id: DocumentText;
  readonly version: number;
  /** Hash that the log has for it, where the document says another: a helper logged content that was changed beside the gateway. */
  readonly rehash?: Hash | undefined;
  /** It is a tombstone that goes now, if it was made so. */
  readonly remove?: boolean | undefined;
}

interface Queue {
  readonly raw: Raw;
  readonly waiting: Map<DocumentText, Logged>;
}

/**
 * Step C: clears `pending` of versions that are in the log, later and many at once. Nothing depends on it: what is lost with the
 * process, the next write on the document or a sweeper finds in the log.
 */
export class MongoClearer {
  readonly #queues = new Map<string, Queue>();
  readonly #after: (ms: number, task: () => void) => () => void;
  readonly #delayMs: number;
  #cancel: (() => void) | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(after: (ms: number, task: () => void) => () => void, delayMs: number) {
    this.#after = after;
    this.#delayMs = delayMs;
  }

  /** Notes that a version is in the log. */
  add(raw: Raw, logged: Logged): void {
    const queue = this.#queueOf(raw);
    // A later version of the document replaced its `pending` anyway.
    queue.waiting.delete(logged.id);
    queue.waiting.set(logged.id, logged);
    if (queue.waiting.size > MOST_WAITING) {
      const [oldest] = queue.waiting.keys();
      queue.waiting.delete(oldest as DocumentText);
    }
    this.#cancel ??= this.#after(this.#delayMs, () => {
      this.#cancel = undefined;
      void this.flush();
    });
  }

  /** Whether this version is known to be in the log. False says nothing. */
  knows(raw: Raw, id: DocumentText, version: number): boolean {
    return this.#queues.get(raw.collectionName)?.waiting.get(id)?.version === version;
  }

  /** Clears all that waits. Never rejects: what fails is left to the sweeper. */
  flush(): Promise<void> {
    this.#running = this.#running.then(async () => {
      for (const queue of this.#queues.values()) await clear(queue).catch(() => {});
    });
    return this.#running;
  }

  async close(): Promise<void> {
    this.#cancel?.();
    await this.flush();
  }

  #queueOf(raw: Raw): Queue {
    let queue = this.#queues.get(raw.collectionName);
    if (queue === undefined) {
      queue = { raw, waiting: new Map() };
      this.#queues.set(raw.collectionName, queue);
    }
    return queue;
  }
}

async function clear({ raw, waiting }: Queue): Promise<void> {
  while (waiting.size > 0) {
    const batch = [...waiting.values()].slice(0, AT_ONCE);
    try {
      // Not waited for on disk: lost with the server, it is found again.
      await raw.bulkWrite(batch.flatMap(clearing), { ordered: false, writeConcern: { w: 1 } });
      failpoint('clear.afterClear');
    } finally {
      for (const logged of batch) if (waiting.get(logged.id) === logged) waiting.delete(logged.id);
    }
  }
}

function clearing({ _id, version, rehash, remove }: Logged): AnyBulkWriteOperation<Document>[] {
  const filter: Document = { _id, [`${METADATA}.version`]: version };
  const update: Document = { $unset: { [`${METADATA}.pending`]: 1 } };
  if (rehash !== undefined) update.$set = { [`${METADATA}.hash`]: rehash };
  const clear = { updateOne: { filter, update } };
  return remove === true ? [{ deleteOne: { filter: { ...filter, [`${METADATA}.brief`]: true } } }, clear] : [clear];
}
