import { NOT_OF_EXTENSION, USER_SCHEMA } from './postgres-catalog.ts';

/** How one kind of object is found, and what of it becomes a `DumpEntry`; expressions of SQL unless said otherwise. */
export interface ExportColumns {
  /** Name of the catalog that lists the object. */
  readonly catalog: string;
  /** Zero for what the catalog does not list; then it has a key. */
  readonly oid: string;
  /** Names the object among all; by default {@link keyOf} its oid. */
  readonly key?: string;
  readonly kind: string;
  readonly schema?: string;
  readonly tag: string;
  /** A word. */
  readonly section: 'NONE' | 'PRE_DATA' | 'POST_DATA';
  /** Oid of the role. */
  readonly owner?: string;
  /** The statements that create it; null when there is nothing to be written. */
  readonly definition: string;
  readonly drop?: string;
  /** An array of keys of objects it depends on, besides those that pg_depend lists. */
  readonly needs?: string;
  /** FROM … WHERE … */
  readonly from: string;
}

/** A statement that lists objects of one kind: a row for each, with `needs` as JSON. */
export function listOf(columns: ExportColumns): string {
  const { catalog, oid, kind, schema, tag, section, owner, definition, drop, needs, from } = columns;
  return `SELECT ${columns.key ?? keyOf(catalog, oid)} AS key, '${catalog}'::regclass::oid::int8 AS catalog, (${oid})::int8 AS oid, ${kind} AS kind,
  ${schema ?? 'NULL'}::text AS schema, ${tag}::text AS tag, '${section}' AS section, ${owner === undefined ? 'NULL' : `pg_get_userbyid(${owner})`}::text AS owner,
  ${definition} AS definition, ${drop ?? `''`} AS drop, to_json(${needs ?? `'{}'::text[]`})::text AS needs
${from}`;
}

/** Key of an object: SQL. */
export function keyOf(catalog: string, oid: string): string {
  return `('${catalog}'::regclass::oid || ':' || (${oid}))`;
}

/** `n` is a schema of users, and the object no part of an extension: SQL. */
export function isOurs(catalog: string, oid: string): string {
  return `${USER_SCHEMA} AND ${NOT_OF_EXTENSION(catalog, oid)}`;
}

/** An object as ALTER, COMMENT and GRANT name it, without its kind: SQL. */
export function identityOf(catalog: string, oid: string): string {
  return `(SELECT i.identity FROM pg_identify_object('${catalog}'::regclass, ${oid}, 0) i)`;
}

/** Storage parameters as WITH takes them, without it; null for none: SQL. */
export function parameters(options: string, prefix = ''): string {
  return `(SELECT string_agg(format('${prefix}%I=%L', split_part(o, '=', 1), substr(o, strpos(o, '=') + 1)), ', ') FROM unnest(${options}) o)`;
}

/** ` COLLATE …` where `collation` is another one than that of `type`, an oid each; else empty: SQL. */
export function collateOf(collation: string, type: string): string {
  return `coalesce((SELECT format(' COLLATE %s.%I', co.collnamespace::regnamespace::text, co.collname) FROM pg_collation co
    WHERE co.oid = ${collation} AND co.oid <> (SELECT ct.typcollation FROM pg_type ct WHERE ct.oid = ${type})), '')`;
}

/** For servers from 18 on NOT NULL is a constraint with a name. */
export const NAMED_NOT_NULL = `current_setting('server_version_num')::int >= 180000`;
