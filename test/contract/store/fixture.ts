import { expect } from 'vitest';
import type { ChangeLog } from '../../../src/changelog/change-log.ts';
import { type ErrorCode, HoldfastError } from '../../../src/errors.ts';
import type { LogEntry } from '../../../src/model/change.ts';
import type { RowReader } from '../../../src/store/row-store.ts';
import type { Collection, CollectionSpec, IdempotencyKey, Store } from '../../../src/store/store.ts';

/** An open store of its own, removed at the end of the scope (`await using`). */
export interface StoreFixture extends AsyncDisposable {
  readonly store: Store;
  readonly log: ChangeLog;
  /** The store as rows, when it keeps digests itself. */
  readonly rows?: RowReader | undefined;
  /**
   * Whether the server compares and sorts values of different types, and arrays, as MongoDB's documentation says. One that does not
   * is asked about fields of one type only. Default true.
   */
  readonly mixedTypes?: boolean | undefined;
  /** Closes everything and opens it again on the same data; the fields above are new then. */
  reopen(collections: readonly CollectionSpec[]): Promise<void>;
}

/** Opens a new, empty store with these collections and its log. */
export type OpenStore = (collections: readonly CollectionSpec[]) => Promise<StoreFixture>;

/** A collection `people` without indexes. */
export const PLAIN: readonly CollectionSpec[] = [{ name: 'people', indexes: [] }];

/** A collection `people` with one index per given `name: paths`; a name that starts with `unique` makes it unique. */
export function indexed(indexes: Readonly<Record<string, readonly string[]>>): readonly CollectionSpec[] {
  const specs = Object.entries(indexes).map(([name, paths]) => ({ name, paths, unique: name.startsWith('unique') }));
  return [{ name: 'people', indexes: specs }];
}

export function people(fixture: StoreFixture): Collection {
  return fixture.store.collection('people');
}

/** A key made of a short name; `args` stands for the arguments. */
export function keyOf(name: string, args = 'args'): IdempotencyKey {
  return { key: Buffer.from(name).toString('hex').padEnd(32, '0').slice(0, 32), digest: args };
}

/** The error of the catalogue that `work` ends with. */
export async function refusalOf(work: Promise<unknown>, code: ErrorCode): Promise<HoldfastError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(HoldfastError);
  expect((error as HoldfastError).code).toBe(code);
  return error as HoldfastError;
}

/** Every entry of the log. */
export function entriesOf(fixture: Pick<StoreFixture, 'log'>): Promise<readonly LogEntry[]> {
  return fixture.log.read(fixture.log.floor() - 1, { maxChanges: 1_000_000, maxBytes: 1e9 });
}
