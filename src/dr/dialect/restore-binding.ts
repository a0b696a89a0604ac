import { HoldfastError } from '../../errors.ts';
import type { RestoreMode, RestoreOrder } from './restore-target.ts';

/** What the marks of a restore are bound to: only the same one may go on with its progress. */
export interface RestoreBinding {
  /** {@link Manifest.id} and {@link Manifest.digest}. */
  readonly backup: string;
  readonly digest: string;
  readonly mode: RestoreMode;
  /** Ids of the chosen tables, joined by commas; empty for all. */
  readonly tables: string;
  /** Version of the plan whose tasks the marks name; 0 in marks from before there were versions. */
  readonly plan: number;
}

/** The marks that an interrupted restore left in its target. */
export interface RestoreProgressRecord extends RestoreBinding {
  /** Ids of finished tasks. */
  readonly done: ReadonlySet<string>;
}

/**
 * Whether rows may be added to tables that have some and no marks.
 * @throws DR_TARGET_NOT_EMPTY when an earlier run may have added them already: its marks went with its end
 */
export function assertNotAdded(resume: boolean, location: string): void {
  if (!resume) return;
  const message =
    `${location} has rows and no marks of an interrupted restore: either that had ended, or it had not begun. ` +
    'See whether its rows are there; when they are not, restore without --resume.';
  throw new HoldfastError('DR_TARGET_NOT_EMPTY', message);
}

/** The binding of a restore whose tasks are those of version `plan`. */
export function bindingOf({ manifest, mode, isSelection }: RestoreOrder, plan: number): RestoreBinding {
  const tables = isSelection ? manifest.tables.map(({ id }) => id).join(',') : '';
  return { backup: manifest.id, digest: manifest.digest, mode, tables, plan };
}

/** Marks as they are in a target, from the one row that holds their binding. */
export function progressRecord(
  row: Readonly<Record<string, string | null>>,
  tasks: Iterable<string | null>,
): RestoreProgressRecord {
  return {
    ...{ backup: row.backup ?? '', digest: row.digest ?? '', tables: row.tables ?? '', plan: Number(row.plan ?? 0) },
    mode: row.mode === 'data' ? 'data' : 'full',
    done: new Set([...tasks].map((task) => task ?? '')),
  };
}

/**
 * Whether a restore may go on with the marks that were found in `location`.
 * @throws DR_TARGET_NOT_EMPTY for marks of another restore, and of this one when it was not told to go on
 * @throws DR_INCOMPATIBLE for marks of another version of the plan: the same task may be another piece of work there
 */
export function assertOwnMarks(found: RestoreBinding, own: RestoreBinding, resume: boolean, location: string): void {
  if (!(['backup', 'digest', 'mode', 'tables'] as const).every((name) => found[name] === own[name])) {
    const message = `${location} holds an interrupted restore of backup ${found.backup} (mode ${found.mode}).`;
    throw new HoldfastError('DR_TARGET_NOT_EMPTY', message);
  }
  if (found.plan !== own.plan) {
    const message =
      `${location} holds a restore of this backup that another version of Holdfast began (plan ${found.plan}, this one has ${own.plan}): ` +
      `go on with that version, or restore into an empty database.`;
    throw new HoldfastError('DR_INCOMPATIBLE', message);
  }
  if (resume) return;
  const message = `${location} holds an interrupted restore of this backup: go on with --resume.`;
  throw new HoldfastError('DR_TARGET_NOT_EMPTY', message);
}
