import { chainAt } from '../changelog/chain-at.ts';
import type { ChangeLog } from '../changelog/change-log.ts';
import { HoldfastError } from '../errors.ts';
import { chainHash, type Hash, type LogEntry } from '../model/change.ts';
import { encodeCursor } from '../protocol/cursor.ts';
import { encodeBody, fittingCount, type Hides, MAX_FRAME_BYTES, MAX_FRAME_CHANGES } from '../protocol/frame.ts';
import type { CollectionDigest, Frame, Shape } from '../protocol/sync-source.ts';
import { Lru } from '../util/lru.ts';
import { type Cut, type FrameBody, FrameCache } from './frame-cache.ts';

/** Least `maxBytes` a subscriber may ask for: a change whose image is not by reference must fit. */
const MIN_FRAME_BYTES = 384 * 1024;
/** Ends of the latest frames of a variant that later frames may start from; bounds how often a change is encoded again. */
const RECENT_ENDS = 8;
/** Variants remembered, so that subscribers who come later share. */
const MAX_VARIANTS = 64;

/** What subscribers must have in common to share frames. */
export interface Variant {
  readonly key: string;
  /** Collections whose images travel. */
  readonly visible: ReadonlySet<string>;
  readonly maxBatch: number;
  readonly maxBytes: number;
  /** Last sequences of the latest frames. */
  readonly ends: number[];
}

export interface RelayOptions {
  readonly log: ChangeLog;
  /** Collections the source hands on, in the order of the model. */
  readonly collections: readonly string[];
  /** Bytes of frames kept for sharing. */
  readonly cacheBytes: number;
}

/**
 * Cuts the log into frames and shares them. A frame that is asked for by many is read and encoded once.
 *
 * Where frames begin and end. The log is divided into blocks of `maxBatch` sequences; no frame crosses a block. A frame ends
 * at the head or at the end of its block, and begins where its reader stands when a recent frame ended there (readers in
 * step), else at a multiple of the smallest power of two that covers what the reader wants. So readers who are apart share
 * frames that begin before their cursor instead of having one each: less than three times what they need, and at each
 * head at most 8 + 2 log2(maxBatch) different frames are encoded, however many readers there are.
 */
export class Relay {
  readonly #log: ChangeLog;
  readonly #collections: readonly string[];
  readonly #cache: FrameCache;
  readonly #variants = new Lru<string, Variant>(MAX_VARIANTS);
  #generation: number;
  #last: { readonly body: FrameBody; readonly frame: Frame } | undefined;
  #idle: FrameBody | undefined;

  constructor(options: RelayOptions) {
    this.#log = options.log;
    this.#generation = options.log.generation;
    this.#collections = options.collections;
    this.#cache = new FrameCache(options.cacheBytes);
  }

  /** Bytes of frames held. */
  get cachedBytes(): number {
    return this.#cache.bytes;
  }

  /** The variant of a shape and limits; limits past ours are lowered to them. */
  variant(shape: Shape, limits: { readonly maxBatch: number; readonly maxBytes: number }): Variant {
    const wanted = shape.collections;
    const visible = wanted === null ? this.#collections : this.#collections.filter((name) => wanted.includes(name));
    const maxBatch = clamp(limits.maxBatch, 1, MAX_FRAME_CHANGES);
    const maxBytes = clamp(limits.maxBytes, MIN_FRAME_BYTES, MAX_FRAME_BYTES);
    const key = `${maxBatch} ${maxBytes} ${wanted === null ? '*' : JSON.stringify(visible)}`;
    let variant = this.#variants.get(key);
    if (variant === undefined) {
      variant = { key, visible: new Set(visible), maxBatch, maxBytes, ends: [] };
      this.#variants.set(key, variant);
    }
    return variant;
  }

  /**
   * A frame that holds the change `after + 1`, which must be in the log. `exact` makes it begin there.
   * @throws CURSOR_EXPIRED
   */
  async cutAfter(variant: Variant, after: number, exact: boolean): Promise<Cut> {
    this.#forgetOtherHistory();
    const head = this.#log.head().sequence;
    const block = after - (after % variant.maxBatch);
    const end = Math.min(head, block + variant.maxBatch);
    const start = exact || variant.ends.includes(after) ? after : this.#alignedStart(block, after, end);
    const cut = await this.#cache.get(`${variant.key}|${start}|${end}`, () => this.#cut(variant, start, end));
    // Large changes before ours may have filled the frame.
    return cut.body.to > after ? cut : this.cutAfter(variant, after, true);
  }

  /** The frame without changes, at the head. */
  idle(): FrameBody {
    this.#forgetOtherHistory();
    const { epoch, sequence, chain } = this.#log.head();
    if (this.#idle?.to !== sequence || this.#idle.chain !== chain) {
      const cursor = encodeCursor({ logId: this.#log.logId, epoch, sequence, chain });
      this.#idle = { epoch, from: sequence + 1, to: sequence, previous: chain, chain, cursor, checksum: 0, body: '' };
    }
    return this.#idle;
  }

  /** `body` as it is sent now; the same object for subscribers who are sent the same. */
  frame(body: FrameBody, digests: readonly CollectionDigest[] | null): Frame {
    const head = this.#log.head().sequence;
    const floor = this.#log.floor();
    const last = this.#last;
    if (last?.body === body && last.frame.head === head && last.frame.floor === floor && last.frame.digests === digests)
      return last.frame;
    const frame = { ...body, head, floor, digests };
    this.#last = { body, frame };
    return frame;
  }

  #forgetOtherHistory(): void {
    if (this.#generation === this.#log.generation) return;
    this.#generation = this.#log.generation;
    this.#cache.clear();
    this.#idle = undefined;
  }

  #alignedStart(block: number, after: number, end: number): number {
    const size = 2 ** Math.ceil(Math.log2(end - after));
    const start = after - ((after - block) % size);
    return Math.max(start, this.#log.floor() - 1);
  }

  async #cut(variant: Variant, start: number, end: number): Promise<Cut> {
    const hides: Hides = (entry) => !variant.visible.has(entry.collection);
    const previous = await chainAt(this.#log, start);
    const read = await this.#log.read(start, { maxChanges: end - start, maxBytes: variant.maxBytes });
    const { entries, body, checksum } = encodeWithin(ofOneEpoch(read), hides, variant.maxBytes);
    const [first] = entries;
    const last = entries.at(-1);
    if (first === undefined || last === undefined || previous === null || !follows(first, previous)) {
      throw new HoldfastError('CURSOR_EXPIRED', `the changes after ${start} were replaced while they were read`);
    }
    const { epoch, sequence: to, chain } = last;
    const cursor = encodeCursor({ logId: this.#log.logId, epoch, sequence: to, chain });
    if (to === end && end % variant.maxBatch !== 0) {
      variant.ends.push(to);
      if (variant.ends.length > RECENT_ENDS) variant.ends.shift();
    }
    return { body: { epoch, from: start + 1, to, previous, chain, cursor, checksum, body }, short: to < end };
  }
}

/** The leading entries of the epoch of the first. */
function ofOneEpoch(entries: readonly LogEntry[]): readonly LogEntry[] {
  const epoch = entries[0]?.epoch;
  if (entries.at(-1)?.epoch === epoch) return entries;
  return entries.slice(
    0,
    entries.findIndex((entry) => entry.epoch !== epoch),
  );
}

/** The body of as many leading entries as fit `maxBytes`; of one when even that is too large. */
function encodeWithin(entries: readonly LogEntry[], hides: Hides, maxBytes: number) {
  const encoded = encodeBody(entries, hides);
  if (encoded.body.length <= maxBytes || entries.length === 1) return { entries, ...encoded };
  const fitting = entries.slice(0, fittingCount(entries, hides, maxBytes));
  return { entries: fitting, ...encodeBody(fitting, hides) };
}

/** Whether `entry` is the one after the entry with chain hash `previous`. */
function follows(entry: LogEntry, previous: Hash): boolean {
  return chainHash(previous, entry.epoch, entry.sequence, entry) === entry.chain;
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(Math.floor(value), least), most);
}
