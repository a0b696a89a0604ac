/** Where a table is in a backup, restore or verification. */
export const TableState = { QUEUED: 'QUEUED', RUNNING: 'RUNNING', DONE: 'DONE', FAILED: 'FAILED' } as const;
export type TableState = (typeof TableState)[keyof typeof TableState];

export interface TableProgress {
  /** `schema.name` on PostgreSQL, `name` on MariaDB and MySQL. */
  readonly name: string;
  readonly state: TableState;
  readonly rows: number;
  readonly bytes: number;
  /** From 1; null before it starts. */
  readonly worker: number | null;
  /** ISO 8601, as `endedAt`. */
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  readonly error: string | null;
}

/** How far a backup, restore or verification is, all tables together. */
export interface WorkProgress {
  /** For people: `locking`, `reading rows`, `building indexes`, … */
  readonly phase: string;
  readonly tablesDone: number;
  readonly tablesTotal: number;
  readonly rowsDone: number;
  /** Bytes of rows before compression. The total is an estimate while a backup runs. */
  readonly bytesDone: number;
  readonly bytesTotal: number;
  /** 0…100, never falling. */
  readonly percent: number;
  /** Time left; null while unknown. */
  readonly etaMs: number | null;
}
