import { closeSync, fsyncSync, openSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SqliteChangeLog } from '../changelog/sqlite-change-log.ts';
import type { LogEntry } from '../model/change.ts';
import type { Database } from '../sqlite/database.ts';
import { syncDirectory } from '../util/directory.ts';
import { ConflictKind, type Conflicts } from './conflicts.ts';

const READ = { maxChanges: 500, maxBytes: 4 * 1024 * 1024 };

export interface DivergenceOptions {
  readonly log: SqliteChangeLog;
  readonly database: Database;
  readonly conflicts: Conflicts;
  /** Data directory: the file goes there. */
  readonly directory: string;
}

/**
 * Writes the changes of this log from `from` on, as far as they are kept, to `divergent-<logId>-<from>.jsonl`: one entry a line, with
 * its document; and lists the last state of each of their documents as a conflict. Durable when the promise resolves, with the
 * path of the file, null when there are no such changes. Nothing may be appended meanwhile. Doing it again gives the same.
 */
export async function exportDivergent(options: DivergenceOptions, from: number): Promise<string | null> {
  const { log, database, conflicts, directory } = options;
  if (log.head().sequence < from) return null;
  const path = join(directory, `divergent-${log.logId}-${from}.jsonl`);
  const draft = `${path}.draft`;
  const last = new Map<string, LogEntry>();
  const file = openSync(draft, 'w', 0o600);
  try {
    let after = Math.max(from, log.floor()) - 1;
    for (;;) {
      const entries = await log.read(after, READ);
      if (entries.length === 0) break;
      writeFileSync(file, entries.map(lineOf).join(''));
      for (const entry of entries) {
        if (entry.operation !== 'EPOCH') last.set(`${entry.collection}\0${entry.id}`, { ...entry, image: null });
      }
      after = entries.at(-1)?.sequence as number;
    }
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(draft, path);
  syncDirectory(directory);
  await list([...last.values()], options, conflicts, database);
  return path;
}

/** In slices, so that nobody waits long; entries are read again, for their images need not be held together. */
async function list(
  entries: readonly LogEntry[],
  { log }: DivergenceOptions,
  conflicts: Conflicts,
  database: Database,
): Promise<void> {
  for (let next = 0; next < entries.length; next += READ.maxChanges) {
    await database.transaction((transaction) => {
      for (const { sequence, collection, id, version } of entries.slice(next, next + READ.maxChanges)) {
        const proposed = log.entrySeenBy(transaction, sequence)?.image ?? null;
        conflicts.addWithin(transaction, {
          ...{ kind: ConflictKind.DIVERGED, collection, document: id, proposed },
          ...{ base: null, baseVersion: null, current: null, currentVersion: version },
        });
      }
    });
  }
}

/** One entry as JSON; `id` and `document` are document text, which is JSON. */
function lineOf({ sequence, epoch, operation, collection, id, version, at, key, image, chain }: LogEntry): string {
  const document = image === null ? 'null' : image;
  const facts = JSON.stringify({ sequence, epoch, operation, collection, version, at, key, chain });
  return `${facts.slice(0, -1)},"id":${id || 'null'},"document":${document}}\n`;
}
