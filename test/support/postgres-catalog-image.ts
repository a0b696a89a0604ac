import type { PostgresDatabases } from './postgres-databases.ts';

/** What changes without anybody's doing, is another number in each database, or is another word for what the definition says. */
const PASSING = [
  ...['oid', 'relfilenode', 'relpages', 'reltuples', 'relallvisible', 'relallfrozen', 'relfrozenxid', 'relminmxid'],
  ...['relhastriggers', 'relhasindex', 'reltoastrelid', 'objoid', 'classoid', 'extconfig', 'enumsortorder'],
  ...['connoinherit', 'conislocal'],
];
/** Of each catalog, `o`: which rows belong to users, and what the server prints of their trees. */
const CATALOGS: Readonly<Record<string, readonly [condition: string, ...printed: string[]]>> = {
  pg_namespace: [`o.oid >= 16384 OR o.nspname = 'public'`],
  pg_class: [
    `o.oid >= 16384 AND o.relkind <> 't' AND o.relnamespace <> 'pg_toast'::regnamespace`,
    `pg_get_expr(o.relpartbound, o.oid)`,
    `CASE o.relkind WHEN 'p' THEN pg_get_partkeydef(o.oid) WHEN 'v' THEN pg_get_viewdef(o.oid) WHEN 'm' THEN pg_get_viewdef(o.oid) END`,
  ],
  pg_attribute: [
    `o.attrelid IN (SELECT oid FROM pg_class WHERE oid >= 16384 AND relnamespace <> 'pg_toast'::regnamespace) AND o.attnum > 0`,
  ],
  pg_attrdef: ['true', 'pg_get_expr(o.adbin, o.adrelid)'],
  pg_constraint: ['o.oid >= 16384', 'pg_get_constraintdef(o.oid)'],
  pg_index: [
    `o.indexrelid IN (SELECT oid FROM pg_class WHERE oid >= 16384 AND relnamespace <> 'pg_toast'::regnamespace)`,
    'pg_get_indexdef(o.indexrelid)',
  ],
  pg_inherits: ['true'],
  pg_sequence: ['true'],
  pg_type: [`o.oid >= 16384 AND o.typnamespace <> 'pg_toast'::regnamespace`],
  pg_enum: ['true'],
  pg_range: ['o.rngtypid >= 16384'],
  pg_collation: ['o.oid >= 16384'],
  pg_proc: ['o.oid >= 16384', `CASE o.prokind WHEN 'a' THEN NULL ELSE pg_get_functiondef(o.oid) END`],
  pg_aggregate: ['o.aggfnoid >= 16384'],
  pg_trigger: ['NOT o.tgisinternal', 'pg_get_triggerdef(o.oid)'],
  pg_rewrite: ['o.oid >= 16384', 'pg_get_ruledef(o.oid)'],
  pg_policy: ['true', 'pg_get_expr(o.polqual, o.polrelid)', 'pg_get_expr(o.polwithcheck, o.polrelid)'],
  pg_statistic_ext: ['true', 'pg_get_statisticsobjdef(o.oid)'],
  pg_extension: ['true'],
  pg_default_acl: ['true'],
  pg_description: [
    'o.objoid >= 16384',
    '(SELECT concat(i.type, i.identity) FROM pg_identify_object(o.classoid, o.objoid, o.objsubid) i)',
  ],
};

/** Columns of a catalog that name rows of another one by their oids, as the server itself says; and trees, which hold oids. */
const COLUMNS = `
SELECT fktable::text AS catalog, fkcols[1] AS col, pktable::text AS of, is_array::text AS list FROM pg_get_catalog_foreign_keys() WHERE pkcols = '{oid}'
UNION ALL SELECT attrelid::regclass::text, attname, NULL, NULL FROM pg_attribute WHERE atttypid = 'pg_node_tree'::regtype`;

/**
 * Every row of a database's catalogs that is of users, with names in place of oids: a line each. For PostgreSQL from 14 on; unlike
 * what pg_dump prints it needs no program of the server's version, and shows what has no words in SQL.
 */
export async function catalogImage(databases: PostgresDatabases, url: string): Promise<readonly string[]> {
  const columns = Map.groupBy(await databases.query(url, COLUMNS), ({ catalog }) => catalog ?? '');
  const questions = Object.entries(CATALOGS).map(([catalog, [condition, ...printed]]) => {
    const known = (columns.get(catalog) ?? []).filter(({ col }) => !PASSING.includes(col ?? ''));
    const named = known.flatMap(({ col, of, list }) => {
      if (of === null) return [];
      const nameOf = (oid: string): string =>
        of === 'pg_authid'
          ? `pg_get_userbyid(${oid})`
          : `(SELECT i.identity FROM pg_identify_object('${of}'::regclass, ${oid}, 0) i)`;
      const value =
        list === 'true'
          ? `(SELECT jsonb_agg(${nameOf('u.x')} ORDER BY u.i) FROM unnest(o.${col}::oid[]) WITH ORDINALITY u(x, i))`
          : `CASE o.${col}::oid WHEN 0 THEN NULL ELSE ${nameOf(`o.${col}`)} END`;
      return [`'${col}', ${value}`];
    });
    const left = [...PASSING, ...known.filter(({ of }) => of === null).map(({ col }) => col)].join();
    const row = `(to_jsonb(o) - '{${left}}'::text[]) || jsonb_build_object(${named.join(', ')})`;
    return `SELECT concat_ws(' ', '${catalog}', ${[row, ...printed].join(', ')}) AS line FROM ${catalog} o WHERE ${condition}`;
  });
  const answers = await databases.query(url, `SET search_path = ''; ${questions.join('\nUNION ALL ')}`);
  return answers.map(({ line }) => line ?? '').sort();
}
