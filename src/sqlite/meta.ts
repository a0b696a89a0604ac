import type { Connection } from './database.ts';

/** Creates the table of single facts about a database; its keys start with the name of the part that owns them. */
export function createMeta(executor: Pick<Connection, 'exec'>): void {
  executor.exec('CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID');
}

/** The value stored under `key`, or undefined. */
export function readMeta(executor: Pick<Connection, 'prepare'>, key: string): string | number | undefined {
  return executor.prepare('SELECT value FROM meta WHERE key = ?').get(key)?.value as string | number | undefined;
}

/** Stores `value` under `key`, in place of an earlier one. */
export function writeMeta(executor: Pick<Connection, 'prepare'>, key: string, value: string | number): void {
  executor.prepare('INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)').run(key, value);
}
