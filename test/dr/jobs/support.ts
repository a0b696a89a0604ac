import type { JobOrder, JobRecord } from '../../../src/dr/jobs/job-record.ts';

export const BACKUP: Extract<JobOrder, { kind: 'BACKUP' }> = {
  ...{ kind: 'BACKUP', source: 'shop', workers: null, suffixes: {}, closure: false },
  ...{ tables: null, compress: 'zstd', format: 'auto' },
};
export const RESTORE: Extract<JobOrder, { kind: 'RESTORE' }> = {
  ...{ kind: 'RESTORE', backup: 'monday', target: 'copy', workers: null },
  ...{ mode: 'full', tables: null, confirm: null },
};
export const VERIFY: Extract<JobOrder, { kind: 'VERIFY' }> = {
  ...{ kind: 'VERIFY', backup: 'monday', level: 'DEEP', target: null },
};

/** A record of a queued backup, but for what is given. */
export function recordOf(changes: Partial<JobRecord> = {}): JobRecord {
  return {
    ...{ version: 1, id: '20260131T083000000-backup-shop-0a1b2c', order: BACKUP, state: 'QUEUED', by: 'anonymous' },
    ...{ createdAt: '2026-01-31T08:30:00.000Z', startedAt: null, endedAt: null },
    ...{ starts: 0, error: null, progress: null, notices: [] },
    ...changes,
  };
}
