import { Worker } from 'node:worker_threads';

/**
 * Pages of the write-ahead log (8 MiB) that are worth moving: each goes to the file once, however often it was written. Four times as many at
 * once hold up the commits beside them: at 2,000 changes/s the p99 of the lag was 30 to 49 ms instead of 24 to 30. Changes per second are the
 * same; only rows of 256 KiB, one after the other, are written a fifth slower.
 */
const CHECKPOINT_PAGES = 2_000;
/** How often the size of the log is looked at, in ms, while there are commits. */
const LOOK_EVERY_MS = 50;

/** How far the write-ahead log has been moved into the file, in pages. */
export interface WalState {
  readonly log: number;
  readonly checkpointed: number;
}

/**
 * Moves the write-ahead log into the file on a thread of its own: inside a COMMIT it would hold up every request for some 30 ms.
 * The thread is started by the first log that is long enough. Should it fail, SQLite's own checkpoint takes over at
 * {@link Checkpointer.FALLBACK_PAGES}.
 */
export class Checkpointer {
  /** 256 MiB: the log may grow so far while its writer never pauses. */
  static readonly FALLBACK_PAGES = 64_000;
  readonly #path: string;
  readonly #state: () => WalState;
  #worker: Worker | undefined;
  #lookedAt = 0;
  #busy = false;

  /** `state` tells about the log of the database at `path`. */
  constructor(path: string, state: () => WalState) {
    this.#path = path;
    this.#state = state;
  }

  /** To be called after each commit; costs next to nothing. */
  committed(): void {
    const now = performance.now();
    if (this.#busy || now - this.#lookedAt < LOOK_EVERY_MS) return;
    this.#lookedAt = now;
    const { log, checkpointed } = this.#state();
    if (log - checkpointed < CHECKPOINT_PAGES) return;
    this.#busy = true;
    this.#worker ??= this.#start();
    this.#worker.postMessage(null);
  }

  /** Ends the thread, in the middle of its work if need be: what it has not moved is in the log. */
  async close(): Promise<void> {
    this.#busy = true;
    await this.#worker?.terminate();
  }

  #start(): Worker {
    const file = import.meta.url.endsWith('.ts') ? './checkpoint-worker.ts' : './checkpoint-worker.js';
    const worker = new Worker(new URL(file, import.meta.url), {
      workerData: this.#path,
      resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 },
    });
    worker.unref();
    worker.on('message', () => {
      this.#busy = false;
    });
    // It stays busy: nobody asks it again.
    worker.on('error', () => undefined);
    return worker;
  }
}
