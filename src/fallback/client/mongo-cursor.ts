import { type AbstractCursor, type ClientSession, Long } from 'mongodb';
import { isHoldfastError } from '../../errors.ts';
import type { Document } from '../../model/document.ts';
import type { ClientFallback } from './client-fallback.ts';
import { alive, hiddenPipeline, hiding, stripped } from './hidden.ts';
import { LightSignal } from './light-signal.ts';
import { type DriverFind, type Plan, planFind, planPipeline } from './plan.ts';
import { mark, type Provenance, provenanceOf } from './results.ts';
import { type BsonOptions, driverForm } from './values.ts';

/** What a cursor of the driver gets as an answer to its first command. */
interface Initial {
  readonly server: unknown;
  readonly session: ClientSession;
  readonly response: unknown;
}

/**
 * Of the driver's cursors (7.8, `src/cursor/abstract_cursor.ts`) what is used here beside what is public: every way to read one comes
 * down to `_initialize` for the first batch and `getMore` for each other.
 */
interface Inner {
  cursorFilter?: unknown;
  findOptions?: DriverFind;
  pipeline?: readonly unknown[];
  readonly aggregateOptions?: object;
  readonly cursorOptions: BsonOptions & { readonly tailable?: boolean };
  readonly initialized: boolean;
  signal: AbortSignal | undefined;
  _initialize(session: ClientSession): Promise<Initial>;
  getMore(): Promise<unknown>;
  toArray(): Promise<Document[]>;
  clone(): AbstractCursor;
}

/** Given to a call in its options: told where its answer came from. */
export const ON_COPIED = Symbol('onCopied');

export interface GuardedCursorOptions {
  readonly fallback: ClientFallback;
  readonly namespace: string;
  readonly onCopied: ((from: Provenance) => void) | undefined;
}

/**
 * Makes a cursor of the driver ask copies when the database does not answer its first command; it stays the driver's in everything else.
 * One that the database has begun to answer is not gone on with from a copy, except by `toArray`, which begins anew.
 */
export function guardCursor<C extends AbstractCursor>(cursor: C, options: GuardedCursorOptions): C {
  const { fallback, namespace, onCopied } = options;
  const inner = cursor as unknown as Inner;
  if (fallback.captures) hide(inner, options);
  const initialize = inner._initialize.bind(inner);
  const getMore = inner.getMore.bind(inner);
  const toArray = inner.toArray.bind(inner);
  const clone = inner.clone.bind(inner);
  let isWhole = false;
  let isAnew = false;
  let lostBatch: unknown;
  let from: Provenance | undefined;

  inner._initialize = async (session) => {
    const found = await fallback.read({
      namespace,
      plan: () => planOf(inner),
      bson: inner.cursorOptions,
      signal: inner.signal,
      ask: isAnew ? undefined : (ended) => withSignal(inner, LightSignal.of(ended), () => initialize(session)),
    });
    if (found.tier === undefined) return found.answer;
    from = provenanceOf(found, Date.now());
    mark(cursor, from);
    onCopied?.(from);
    return { server: undefined, session, response: new CopiedBatch(found.answer, from) };
  };
  inner.getMore = async () => {
    try {
      return await fallback.goOn(namespace, isWhole, getMore);
    } catch (error) {
      lostBatch = error;
      throw error;
    }
  };
  inner.toArray = async () => {
    isWhole = !inner.initialized && isAnswerable(inner);
    try {
      return mark(await toArray(), from);
    } catch (error) {
      if (!isWhole || error !== lostBatch || !isHoldfastError(error, 'DATABASE_UNAVAILABLE')) throw error;
      cursor.rewind();
      isAnew = true;
      return mark(await toArray(), from);
    } finally {
      isWhole = false;
      isAnew = false;
    }
  };
  inner.clone = () => guardCursor(clone(), options);
  return cursor;
}

function planOf({ cursorFilter, findOptions, pipeline, aggregateOptions = {}, cursorOptions }: Inner): Plan {
  if (pipeline !== undefined) return planPipeline(pipeline, { ...aggregateOptions, ...cursorOptions });
  return planFind(cursorFilter, { ...findOptions, ...cursorOptions });
}

function isAnswerable(inner: Inner): boolean {
  try {
    planOf(inner);
    return true;
  } catch {
    return false;
  }
}

/** The driver reads the signal of a cursor when it makes the command, before anything is waited for. */
function withSignal<T>(inner: Inner, signal: AbortSignal, work: () => T): T {
  const own = inner.signal;
  inner.signal = signal;
  try {
    return work();
  } finally {
    inner.signal = own;
  }
}

/** Makes a cursor that only the database answers show nothing of what a capture leaves in documents. */
export function hideCursor<C extends AbstractCursor>(cursor: C, options: Omit<GuardedCursorOptions, 'onCopied'>): C {
  const inner = cursor as unknown as Inner;
  const clone = inner.clone.bind(inner);
  hide(inner, options);
  inner.clone = () => hideCursor(clone(), options);
  return cursor;
}

function hide(inner: Inner, { fallback, namespace }: Omit<GuardedCursorOptions, 'onCopied'>): void {
  const initialize = inner._initialize.bind(inner);
  const getMore = inner.getMore.bind(inner);
  inner._initialize = async (session) => {
    if (!fallback.isReady) await fallback.ready();
    if (!fallback.hides(namespace)) return initialize(session);
    const initial = await withHidden(inner, () => initialize(session));
    strip(inner, initial.response);
    return initial;
  };
  inner.getMore = async () => {
    const response = await getMore();
    if (fallback.hides(namespace)) strip(inner, response);
    return response;
  };
}

/** The driver reads what it asks when it makes the command, before anything is waited for. */
function withHidden<T>(inner: Inner, work: () => T): T {
  const { cursorFilter, findOptions, pipeline } = inner;
  try {
    if (pipeline !== undefined) inner.pipeline = hiddenPipeline(pipeline as readonly Document[]);
    else {
      const { projection } = hiding(findOptions?.projection);
      inner.cursorFilter = alive(cursorFilter);
      if (projection !== undefined) inner.findOptions = { ...findOptions, projection };
    }
    return work();
  } finally {
    if (pipeline !== undefined) inner.pipeline = pipeline;
    else Object.assign(inner, { cursorFilter, findOptions });
  }
}

/** Takes out of an answer what could not be kept out of it. */
function strip({ pipeline, findOptions }: Inner, response: unknown): void {
  if (pipeline !== undefined || !hiding(findOptions?.projection).strips) return;
  const answer = response as { shift(options: BsonOptions): Document | null };
  const shift = answer.shift.bind(answer);
  answer.shift = (options) => stripped(shift(options));
}

/** Documents of a copy in the form of a server's answer that is complete (the driver's `CursorResponse`). */
class CopiedBatch {
  /** Not the driver's `Long.ZERO`, by which it knows a cursor that is read to its end. */
  readonly id = Long.fromBigInt(0n);
  readonly ns = null;
  readonly #documents: readonly Document[];
  readonly #from: Provenance;
  #at = 0;

  constructor(documents: readonly Document[], from: Provenance) {
    this.#documents = documents;
    this.#from = from;
  }

  get batchSize(): number {
    return this.#documents.length;
  }

  get length(): number {
    return this.#documents.length - this.#at;
  }

  shift(options: BsonOptions): Document | null {
    const document = this.#documents[this.#at];
    if (document === undefined) return null;
    this.#at += 1;
    return mark(driverForm(document, options), this.#from);
  }

  clear(): void {
    this.#at = this.#documents.length;
  }
}
