import type { PostgresSession } from '../../sql/postgres-session.ts';

/** Schema in which a restore keeps its progress; never part of a backup. */
export const PROGRESS_SCHEMA = 'holdfast_dr';

export interface CatalogColumn {
  readonly name: string;
  readonly type: string;
  /** Computed by the server from other columns. */
  readonly generated: boolean;
  /** Name of the type at the bottom: of a domain its base, of an array `element[]`; with its schema unless that is pg_catalog. */
  readonly base: string;
}

export interface TableIdentity {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
}

/** What is to be known of a table before it is locked. */
export interface HeldTable extends TableIdentity {
  /** `r` for a table with rows of its own, `p` for a partitioned one. */
  readonly kind: 'r' | 'p';
  /** The topmost partitioned table; its own oid for a table that is no partition. */
  readonly root: number;
  /** May be read by us, and no policy hides rows. */
  readonly readable: boolean;
  readonly hidesRows: boolean;
}

export interface CatalogTable extends HeldTable {
  /**
   * Of a topmost partitioned table: which partition a row belongs to is not the same in every database, because it is told by the
   * hash of an enum, and so of an oid. Its rows can only be loaded through itself.
   */
  readonly scattered: boolean;
  /** The partitioned tables it is a partition of, also of partitions. */
  readonly ancestors: readonly number[];
  /** Pages of rows, and bytes with everything that is stored apart (TOAST). */
  readonly pages: number;
  readonly bytes: number;
  readonly columns: readonly CatalogColumn[];
  /** `WHERE …` of the rows that are not the extension's own, for a table that an extension made; null for other tables. */
  readonly condition: string | null;
}

/** A foreign key by oids; see `ForeignKey`. */
export interface CatalogKey {
  readonly name: string;
  readonly child: number;
  readonly parent: number;
  readonly childColumns: readonly string[];
  readonly parentColumns: readonly string[];
  readonly deferrable: boolean;
  readonly validated: boolean;
  readonly match: 'SIMPLE' | 'FULL';
  /** How the server compares each parent column with its child column: `OPERATOR(pg_catalog.=)`. */
  readonly operators: readonly string[];
}

export interface CatalogSequence {
  readonly schema: string;
  readonly name: string;
  readonly readable: boolean;
  /** Table of the column that owns it; null for none. */
  readonly table: number | null;
  /** An extension made it, and has said that where it stands is the user's. */
  readonly configures: boolean;
}

/** A materialized view that holds rows. */
export interface CatalogView {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** Materialized views it reads, also through views. */
  readonly reads: readonly number[];
}

export interface CatalogLargeObject {
  readonly oid: number;
  readonly owner: string;
  readonly comment: string | null;
  /** `GRANT` statements. */
  readonly grants: readonly string[];
}

/** What holds the user's data in a database, and who may read it. */
export interface PostgresHolders {
  readonly tables: readonly HeldTable[];
  readonly sequences: readonly CatalogSequence[];
  readonly largeObjects: readonly CatalogLargeObject[];
  /** May read `pg_largeobject`. */
  readonly readsLargeObjects: boolean;
}

/** The user's part of a database, as one snapshot shows it. */
export interface PostgresCatalog extends PostgresHolders {
  readonly tables: readonly CatalogTable[];
  readonly keys: readonly CatalogKey[];
  readonly views: readonly CatalogView[];
}

/** `n` is a schema of users: not the server's, not ours. */
export const USER_SCHEMA = `n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', '${PROGRESS_SCHEMA}')`;
/** The object is no part of an extension. */
export const NOT_OF_EXTENSION = (catalog: string, oid: string): string =>
  `NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = '${catalog}'::regclass AND e.objid = ${oid} AND e.deptype = 'e')`;

/**
 * A trigger that the server made to enforce a key. Before 15 the copies that partitions have of users' own triggers count as made by the
 * server, too.
 */
export const ENFORCES_KEY = (trigger: string): string =>
  `(${trigger}.tgisinternal AND (${trigger}.tgparentid = 0 OR EXISTS (SELECT FROM pg_constraint k WHERE k.oid = ${trigger}.tgconstraint AND k.contype <> 't')))`;

/** No answer is given for what somebody has just dropped: it is for the locks to find that out. */
const READABLE = (privilege: string): string =>
  `coalesce(${privilege}(c.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE'), true)`;

/** An extension made the object, and has said that its contents are the user's. */
const CONFIGURES = 'EXISTS (SELECT FROM pg_extension x WHERE c.oid = ANY (x.extconfig))';

/** The tables that hold rows of users. */
const HELD = `
  SELECT c.* FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND ${USER_SCHEMA}
    AND (${NOT_OF_EXTENSION('pg_class', 'c.oid')} OR ${CONFIGURES})`;

/** The topmost partitioned table of `c`, or itself. */
const ROOT = `coalesce((SELECT relid::oid::int8 FROM pg_partition_ancestors(c.oid) WITH ORDINALITY a(relid, i) ORDER BY i DESC LIMIT 1), c.oid::int8)`;

const IDENTITIES = `
SELECT coalesce(json_agg(x ORDER BY x.schema COLLATE "C", x.name COLLATE "C"), '[]')::text AS json FROM (
  SELECT c.oid::int8 AS oid, n.nspname AS schema, c.relname AS name FROM (${HELD}) c JOIN pg_namespace n ON n.oid = c.relnamespace
) x`;

/** No column and no size, which is what takes long: everything else waits for this. */
const HELD_TABLES = `
SELECT coalesce(json_agg(x ORDER BY x.schema COLLATE "C", x.name COLLATE "C"), '[]')::text AS json FROM (
  SELECT c.oid::int8 AS oid, n.nspname AS schema, c.relname AS name, c.relkind AS kind, ${ROOT} AS root,
    ${READABLE('has_table_privilege')} AS readable, row_security_active(c.oid) AS "hidesRows"
  FROM (${HELD}) c JOIN pg_namespace n ON n.oid = c.relnamespace
) x`;

/** The columns of all tables in one pass: asked for table by table they take many times as long. */
const TABLES = `
WITH RECURSIVE held AS MATERIALIZED (${HELD}
), attributes AS MATERIALIZED (
  SELECT a.* FROM pg_attribute a JOIN held c ON c.oid = a.attrelid WHERE a.attnum > 0 AND NOT a.attisdropped
), steps(type, oid, dims, depth) AS (
  SELECT DISTINCT atttypid, atttypid, '', 0 FROM attributes
  UNION ALL
  SELECT s.type, CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.typelem END, s.dims || CASE WHEN t.typtype = 'd' THEN '' ELSE '[]' END, s.depth + 1
  FROM steps s JOIN pg_type t ON t.oid = s.oid
  WHERE t.typtype = 'd' OR (t.typcategory = 'A' AND t.oid NOT IN ('int2vector'::regtype, 'oidvector'::regtype))
), bases AS MATERIALIZED (
  SELECT DISTINCT ON (type) type, format_type(oid, NULL) || dims AS base FROM steps ORDER BY type, depth DESC
), columns AS MATERIALIZED (
  SELECT a.attrelid, json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
    'generated', a.attgenerated <> '', 'base', b.base) ORDER BY a.attnum) AS list
  FROM attributes a JOIN bases b ON b.type = a.atttypid GROUP BY a.attrelid
)
SELECT coalesce(json_agg(x ORDER BY x.schema COLLATE "C", x.name COLLATE "C"), '[]')::text AS json FROM (
  SELECT c.oid::int8 AS oid, n.nspname AS schema, c.relname AS name, c.relkind AS kind,
    ${ROOT} AS root,
    coalesce((SELECT json_agg(a.relid::oid::int8) FROM pg_partition_ancestors(c.oid) a(relid) WHERE a.relid <> c.oid), '[]') AS ancestors,
    c.relkind = 'p' AND NOT c.relispartition AND EXISTS (SELECT FROM pg_partition_tree(c.oid) m JOIN pg_partitioned_table p ON p.partrelid = m.relid
      JOIN pg_opclass o ON o.oid = ANY (p.partclass) WHERE p.partstrat = 'h' AND o.opcintype = 'anyenum'::regtype) AS scattered,
    CASE c.relkind WHEN 'r' THEN pg_relation_size(c.oid) / current_setting('block_size')::int ELSE 0 END AS pages,
    CASE c.relkind WHEN 'r' THEN pg_table_size(c.oid) ELSE 0 END AS bytes,
    ${READABLE('has_table_privilege')} AS readable,
    row_security_active(c.oid) AS "hidesRows",
    (SELECT coalesce(x.extcondition[array_position(x.extconfig, c.oid)], '') FROM pg_extension x WHERE c.oid = ANY (x.extconfig)) AS condition,
    coalesce(l.list, '[]') AS columns
  FROM held c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN columns l ON l.attrelid = c.oid
) x`;

const KEYS = `
SELECT coalesce(json_agg(x ORDER BY x.child, x.name COLLATE "C"), '[]')::text AS json FROM (
  SELECT k.conname AS name, k.conrelid::int8 AS child, k.confrelid::int8 AS parent, k.condeferrable AS deferrable, k.convalidated AS validated,
    CASE k.confmatchtype WHEN 'f' THEN 'FULL' ELSE 'SIMPLE' END AS match,
    (SELECT json_agg(a.attname ORDER BY i) FROM unnest(k.conkey) WITH ORDINALITY u(n, i) JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n) AS "childColumns",
    (SELECT json_agg(a.attname ORDER BY i) FROM unnest(k.confkey) WITH ORDINALITY u(n, i) JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.n) AS "parentColumns",
    (SELECT json_agg((SELECT format('OPERATOR(%I.%s)', o.oprnamespace::regnamespace, o.oprname) FROM pg_operator o WHERE o.oid = u.op) ORDER BY i) FROM unnest(k.conpfeqop) WITH ORDINALITY u(op, i)) AS operators
  FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE k.contype = 'f' AND k.conparentid = 0 AND ${USER_SCHEMA}
) x`;

const SEQUENCES = `
SELECT coalesce(json_agg(x ORDER BY x.schema COLLATE "C", x.name COLLATE "C"), '[]')::text AS json FROM (
  SELECT n.nspname AS schema, c.relname AS name,
    ${READABLE('has_sequence_privilege')} AS readable,
    (SELECT d.refobjid::int8 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') LIMIT 1) AS table,
    ${CONFIGURES} AS configures
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'S' AND c.relpersistence <> 't' AND ${USER_SCHEMA} AND (${NOT_OF_EXTENSION('pg_class', 'c.oid')} OR ${CONFIGURES})
) x`;

const VIEWS = `
WITH RECURSIVE reads(view, target) AS (
  SELECT c.oid, d.refobjid
  FROM pg_class c JOIN pg_rewrite r ON r.ev_class = c.oid JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
  WHERE c.relkind IN ('v', 'm') AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> c.oid
), reach(view, target) AS (
  SELECT view, target FROM reads
  UNION
  SELECT reach.view, reads.target FROM reach JOIN reads ON reads.view = reach.target
)
SELECT coalesce(json_agg(x ORDER BY x.schema COLLATE "C", x.name COLLATE "C"), '[]')::text AS json FROM (
  SELECT c.oid::int8 AS oid, n.nspname AS schema, c.relname AS name,
    coalesce((SELECT json_agg(DISTINCT m.oid::int8) FROM reach JOIN pg_class m ON m.oid = reach.target AND m.relkind = 'm' WHERE reach.view = c.oid), '[]') AS reads
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'm' AND c.relispopulated AND ${USER_SCHEMA} AND ${NOT_OF_EXTENSION('pg_class', 'c.oid')}
) x`;

const LARGE_OBJECTS = `
SELECT coalesce(json_agg(x ORDER BY x.oid), '[]')::text AS json FROM (
  SELECT l.oid::int8 AS oid, r.rolname AS owner, obj_description(l.oid, 'pg_largeobject') AS comment,
    coalesce((SELECT json_agg(format('GRANT %s ON LARGE OBJECT %s TO %s%s', a.privilege_type, l.oid,
        CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
        CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END))
      FROM aclexplode(l.lomacl) a WHERE a.grantee <> l.lomowner), '[]') AS grants
  FROM pg_largeobject_metadata l JOIN pg_roles r ON r.oid = l.lomowner
) x`;

const READS_LARGE_OBJECTS = `SELECT to_json(has_table_privilege('pg_catalog.pg_largeobject', 'SELECT'))::text AS json`;

/** Reads the catalog in the session's snapshot. */
export async function readCatalog(session: PostgresSession): Promise<PostgresCatalog> {
  return {
    tables: await read(session, TABLES),
    ...(await readOthers(session)),
    keys: await read(session, KEYS),
    views: await read(session, VIEWS),
  };
}

/** The part of the catalog that tells what is to be locked and what may not be read. */
export async function readHolders(session: PostgresSession): Promise<PostgresHolders> {
  return { tables: await read(session, HELD_TABLES), ...(await readOthers(session)) };
}

async function readOthers(session: PostgresSession): Promise<Omit<PostgresHolders, 'tables'>> {
  return {
    sequences: await read(session, SEQUENCES),
    largeObjects: await read(session, LARGE_OBJECTS),
    readsLargeObjects: await read(session, READS_LARGE_OBJECTS),
  };
}

/** Which tables there are, in the order of {@link readHolders}: all that tells whether one was created or dropped. */
export function readIdentities(session: PostgresSession): Promise<readonly TableIdentity[]> {
  return read(session, IDENTITIES);
}

async function read<T>(session: PostgresSession, text: string): Promise<T> {
  const [row] = await session.query(text);
  return JSON.parse(row?.json ?? 'null') as T;
}

/** Which table each index, constraint, default, trigger, rule, policy and statistics object belongs to; by `classid:oid`. */
export async function readTableOfObjects(session: PostgresSession): Promise<ReadonlyMap<string, number>> {
  const rows = await session.query(`
    SELECT c || ':' || o AS object, t::text AS "table" FROM (
      SELECT 'pg_class'::regclass::oid::int8 c, oid::int8 o, oid::int8 t FROM pg_class WHERE relkind IN ('r', 'p')
      UNION ALL SELECT 'pg_class'::regclass::oid::int8, indexrelid::int8, indrelid::int8 FROM pg_index
      UNION ALL SELECT 'pg_constraint'::regclass::oid::int8, oid::int8, conrelid::int8 FROM pg_constraint WHERE conrelid <> 0
      UNION ALL SELECT 'pg_attrdef'::regclass::oid::int8, oid::int8, adrelid::int8 FROM pg_attrdef
      UNION ALL SELECT 'pg_trigger'::regclass::oid::int8, oid::int8, tgrelid::int8 FROM pg_trigger
      UNION ALL SELECT 'pg_rewrite'::regclass::oid::int8, oid::int8, ev_class::int8 FROM pg_rewrite
      UNION ALL SELECT 'pg_policy'::regclass::oid::int8, oid::int8, polrelid::int8 FROM pg_policy
      UNION ALL SELECT 'pg_statistic_ext'::regclass::oid::int8, oid::int8, stxrelid::int8 FROM pg_statistic_ext
    ) x WHERE o >= 16384`);
  return new Map(rows.map(({ object, table }) => [object ?? '', Number(table)]));
}
