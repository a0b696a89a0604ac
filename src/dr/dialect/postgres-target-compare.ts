import { literalPostgres, qualifiedPostgres } from '../../sql/identifiers.ts';
import type { PostgresRow, PostgresSession } from '../../sql/postgres-session.ts';
import type { Manifest, ManifestTable } from '../archive/manifest.ts';

/** Statements put together into one question, so that many small tables cost few round trips. */
const TOGETHER = 100;

/** Tables of the backup that the target lacks or has with other columns, in words. */
export async function findTableDifferences(session: PostgresSession, { tables }: Manifest): Promise<readonly string[]> {
  const rows = await session.query(
    `SELECT n.nspname AS schema, c.relname AS name, a.attname AS column, format_type(a.atttypid, a.atttypmod) AS type,
       (a.attgenerated <> '')::text AS generated
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE c.relkind IN ('r', 'p') ORDER BY c.oid, a.attnum`,
  );
  const found = Map.groupBy(rows, ({ schema, name }) => qualifiedPostgres({ schema: schema ?? '', name: name ?? '' }));
  return tables.flatMap((table) => {
    const there = found.get(qualifiedPostgres(table));
    if (there === undefined) return [`${qualifiedPostgres(table)} does not exist`];
    const differing = differingColumn(
      table,
      there.filter(({ column }) => column !== null),
    );
    return differing === undefined ? [] : [`${qualifiedPostgres(table)} differs in column "${differing}"`];
  });
}

/** Names of the tables of the backup that have rows in the target. */
export async function findRows(
  session: PostgresSession,
  { tables }: Pick<Manifest, 'tables'>,
): Promise<readonly string[]> {
  const filled = await ask(session, tables, (table, index) => {
    const name = qualifiedPostgres(table);
    return `SELECT ${index} AS index, ${literalPostgres(name)} AS name WHERE EXISTS (SELECT FROM ONLY ${name})`;
  });
  return filled.map(({ name }) => name ?? '');
}

/** What is not as the manifest says: columns, numbers of rows, values of sequences; empty when the target is what a restore would make. */
export async function findDifferences(session: PostgresSession, manifest: Manifest): Promise<readonly string[]> {
  const tables = await findTableDifferences(session, manifest);
  if (tables.length > 0) return tables;
  const parts = await scatteredParts(session, manifest);
  const holding = manifest.tables.filter((table) => !parts.has(qualifiedPostgres(table)));
  const counted = await ask(session, holding, (table, index) => {
    const name = qualifiedPostgres(table);
    const from = table.scattered ? name : `ONLY ${name}`;
    return `SELECT ${index} AS index, ${literalPostgres(name)} AS name, count(*)::text AS rows FROM ${from} HAVING count(*) <> ${table.rows}`;
  });
  const missing = await findMissingSequences(session, manifest);
  if (missing.length > 0) return missing;
  const moved = await ask(session, manifest.sequences, (sequence, index) => {
    const name = qualifiedPostgres(sequence);
    return `SELECT ${index} AS index, ${literalPostgres(name)} AS name FROM ${name}
      WHERE last_value <> ${literalPostgres(sequence.lastValue)}::bigint OR is_called <> ${sequence.isCalled}`;
  });
  return [
    ...counted.map(({ name, rows }) => `${name} has ${rows} rows`),
    ...moved.map(({ name }) => `sequence ${name} stands elsewhere`),
  ];
}

/** Sequences of the backup that the target lacks, in words. */
export async function findMissingSequences(
  session: PostgresSession,
  { sequences }: Pick<Manifest, 'sequences'>,
): Promise<readonly string[]> {
  const missing = await session.query(
    `SELECT format('sequence %I.%I does not exist', s->>0, s->>1) AS what FROM json_array_elements($1::json) s
     WHERE NOT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE c.relkind = 'S' AND n.nspname = s->>0 AND c.relname = s->>1)`,
    [JSON.stringify(sequences.map(({ schema, name }) => [schema, name]))],
  );
  return missing.map(({ what }) => what ?? '');
}

/** Partitions whose rows are counted with those of the whole. */
async function scatteredParts(session: PostgresSession, { tables }: Manifest): Promise<ReadonlySet<string>> {
  const parts = await ask(
    session,
    tables.filter(({ scattered }) => scattered),
    (table) => `SELECT n.nspname AS schema, c.relname AS name
      FROM pg_partition_tree(${literalPostgres(qualifiedPostgres(table))}::regclass) t JOIN pg_class c ON c.oid = t.relid
        JOIN pg_namespace n ON n.oid = c.relnamespace WHERE t.level > 0`,
  );
  return new Set(parts.map(({ schema, name }) => qualifiedPostgres({ schema: schema ?? '', name: name ?? '' })));
}

async function ask<T>(
  session: PostgresSession,
  items: readonly T[],
  question: (item: T, index: number) => string,
): Promise<PostgresRow[]> {
  const answers: PostgresRow[] = [];
  for (let from = 0; from < items.length; from += TOGETHER) {
    const questions = items.slice(from, from + TOGETHER).map((item, index) => question(item, from + index));
    answers.push(...(await session.query(questions.join('\nUNION ALL '))));
  }
  return answers;
}

function differingColumn(table: ManifestTable, there: readonly PostgresRow[]): string | undefined {
  const left = new Map(there.map((row) => [row.column ?? '', row]));
  for (const { name, type, generated } of table.columns) {
    const row = left.get(name);
    left.delete(name);
    if (row === undefined || row.type !== type || row.generated !== `${generated}`) return name;
  }
  return [...left.keys()][0];
}
