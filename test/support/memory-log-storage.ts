import { MongoNetworkError, MongoNotConnectedError, MongoServerError } from 'mongodb';
import type { ReadLimits } from '../../src/changelog/change-log.ts';
import type { LogFacts, LogPage, LogStorage, Refusal } from '../../src/changelog/log-storage.ts';
import { GENESIS_CHAIN, type Hash, type LogEntry } from '../../src/model/change.ts';
import type { KeyedEntry } from '../../src/store/outbox.ts';

/** What several {@link MemoryLogStorage} share: the server. */
export class MemoryLogServer {
  readonly entries = new Map<number, LogEntry>();
  /** Every entry that ever was appended above the floor, also those trimmed since. */
  readonly history: LogEntry[] = [];
  readonly keys = new Map<string, KeyedEntry>();
  facts: LogFacts = {
    logId: 'a'.repeat(32),
    epochs: [{ epoch: 1, firstSequence: 1 }],
    floor: 1,
    floorChain: GENESIS_CHAIN,
  };

  /** Inserts one entry, as unique indexes on place, version and key allow. */
  insert(entry: LogEntry): unknown {
    const taken = [...this.entries.values()].some(
      (other) =>
        other.sequence === entry.sequence ||
        (other.collection === entry.collection && other.id === entry.id && other.version === entry.version) ||
        (entry.key !== null && other.key === entry.key),
    );
    if (taken) return new MongoServerError({ code: 11000, message: 'E11000 duplicate key' });
    this.entries.set(entry.sequence, entry);
    if (entry.sequence >= this.facts.floor) this.history.push(entry);
    return undefined;
  }
}

/** How one command ends: as it should; lost with or without its effect; lost, with the effect still to come; or not sent at all. */
export type Fate = 'answered' | 'lost' | 'lost after' | 'late' | 'unsent';

/** A {@link LogStorage} in memory. Every step waits for `turn`, so that a test decides about their order. */
export class MemoryLogStorage implements LogStorage {
  readonly name = 'memory';
  readonly #server: MemoryLogServer;
  readonly #turn: () => Promise<void>;
  readonly #fate: () => Fate;

  constructor(server: MemoryLogServer, turn: () => Promise<void>, fate: () => Fate = () => 'answered') {
    this.#server = server;
    this.#turn = turn;
    this.#fate = fate;
  }

  async prepare(): Promise<void> {}

  facts(): Promise<LogFacts> {
    return this.#command(() => this.#server.facts);
  }

  newest(count: number): Promise<readonly LogEntry[]> {
    return this.#command(() => this.#sorted().slice(-count));
  }

  read(after: number, upTo: number, { maxChanges, maxBytes }: ReadLimits): Promise<LogPage> {
    return this.#command(() => {
      const found = this.#sorted().filter(({ sequence }) => sequence > after && sequence <= upTo);
      let bytes = 0;
      const over = found.findIndex(({ image }, place) => {
        bytes += image?.length ?? 0;
        return place > 0 && (place >= maxChanges || bytes > maxBytes);
      });
      return over < 0 ? { entries: found, isCut: false } : { entries: found.slice(0, over), isCut: true };
    });
  }

  chainAt(sequence: number): Promise<Hash | undefined> {
    return this.#command(() => this.#server.entries.get(sequence)?.chain);
  }

  ofVersion(collection: string, id: string, version: number): Promise<LogEntry | undefined> {
    return this.#command(() =>
      this.#sorted().find((entry) => entry.collection === collection && entry.id === id && entry.version === version),
    );
  }

  ofKeys(keys: readonly string[]): Promise<readonly KeyedEntry[]> {
    return this.#command(() =>
      this.#sorted()
        .map(keyedEntry)
        .filter(({ key }) => keys.includes(key)),
    );
  }

  keptKeys(keys: readonly string[]): Promise<readonly KeyedEntry[]> {
    return this.#command(() => keys.flatMap((key) => this.#server.keys.get(key) ?? []));
  }

  async append(entries: readonly LogEntry[]): Promise<Refusal | undefined> {
    const fate = this.#fate();
    await this.#turn();
    if (fate === 'unsent') throw new MongoNotConnectedError('not connected');
    if (fate === 'lost') throw new MongoNetworkError('connection closed');
    // One by one: others come in between.
    const inserted = (async (): Promise<Refusal | undefined> => {
      for (const [index, entry] of entries.entries()) {
        const error = this.#server.insert(entry);
        if (error !== undefined) return { index, error };
        await this.#turn();
      }
      return undefined;
    })();
    if (fate === 'late') throw new MongoNetworkError('connection closed');
    const refusal = await inserted;
    if (fate === 'lost after') throw new MongoNetworkError('connection closed');
    return refusal;
  }

  keepKeys(from: number, to: number): Promise<void> {
    return this.#command(() => {
      for (const entry of this.#sorted()) {
        if (entry.sequence < from || entry.sequence >= to || entry.key === null) continue;
        this.#server.keys.set(entry.key, { ...keyedEntry(entry), image: null });
      }
    });
  }

  raiseFloor(floor: number, floorChain: Hash): Promise<boolean> {
    return this.#command(() => {
      if (this.#server.facts.floor >= floor) return false;
      this.#server.facts = { ...this.#server.facts, floor, floorChain };
      return true;
    });
  }

  removeBelow(floor: number): Promise<void> {
    return this.#command(() => {
      for (const sequence of this.#server.entries.keys()) {
        if (sequence < floor) this.#server.entries.delete(sequence);
      }
    });
  }

  async removeKeys(): Promise<number> {
    return 0;
  }

  #sorted(): LogEntry[] {
    return [...this.#server.entries.values()].sort((a, b) => a.sequence - b.sequence);
  }

  async #command<T>(effect: () => T): Promise<T> {
    const fate = this.#fate();
    await this.#turn();
    if (fate === 'unsent') throw new MongoNotConnectedError('not connected');
    if (fate === 'lost' || fate === 'late') throw new MongoNetworkError('connection closed');
    const result = effect();
    await this.#turn();
    if (fate === 'lost after') throw new MongoNetworkError('connection closed');
    return result;
  }
}

function keyedEntry(entry: LogEntry): KeyedEntry {
  const { operation, collection, id, version, epoch, sequence, image } = entry;
  const key = entry.key ?? '';
  return { key, digest: '', operation, collection, id, version, position: { epoch, sequence }, image };
}
