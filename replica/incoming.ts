import { HoldfastError } from '../src/errors.ts';
import { documentHash, type Hash } from '../src/model/change.ts';
import type { Position } from '../src/model/position.ts';
import { Carried, decodeBody, type FrameEntry } from '../src/protocol/frame.ts';
import type { CollectionDigest, Frame, Row, SyncSource } from '../src/protocol/sync-source.ts';

/** The last entry that was taken. */
export interface Tail {
  readonly epoch: number;
  readonly sequence: number;
  readonly chain: Hash;
}

/** Verified entries that follow what was taken before, ready to be applied in one transaction. */
export interface Incoming {
  readonly entries: readonly FrameEntry[];
  /** Digests of the source after the last entry; null when there are none. */
  readonly digests: readonly CollectionDigest[] | null;
  /**
   * By sequence, the rows of entries whose image did not travel and is no more: the newer row, or null when it is gone. Applied
   * in place of the image, so that a reader who waited for the entry never sees the document as it was before it.
   */
  readonly ahead: ReadonlyMap<number, Row | null>;
  /** With rows ahead, the documents are the source's again from here on; else null. */
  readonly settleAt: Position | null;
}

/** Images fetched by reference that are held at once, in characters. */
const MAX_FETCHED_CHARACTERS = 16 * 1024 * 1024;

/**
 * Takes frames in, in order, and lets nothing wrong through: density, epoch and chain against what was taken before, each
 * entry and image by the frame's own hashes. Drops what was taken already.
 */
export class Intake {
  readonly #source: SyncSource;
  readonly #isKnown: (collection: string) => boolean;
  #tail: Tail;

  constructor(options: {
    readonly source: SyncSource;
    /** Whether this replica stores the collection. */
    readonly isKnown: (collection: string) => boolean;
    /** Where the copied log ends. */
    readonly tail: Tail;
  }) {
    this.#source = options.source;
    this.#isKnown = options.isKnown;
    this.#tail = options.tail;
  }

  /**
   * What is new in `frame`: in one part, or several when large images had to be fetched; one empty part when nothing is.
   * @throws FORK, FENCED; VALIDATION_FAILED for a damaged frame or a gap; SCHEMA_MISMATCH for a document of a collection
   * that is not known here; whatever the source throws.
   */
  async *take(frame: Frame): AsyncGenerator<Incoming, void> {
    const entries = this.#verified(frame);
    const complete = frame.to === this.#tail.sequence;
    let part: FrameEntry[] = [];
    let ahead = new Map<number, Row | null>();
    let fetched = 0;
    for (const entry of entries) {
      this.#requireKnown(entry);
      if (entry.carried === Carried.REFERENCE) {
        const row = await this.#rowOf(entry);
        const exact = row !== null && isImageOf(entry, row);
        part.push(exact ? { ...entry, carried: Carried.IMAGE, image: row.text } : entry);
        if (!exact) ahead.set(entry.sequence, row);
        fetched += row?.text.length ?? 0;
      } else part.push(entry);
      if (fetched > MAX_FETCHED_CHARACTERS && entry !== entries.at(-1)) {
        yield { entries: part, digests: null, ahead, settleAt: await this.#settleAt(ahead) };
        part = [];
        ahead = new Map();
        fetched = 0;
      }
    }
    yield { entries: part, digests: complete ? frame.digests : null, ahead, settleAt: await this.#settleAt(ahead) };
  }

  /** The entries after the tail, which moves to the end of the frame. */
  #verified(frame: Frame): readonly FrameEntry[] {
    const { epoch, sequence, chain } = this.#tail;
    if (frame.from > sequence + 1) {
      throw new HoldfastError(
        'VALIDATION_FAILED',
        `changes ${sequence + 1} to ${frame.from - 1} are missing before the frame; subscribing again from the cursor`,
      );
    }
    if (frame.to < sequence) return [];
    if (frame.epoch < epoch) {
      throw new HoldfastError(
        'FENCED',
        `the source sends changes of epoch ${frame.epoch}; epoch ${epoch} is known here`,
      );
    }
    const entries = decodeBody(frame);
    const overlap = sequence + 1 - frame.from;
    const theirs = overlap === 0 ? frame.previous : entries[overlap - 1]?.chain;
    if (theirs !== chain) {
      throw new HoldfastError('FORK', `the source's history differs from ours at or before change ${sequence}`);
    }
    this.#tail = { epoch: frame.epoch, sequence: frame.to, chain: frame.chain };
    return overlap === 0 ? entries : entries.slice(overlap);
  }

  #requireKnown(entry: FrameEntry): void {
    if (entry.carried === Carried.NONE || this.#isKnown(entry.collection)) return;
    throw new HoldfastError(
      'SCHEMA_MISMATCH',
      `change ${entry.sequence} is of collection "${entry.collection}", which is not in the SDL known here; asking for it again`,
    );
  }

  /** The source's row now: of this entry or a later one; null when it is gone. */
  async #rowOf(entry: FrameEntry): Promise<Row | null> {
    const rows = await this.#source.rows(entry.collection, [entry.id]);
    return rows.find(({ id, version }) => id === entry.id && version >= entry.version) ?? null;
  }

  /** Rows were read at an unknown later position: not after the head is now. */
  async #settleAt(ahead: ReadonlyMap<number, Row | null>): Promise<Position | null> {
    return ahead.size === 0 ? null : (await this.#source.digests(null)).position;
  }
}

function isImageOf(entry: FrameEntry, { version, text }: Row): boolean {
  return version === entry.version && documentHash(entry.collection, entry.id, version, text) === entry.after;
}
