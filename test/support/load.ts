import { setTimeout as pause } from 'node:timers/promises';
import { post } from './graphql.ts';

const BATCH = 50;
/** Batches on their way at once. */
const MOST_OPEN = 8;
const CREATE = 'mutation($inputs: [CreateThingInput!]!) { createThings(inputs: $inputs) { written refused { code } } }';

export interface Load extends AsyncDisposable {
  /** Ids of the things that were acknowledged. */
  readonly created: ReadonlySet<string>;
  /** Answers that nobody should get. */
  readonly unexpected: readonly string[];
  /** Ends it; resolves when everything that was begun is acknowledged. */
  stop(): Promise<void>;
}

/**
 * Creates things in batches, as many a second as were asked for if the servers carry them, each batch under its own idempotency
 * key on one primary after another until it is acknowledged.
 */
export function startLoad(urls: readonly string[], perSecond: number): Load {
  const created = new Set<string>();
  const unexpected: string[] = [];
  const open = new Set<Promise<void>>();
  const stopping = new AbortController();
  const send = async (batch: number): Promise<void> => {
    const ids = Array.from({ length: BATCH }, (_, place) => `load-${batch}-${place}`);
    const inputs = ids.map((id) => ({ id, name: id }));
    for (let attempt = batch; ; attempt++) {
      const url = urls[attempt % urls.length] as string;
      // Killed while it worked, or not up: the same key again.
      const answer = await post(url, CREATE, { inputs }, { 'idempotency-key': `load-${batch}` }).catch(() => undefined);
      const made = answer?.data?.createThings as { written: number; refused: unknown[] } | undefined;
      if (made?.written === BATCH) break;
      const error = answer?.errors?.[0];
      if (made !== undefined || (error !== undefined && error.extensions.retryable !== true)) {
        unexpected.push(JSON.stringify(made ?? error));
        return;
      }
      await pause(50);
    }
    for (const id of ids) created.add(id);
  };
  const run = async (): Promise<void> => {
    const everyMs = (BATCH / perSecond) * 1_000;
    for (let batch = 0, due = performance.now(); !stopping.signal.aborted; batch++) {
      if (open.size >= MOST_OPEN) {
        await Promise.race(open);
        due = performance.now();
      }
      const sent = send(batch).finally(() => open.delete(sent));
      open.add(sent);
      due += everyMs;
      await pause(Math.max(0, due - performance.now()));
    }
    await Promise.all(open);
  };
  const ended = run();
  const stop = (): Promise<void> => {
    stopping.abort();
    return ended;
  };
  return { created, unexpected, stop, [Symbol.asyncDispose]: stop };
}
