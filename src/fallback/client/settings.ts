import { HoldfastError } from '../../errors.ts';
import type { Document } from '../../model/document.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { Clock } from '../../util/clock.ts';
import type { BreakerSettings } from '../breaker.ts';
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
  /** REJECT: writes are refused while the database is away. Nothing else is offered here; a gateway has a journal. */
  readonly writes?: 'REJECT' | undefined;
  /** false: a live copy that follows a change log is what a gateway has. */
  readonly changeLog?: false | undefined;
  /** When the database is given up. The defaults are {@link DEFAULT_BREAKER}. */
  readonly breaker?: Partial<BreakerSettings> | undefined;
  /** Told of outages. Default: nobody. */
  readonly logger?: Pick<Logger, 'info' | 'warn' | 'error'> | undefined;
  readonly clock?: Clock | undefined;
}

const KEYS: readonly string[] = [
  ...['datasets', 'snapshots', 'database', 'deadlineMs', 'writes', 'changeLog', 'breaker', 'logger', 'clock'],
];

/** @throws CONFIG_INVALID for a key there is not, or what only a gateway can do */
export function checkSettings(settings: FallbackSettings): void {
  const unknown = Object.keys(settings).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) throw invalid(`there is no fallback.${unknown}; there are ${KEYS.join(', ')}`);
  const { writes, changeLog } = settings as { readonly writes?: unknown; readonly changeLog?: unknown };
  if (writes !== undefined && writes !== 'REJECT') {
    throw invalid('fallback.writes can only be REJECT in the library: a gateway (`holdfast start`) has a journal');
  }
  if (changeLog !== undefined && changeLog !== false) {
    throw invalid('fallback.changeLog is not offered by the library: a gateway (`holdfast start`) keeps a live copy');
  }
  for (const [collection, dataset] of Object.entries(settings.datasets ?? {})) {
    const { from } = described(dataset);
    const isKnown = Array.isArray(from) || typeof from === 'string' || typeof from === 'function';
    if (!isKnown) throw invalid(`fallback.datasets.${collection} is neither documents, nor a file, nor a function`);
  }
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
