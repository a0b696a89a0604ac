import type { HoldfastError } from '../errors.ts';
import type { BulkOptions, WriteOptions } from '../store/store.ts';
import { Lru } from '../util/lru.ts';
import type { OfferedWrite } from './write-fallback.ts';

/** Keys kept. */
const MOST = 100_000;

/**
 * Idempotency keys of writes whose outcome is not known: until the database was asked under the same key, their answer stays what it was.
 * Kept in memory.
 */
export class UnknownKeys {
  readonly #errors = new Lru<string, HoldfastError>(MOST);

  /** What a write under the same key was answered; undefined when its outcome is known, or it has no key. */
  of(write: OfferedWrite): HoldfastError | undefined {
    const key = this.#errors.size === 0 ? undefined : keyOf(write);
    return key === undefined ? undefined : this.#errors.get(key);
  }

  remember(write: OfferedWrite, error: HoldfastError): void {
    const key = keyOf(write);
    if (key !== undefined) this.#errors.set(key, error);
  }

  /** The database answered. */
  forget(write: OfferedWrite): void {
    const key = this.#errors.size === 0 ? undefined : keyOf(write);
    if (key !== undefined) this.#errors.delete(key);
  }
}

/** What tells two attempts at one write: the key of its first document stands for a bulk insert. */
function keyOf({ method, options }: OfferedWrite): string | undefined {
  if (method === 'insertMany') return (options as BulkOptions).idempotency?.[0]?.key;
  return (options as WriteOptions).idempotency?.key ?? (options as BulkOptions).operation?.key;
}
