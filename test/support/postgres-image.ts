import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { PostgresDatabases } from './postgres-databases.ts';
import { postgresPrograms } from './servers/postgres.ts';

/** Everything in a database that can be told from outside, as text by schema; under `''` what is in no schema. */
export type PostgresImage = ReadonlyMap<string, readonly string[]>;

const SETTINGS = `SET row_security = off; SET timezone = 'UTC'; SET extra_float_digits = 3; SET bytea_output = hex; SET lc_monetary = 'C'; SET search_path = ''`;
const TOGETHER = 100;

/**
 * Looks at a database with the server's own tools, none of ours: the sections of `pg_dump --schema-only`, each table's rows as a count and
 * a hash over them in order, filled materialized views, sequences, large objects with their owners and grants.
 */
export async function imageOf(databases: PostgresDatabases, url: string): Promise<PostgresImage> {
  const image = new Map<string, string[]>();
  const add = (schema: string, line: string): void => {
    const lines = image.get(schema);
    if (lines === undefined) image.set(schema, [line]);
    else lines.push(line);
  };
  for (const { schema, text } of schemaSections(url)) add(schema, text);
  for (const { schema, line } of await contentLines(databases, url)) add(schema ?? '', line ?? '');
  for (const lines of image.values()) lines.sort();
  return image;
}

/** Makes in an empty database what another one has, but for its contents, with the server's own tools. */
export function copySchema(from: string, to: string): void {
  const [dump, psql] = ['pg_dump', 'psql'].map((program) => join(postgresPrograms() ?? '', program)) as [
    string,
    string,
  ];
  const input = execFileSync(dump, ['--schema-only', from], { maxBuffer: 1 << 28 });
  execFileSync(psql, ['-qX', '-v', 'ON_ERROR_STOP=1', to], { input, stdio: ['pipe', 'ignore', 'inherit'] });
}

/** The dump, cut where it names the next object, without what depends on the run or the order. */
function schemaSections(url: string): { readonly schema: string; readonly text: string }[] {
  const dump = execFileSync(join(postgresPrograms() ?? '', 'pg_dump'), ['--schema-only', '--encoding=UTF8', url], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  const parts = dump.split(/^-- Name: (?=.*; Type: .*; Schema: .*; Owner: .*$)/m).slice(1);
  return parts.map((part) => {
    const [head = '', ...rest] = part.split('\n');
    const schema = /; Schema: (.*); Owner: /.exec(head)?.[1] ?? '';
    const body = rest.filter((line) => !/^(--.*|SET default_.*|\\(un)?restrict .*|\s*)$/.test(line));
    return { schema: schema === '-' ? '' : schema, text: [head, ...body].join('\n') };
  });
}

async function contentLines(
  databases: PostgresDatabases,
  url: string,
): Promise<readonly Readonly<Record<string, string | null>>[]> {
  const relations = await databases.query(
    url,
    `SELECT format('%I.%I', n.nspname, c.relname) AS name, quote_literal(n.nspname) AS schema, quote_literal(c.relname) AS label, c.relkind::text AS kind, c.relispopulated::text AS filled, c.relispartition::text AS part,
       (SELECT bool_or(p.partstrat = 'h') FROM pg_partition_ancestors(c.oid) a(relid) JOIN pg_partitioned_table p ON p.partrelid = a.relid)::text AS hashed
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'm', 'S', 'p') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1`,
  );
  const questions = relations.flatMap(({ name, schema, label, kind, filled, part, hashed }) => {
    if (kind === 'S') return [`SELECT ${schema}, concat_ws(' ', ${label}, last_value, is_called) FROM ${name}`];
    if (filled === 'false') return [`SELECT ${schema}, concat(${label}, ' is not filled')`];
    // Into which partition a row falls by its hash is not the same in every database: there the whole table is looked at.
    if (hashed === 'true' ? part === 'true' : kind === 'p') return [];
    const hash = `md5(coalesce(string_agg(r::text, E'\\n' ORDER BY r::text COLLATE "C"), ''))`;
    return [
      `SELECT ${schema}, concat_ws(' ', ${label}, count(*), ${hash}) FROM ${kind === 'r' ? 'ONLY' : ''} ${name} AS r`,
    ];
  });
  questions.push(
    `SELECT '', concat_ws(' ', 'large object', l.oid, l.lomowner::regrole, l.lomacl, obj_description(l.oid, 'pg_largeobject'), md5(lo_get(l.oid))) FROM pg_largeobject_metadata l`,
    // pg_dump leaves out what a large part of these say.
    `SELECT '', concat_ws(' ', 'index', indexrelid::regclass, indisvalid, indisready) FROM pg_index WHERE indrelid >= 16384 AND indislive AND (indisvalid OR indrelid IN (SELECT partrelid FROM pg_partitioned_table)) AND indrelid NOT IN (SELECT oid FROM pg_class WHERE relkind = 't')`,
    `SELECT '', concat_ws(' ', 'constraint', conrelid::regclass, conname, convalidated) FROM pg_constraint WHERE conrelid >= 16384 AND contype IN ('f', 'c')`,
  );
  const lines: Readonly<Record<string, string | null>>[] = [];
  for (let from = 0; from < questions.length; from += TOGETHER) {
    const some = questions.slice(from, from + TOGETHER);
    lines.push(
      ...(await databases.query(
        url,
        `${SETTINGS}; SELECT NULL AS schema, NULL AS line WHERE false UNION ALL ${some.join(' UNION ALL ')}`,
      )),
    );
  }
  return lines;
}
