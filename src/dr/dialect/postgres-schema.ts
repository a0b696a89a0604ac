import { type ErrorCode, HoldfastError, isHoldfastError } from '../../errors.ts';
import type { SqlConnections } from '../../sql/connect.ts';
import type { PostgresSession } from '../../sql/postgres-session.ts';
import { CATALOG_NOTE, type SourceOptions } from './backup-source.ts';
import { readDumpFile } from './postgres-dump-file.ts';
import { type CatalogExport, exportCatalog } from './postgres-export.ts';
import { dumpSchema, type PgDump } from './postgres-pg-dump.ts';
import { LOCK_MESSAGE } from './postgres-snapshot.ts';

/** We hold every lock that pg_dump asks for: it could only wait for somebody who waits for us. */
const DUMP_LOCK_WAIT_MS = 500;

/** The schema as it is written into the archive, and what is to be said about it. */
export interface SourceSchema extends CatalogExport {
  readonly notes: readonly string[];
}

/** Reads the schema by our own queries, in the session's snapshot. @throws DR_UNSUPPORTED_OBJECT for objects that only pg_dump keeps, unless they may be left out */
export async function readByCatalog(session: PostgresSession, options: SourceOptions): Promise<SourceSchema> {
  options.onPhase('reading the schema without pg_dump');
  const schema = await exportCatalog(session);
  if (schema.unsupported.length > 0 && !options.allowUnsupported) {
    throw new HoldfastError(
      'DR_UNSUPPORTED_OBJECT',
      `Without pg_dump the backup cannot hold ${schema.unsupported.join('; ')}: install the PostgreSQL client of the server's version.`,
      { details: { objects: schema.unsupported } },
    );
  }
  return { ...schema, notes: [CATALOG_NOTE] };
}

/** What `pg_dump` fails with, by its words; DR_INCOMPATIBLE for all others. */
const CODES: readonly (readonly [RegExp, ErrorCode])[] = [
  [/permission denied/, 'DR_PRIVILEGE_MISSING'],
  [
    /connection to server|server closed the connection|terminating connection|could not (receive|send) data/,
    'DATABASE_UNAVAILABLE',
  ],
];

/**
 * Reads the schema by pg_dump, in an exported snapshot.
 * @throws DR_PRIVILEGE_MISSING, DATABASE_UNAVAILABLE, DR_INCOMPATIBLE; what it says of locks as it is
 */
export async function readByPgDump(
  tool: PgDump,
  sql: SqlConnections,
  { name, signal, encoding }: { readonly name: string; readonly signal: AbortSignal; readonly encoding: string },
): Promise<SourceSchema> {
  try {
    const bytes = await dumpSchema(tool, sql.endpoint, {
      ...{ snapshot: name, lockWaitMs: DUMP_LOCK_WAIT_MS, signal },
      encoding: encoding === 'SQL_ASCII' ? 'SQL_ASCII' : 'UTF8',
    });
    return { entries: readDumpFile(bytes), unsupported: [], notes: [] };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (isHoldfastError(error) || LOCK_MESSAGE.test(message)) throw error;
    const code = CODES.find(([words]) => words.test(message))?.[1] ?? 'DR_INCOMPATIBLE';
    throw new HoldfastError(code, `pg_dump could not read the schema: ${message}`, { cause: error });
  }
}
