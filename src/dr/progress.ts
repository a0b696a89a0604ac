import type { TableProgress, WorkProgress } from '../model/dr-progress.ts';

/** How far a backup, restore or verify is. */
export interface DrProgress extends WorkProgress {
  readonly tables: readonly TableProgress[];
}

/** Called at most a few times a second, and once at the end. */
export type OnProgress = (progress: DrProgress) => void;
