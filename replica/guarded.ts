import { HoldfastError } from '../src/errors.ts';
import type { SyncSource } from '../src/protocol/sync-source.ts';

/**
 * `source` with every call bound to `signal`: when it is aborted the call rejects with PRIMARY_UNREACHABLE at once, whatever the
 * other side does. So nothing waits on a connection that was given up.
 */
export function guarded(source: SyncSource, signal: AbortSignal): SyncSource {
  const bound = <T>(call: () => Promise<T>): Promise<T> => until(signal, call);
  return {
    hello: (cursor, shape, epochs) => bound(() => source.hello(cursor, shape, epochs)),
    changes: (cursor, shape, limits, ended) => source.changes(cursor, shape, limits, AbortSignal.any([signal, ended])),
    snapshot: (collection, after, limit) => bound(() => source.snapshot(collection, after, limit)),
    digests: (at) => bound(() => source.digests(at)),
    buckets: (collection, at) => bound(() => source.buckets(collection, at)),
    bucketRows: (collection, bucket) => bound(() => source.bucketRows(collection, bucket)),
    rows: (collection, ids) => bound(() => source.rows(collection, ids)),
    chain: (sequences) => bound(() => source.chain(sequences)),
    ack: (ack) => bound(() => source.ack(ack)),
  };
}

/** `call()`, or PRIMARY_UNREACHABLE as soon as the signal is aborted. */
export function until<T>(signal: AbortSignal, call: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const give = (): void => reject(closed());
    if (signal.aborted) return give();
    signal.addEventListener('abort', give, { once: true });
    call()
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', give));
  });
}

/** Throws when the connection was given up; called at the start of every write that one brings about. */
export function requireOpen(signal: AbortSignal): void {
  if (signal.aborted) throw closed();
}

function closed(): HoldfastError {
  return new HoldfastError('PRIMARY_UNREACHABLE', 'the connection to the source was closed');
}
