import type { Db } from 'mongodb';
import type { Document } from '../model/document.ts';
import { READ_OPTIONS } from './mongo-bson.ts';
import { within } from './mongo-deadline.ts';
import { METADATA, type Stored, storedOf } from './mongo-document.ts';
import { coded, isDuplicateKey } from './mongo-errors.ts';
import type { MongoTable } from './mongo-table.ts';

/** Collection of what is known of a database as a whole. */
export const META = 'holdfast_meta';
/** Id of the document of it that is only there to be written. */
const BARRIER = 'barrier';

/** Shows only what no election takes back; a server alone knows no such level, and shows what a crash may take back. */
export type DurableLevel = 'majority' | 'local';

/** The level for reads of what is durable, by the greeting of a server. */
export function durableLevel(hello: Readonly<Record<string, unknown>>): DurableLevel {
  return hello.setName !== undefined || hello.msg === 'isdbgrid' ? 'majority' : 'local';
}

/**
 * Writes, durably. What the server that takes it showed before comes before it there, so that is durable too then.
 * @throws what the driver throws
 */
export async function writeBarrier(database: Db): Promise<void> {
  const meta = database.collection<{ readonly _id: string; readonly writes: number }>(META);
  const options = { upsert: true, writeConcern: { w: 'majority', journal: true } } as const;
  try {
    await meta.updateOne({ _id: BARRIER }, { $inc: { writes: 1 } }, options);
  } catch (error) {
    // Two that insert it at the same moment: one of them wrote.
    if (!isDuplicateKey(error)) throw error;
  }
}

export interface DurableOptions {
  readonly deadlineMs: number;
  /** Leaves out the content. */
  readonly metadataOnly?: boolean | undefined;
}

/** Reads what is durable: see "What a read shows may be taken back" in SPEC.md. */
export class MongoDurable {
  readonly #database: Db;
  readonly #level: DurableLevel;

  constructor(database: Db, level: DurableLevel) {
    this.#database = database;
    this.#level = level;
  }

  /**
   * The documents and tombstones of some ids as they are durably, in any order, and not older than what the same server showed before. A
   * server alone may show them as they are not yet durably: there only a version that it showed before as well is.
   * @throws DATABASE_UNAVAILABLE
   */
  async read(table: MongoTable, ids: readonly unknown[], options: DurableOptions): Promise<Stored[]> {
    const { deadlineMs, metadataOnly = false } = options;
    try {
      const found = await within(deadlineMs, this.#find(table, ids, metadataOnly));
      return found.map((raw) => storedOf(table.name, raw));
    } catch (error) {
      throw coded(error, `read what is durable of "${table.name}"`, 'READ');
    }
  }

  async #find(table: MongoTable, ids: readonly unknown[], metadataOnly: boolean): Promise<Document[]> {
    await writeBarrier(this.#database);
    const found = table.raw.find({ _id: { $in: ids } } as Document, {
      ...READ_OPTIONS,
      readConcern: { level: this.#level },
      ...(metadataOnly && { projection: { [METADATA]: 1 } }),
    });
    return found.toArray();
  }
}
