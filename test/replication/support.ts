import { expect, onTestFinished } from 'vitest';
import { GENESIS_CHAIN } from '../../src/model/change.ts';
import { decodeCursor, encodeCursor } from '../../src/protocol/cursor.ts';
import { decodeBody, type FrameEntry } from '../../src/protocol/frame.ts';
import type { Frame } from '../../src/protocol/sync-source.ts';
import { PrimarySource, type PrimarySourceOptions, type SourceStage } from '../../src/replication/source.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { MemoryNode } from '../support/memory-node.ts';

/** The shape of a follower that wants everything. */
export const ALL = { collections: null };
/** What is handed on; the collection `secrets` is not. */
export const COLLECTIONS = ['teachers', 'schools'];
export const LIMITS = { maxBatch: 500, maxBytes: 512 * 1024 };
/** An error with this code. */
export const code = (name: string) => expect.objectContaining({ code: name });

/** No cursor at all. */
export const UNREADABLE = '?';
/** Checkpoints would be read, too. */
export const withoutDigests = (): SourceStage => 'SETTLING';

/** A source over a node in memory; stopped when the test ends. */
export function setUp(options: Partial<PrimarySourceOptions> = {}, collections = COLLECTIONS) {
  const clock = new ManualClock();
  const node = new MemoryNode([...collections, 'secrets']);
  const source = new PrimarySource({
    log: node.log,
    rows: node,
    schema: { sdl: 'type Teacher @entity { id: ID! @id }', sdlHash: 'ab'.repeat(16) },
    collections,
    clock,
    ...options,
  });
  onTestFinished(() => source.stop());
  const start = encodeCursor({ logId: node.log.logId, epoch: 1, sequence: 0, chain: GENESIS_CHAIN });
  return { clock, node, log: node.log, source, start };
}

/** Of the node's head. */
export function cursorAt({ log }: MemoryNode): string {
  const { epoch, sequence, chain } = log.head();
  return encodeCursor({ logId: log.logId, epoch, sequence, chain });
}

/** Writes `count` teachers. */
export function write(node: MemoryNode, count: number, name = 'teacher'): void {
  const ids = Array.from({ length: count }, (_, i) => `${name}-${i}`);
  node.write('teachers', Object.fromEntries(ids.map((id) => [id, `{"_id":"${id}","at":${node.log.head().sequence}}`])));
}

/** A follower that checks what it gets and keeps its place, as SPEC.md says. */
export class Follower {
  readonly entries: FrameEntry[] = [];
  readonly frames: Frame[] = [];
  readonly abort = new AbortController();
  readonly iterator: AsyncGenerator<Frame, void>;
  sequence: number;

  constructor(source: PrimarySource, cursor: string, shape = ALL as { collections: string[] | null }, limits = LIMITS) {
    this.sequence = cursor === UNREADABLE ? 0 : decodeCursor(cursor).sequence;
    this.iterator = source.changes(cursor, shape, limits, this.abort.signal) as AsyncGenerator<Frame, void>;
    onTestFinished(() => this.abort.abort());
  }

  async next(): Promise<Frame> {
    const result = await this.iterator.next();
    if (result.done) throw new Error('the subscription ended');
    const frame = result.value;
    expect(frame.from).toBeLessThanOrEqual(this.sequence + 1);
    expect(frame.to).toBeLessThanOrEqual(frame.head);
    // A frame either brings something new or is empty at our place.
    expect(frame.to).toBeGreaterThanOrEqual(frame.body === '' ? this.sequence : this.sequence + 1);
    for (const entry of decodeBody(frame)) {
      if (entry.sequence <= this.sequence) continue;
      expect(entry.sequence).toBe(this.sequence + 1);
      this.entries.push(entry);
      this.sequence = entry.sequence;
    }
    this.frames.push(frame);
    return frame;
  }

  async nextTo(sequence: number): Promise<void> {
    while (this.sequence < sequence) await this.next();
  }
}
