import { HoldfastError } from '../../errors.ts';
import type { Document } from '../../model/document.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { Clock } from '../../util/clock.ts';
import type { BreakerSettings } from '../breaker-settings.ts';
import { DEFAULT_DEADLINES_MS, type DeadlinesMs } from '../calls.ts';

/** Documents of one collection: themselves, a file of JSON Lines, of a JSON array or of extended JSON, or what gives them. */
export type DatasetDocuments =
  | readonly Document[]
  | string
  | (() => readonly Document[] | Promise<readonly Document[]>);

/** Documents, and what they are to their collection. */
export interface DescribedDataset {
  readonly from: DatasetDocuments;
  /** Whether these are all documents of the collection. Default false: only those asked for by a unique value are answered. */
  readonly complete?: boolean | undefined;
  /** Fields, besides `_id`, whose values belong to one document each. Default none. */
  readonly unique?: readonly string[] | undefined;
}

export type GivenDataset = DatasetDocuments | DescribedDataset;

/** How the database's changes are captured and copied. */
export interface ChangeLogSettings {
  /** Where copy and journal lie; one process at a time. Default `.holdfast/client` in the working directory. */
  readonly directory?: string | undefined;
  /** Collections to copy. Default: all of the database. */
  readonly collections?: readonly string[] | undefined;
  /** Nobody writes to the database but clients with a change log and gateways: then the copy is as fresh as the last write. Default false. */
  readonly exclusiveWriter?: boolean | undefined;
}

/** What a client does while its database is away. */
export interface FallbackSettings {
  /** Hand-written documents by collection; read once, when the client connects. */
  readonly datasets?: Readonly<Record<string, GivenDataset>> | undefined;
  /** Directory of the masked datasets that `holdfast fallback refresh` makes; a newer one is taken up within a minute. */
  readonly snapshots?: string | undefined;
  /** The database that both belong to. Default: that of the URL; without one, the only database that is used. */
  readonly database?: string | undefined;
  /** How long the database is waited for; a number is that of reads. Default 400 ms for reads, 800 ms for writes. */
  readonly deadlineMs?: number | Partial<DeadlinesMs> | undefined;
  /**
   * REJECT, the default: writes are refused while the database is away. JOURNAL: `insertOne`, and `updateOne`, `replaceOne` and `deleteOne`
   * by `_id`, wait on this machine's disk until it is back; needs `changeLog`.
   */
  readonly writes?: 'REJECT' | 'JOURNAL' | undefined;
  /**
   * Captures what is written in a log beside the documents, and follows it with a copy on this machine that answers first. Adds the field
   * `_holdfast` to documents that are written, and collections named `holdfast_…`. Default false.
   */
  readonly changeLog?: boolean | ChangeLogSettings | undefined;
  /** When the database is given up. The defaults are {@link DEFAULT_BREAKER}. */
  readonly breaker?: Partial<BreakerSettings> | undefined;
  /** Told of outages. Default: nobody. */
  readonly logger?: Pick<Logger, 'info' | 'warn' | 'error'> | undefined;
  readonly clock?: Clock | undefined;
}

const KEYS: readonly string[] = [
  ...['datasets', 'snapshots', 'database', 'deadlineMs', 'writes', 'changeLog', 'breaker', 'logger', 'clock'],
];

const CHANGE_LOG_KEYS: readonly string[] = ['directory', 'collections', 'exclusiveWriter'];

/** @throws CONFIG_INVALID for a key or value there is not */
export function checkSettings(settings: FallbackSettings): void {
  const unknown = Object.keys(settings).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) throw invalid(`there is no fallback.${unknown}; there are ${KEYS.join(', ')}`);
  const { writes, changeLog } = settings as { readonly writes?: unknown; readonly changeLog?: unknown };
  if (writes !== undefined && writes !== 'REJECT' && writes !== 'JOURNAL') {
    throw invalid('fallback.writes is REJECT or JOURNAL');
  }
  if (changeLog !== undefined && typeof changeLog !== 'boolean') checkChangeLog(changeLog);
  if (writes === 'JOURNAL' && changeLogOf(settings) === undefined) {
    throw invalid('fallback.writes: JOURNAL needs fallback.changeLog: true, by which a write is known to be made once');
  }
  for (const [collection, dataset] of Object.entries(settings.datasets ?? {})) {
    const { from } = described(dataset);
    const isKnown = Array.isArray(from) || typeof from === 'string' || typeof from === 'function';
    if (!isKnown) throw invalid(`fallback.datasets.${collection} is neither documents, nor a file, nor a function`);
  }
}

function checkChangeLog(given: unknown): void {
  if (typeof given !== 'object' || given === null) throw invalid('fallback.changeLog is true, false or an object');
  const unknown = Object.keys(given).find((key) => !CHANGE_LOG_KEYS.includes(key));
  if (unknown === undefined) return;
  throw invalid(`there is no fallback.changeLog.${unknown}; there are ${CHANGE_LOG_KEYS.join(', ')}`);
}

/** Undefined: there is none. */
export function changeLogOf({ changeLog }: FallbackSettings): ChangeLogSettings | undefined {
  if (changeLog === undefined || changeLog === false) return undefined;
  return changeLog === true ? {} : changeLog;
}

export function described(dataset: GivenDataset): DescribedDataset {
  return typeof dataset === 'object' && 'from' in dataset ? dataset : { from: dataset };
}

export function deadlinesOf({ deadlineMs }: FallbackSettings): DeadlinesMs {
  const given = typeof deadlineMs === 'number' ? { read: deadlineMs } : deadlineMs;
  return { ...DEFAULT_DEADLINES_MS, ...given };
}

export function invalid(message: string, cause?: unknown): HoldfastError {
  return new HoldfastError('CONFIG_INVALID', message, { cause });
}
