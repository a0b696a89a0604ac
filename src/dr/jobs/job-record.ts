import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { ERRORS, type ErrorCode, HoldfastError } from '../../errors.ts';
import { TableState } from '../../model/dr-progress.ts';
import { RestoreMode } from '../dialect/restore-target.ts';
import { VerifyLevel } from '../verified-file.ts';

/** What a job does. */
export const JobKind = { BACKUP: 'BACKUP', RESTORE: 'RESTORE', VERIFY: 'VERIFY' } as const;
export type JobKind = (typeof JobKind)[keyof typeof JobKind];

/** How far a job is; the last three are ends, which only `resume` leaves again. */
export const JobState = {
  QUEUED: 'QUEUED',
  RUNNING: 'RUNNING',
  SUCCEEDED: 'SUCCEEDED',
  FAILED: 'FAILED',
  CANCELLED: 'CANCELLED',
} as const;
export type JobState = (typeof JobState)[keyof typeof JobState];

const name = z.string().min(1).max(255);
const workers = z.int().min(1).max(256).nullable();
const tables = z.array(z.string().min(1)).min(1).nullable();

/** Databases and archives by their configured names only: a job never holds a URL. */
const ORDER = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal(JobKind.BACKUP),
    source: name,
    workers,
    /** Besides those of the configuration, which they replace table by table. */
    suffixes: z.record(z.string(), z.string()),
    closure: z.boolean(),
    tables,
    /** As `parseCompression` reads it. */
    compress: z.string(),
    format: z.enum(['auto', 'text', 'binary']),
  }),
  z.strictObject({
    kind: z.literal(JobKind.RESTORE),
    backup: name,
    target: name,
    workers,
    mode: z.enum(RestoreMode),
    tables,
    confirm: z.string().nullable(),
  }),
  z.strictObject({
    kind: z.literal(JobKind.VERIFY),
    backup: name,
    level: z.enum(VerifyLevel),
    /** For a drill only. */
    target: name.nullable(),
  }),
]);

const time = z.iso.datetime();
const count = z.number().nonnegative();

const PROGRESS = z.strictObject({
  phase: z.string(),
  tablesDone: count,
  tablesTotal: count,
  rowsDone: count,
  bytesDone: count,
  bytesTotal: count,
  percent: z.number().min(0).max(100),
  etaMs: count.nullable(),
  tables: z.array(
    z.strictObject({
      name: z.string(),
      state: z.enum(TableState),
      rows: count,
      bytes: count,
      worker: z.number().nullable(),
      startedAt: z.string().nullable(),
      endedAt: z.string().nullable(),
      error: z.string().nullable(),
    }),
  ),
});

/** A job as its file holds it. */
export const JOB_RECORD = z.strictObject({
  version: z.literal(1),
  id: z.string(),
  order: ORDER,
  state: z.enum(JobState),
  /** Who asked for it. */
  by: z.string(),
  createdAt: time,
  /** Null until it starts first; a backup or verification that starts anew begins again. */
  startedAt: time.nullable(),
  endedAt: time.nullable(),
  /** How often work on it began. A restore that began once goes on. */
  starts: z.int().nonnegative(),
  /** Null unless it FAILED or was CANCELLED. */
  error: z.strictObject({ code: z.string(), message: z.string() }).nullable(),
  /** Kept at the end only; null before it starts. */
  progress: PROGRESS.nullable(),
  /** What a person should know although it succeeded. */
  notices: z.array(z.string()),
});

export type JobOrder = DeepReadonly<z.output<typeof ORDER>>;
export type JobRecord = DeepReadonly<z.output<typeof JOB_RECORD>>;

type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;

const ID = /^\d{8}T\d{9}-(?:backup|restore|verify)-[\w-]{1,64}-[0-9a-f]{6}$/;

/** Whether a text can be the id of a job, and so the name of a file and, for a backup, of its archive. */
export function isJobId(text: string): boolean {
  return ID.test(text);
}

/** An id that sorts by time and says what it is about: `20261121T190812345-backup-shop-3fa2c1`. */
export function newJobId(order: JobOrder, at: Date, draw: (bytes: number) => Buffer = randomBytes): string {
  const time = at.toISOString().replace(/[-:.Z]/g, '');
  const about = order.kind === JobKind.BACKUP ? order.source : (order.target ?? 'archive');
  const subject = about.replace(/[^\w-]/g, '_').slice(0, 64);
  return `${time}-${order.kind.toLowerCase()}-${subject}-${draw(3).toString('hex')}`;
}

/** Whether a job is over. */
export function hasEnded({ state }: Pick<JobRecord, 'state'>): boolean {
  return state !== JobState.QUEUED && state !== JobState.RUNNING;
}

/** The archive that a job reads or writes. */
export function backupOf({ id, order }: Pick<JobRecord, 'id' | 'order'>): string {
  return order.kind === JobKind.BACKUP ? id : order.backup;
}

/** Checks what somebody asks for. @throws VALIDATION_FAILED */
export function parseOrder(order: unknown): JobOrder {
  const parsed = ORDER.safeParse(order);
  if (parsed.success) return parsed.data;
  const mistakes = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new HoldfastError('VALIDATION_FAILED', mistakes.join('; '));
}

/** What a job keeps of the error that ended it: nothing that is not meant to be seen. */
export function errorOf(error: unknown): { readonly code: ErrorCode; readonly message: string } {
  if (error instanceof HoldfastError) return { code: error.code, message: error.message };
  return { code: 'INTERNAL_SERVER_ERROR', message: `${ERRORS.INTERNAL_SERVER_ERROR.cause} The log says more.` };
}
