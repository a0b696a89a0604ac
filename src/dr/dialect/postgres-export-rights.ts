import { isOurs, keyOf, listOf } from './postgres-export-sql.ts';

/** Things with grants: their grants, and those that they have without any statement. */
const GRANTED = `
  SELECT ${keyOf('pg_class', 'c.oid')} AS of, 'pg_class'::regclass AS class, c.oid AS id, 0 AS sub, n.nspname AS schema, c.relowner AS owner, c.relacl AS acl,
    acldefault(CASE c.relkind WHEN 'S' THEN 's'::"char" ELSE 'r' END, c.relowner) AS base, CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS type, format('%I.%I', n.nspname, c.relname) AS name, NULL::name AS col
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S')
  UNION ALL SELECT ${keyOf('pg_class', 'c.oid')}, 'pg_class'::regclass, c.oid, a.attnum, n.nspname, c.relowner, a.attacl, NULL, 'TABLE', format('%I.%I', n.nspname, c.relname), a.attname
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm') AND NOT a.attisdropped
  UNION ALL SELECT ${keyOf('pg_proc', 'p.oid')}, 'pg_proc'::regclass, p.oid, 0, n.nspname, p.proowner, p.proacl, acldefault('f', p.proowner), CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, i.identity, NULL
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace, pg_identify_object('pg_proc'::regclass, p.oid, 0) i WHERE p.proacl IS NOT NULL
  UNION ALL SELECT ${keyOf('pg_type', 't.oid')}, 'pg_type'::regclass, t.oid, 0, n.nspname, t.typowner, t.typacl, acldefault('T', t.typowner), 'TYPE', format('%I.%I', n.nspname, t.typname), NULL
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
  UNION ALL SELECT ${keyOf('pg_namespace', 'n.oid')}, 'pg_namespace'::regclass, n.oid, 0, n.nspname, n.nspowner, n.nspacl, acldefault('n', n.nspowner), 'SCHEMA', format('%I', n.nspname), NULL
  FROM pg_namespace n`;

/** Those of users; what an extension or a new database begins with was kept by the server itself. */
const CHANGED = `
  SELECT g.*, coalesce((SELECT i.initprivs FROM pg_init_privs i WHERE i.classoid = g.class AND i.objoid = g.id AND i.objsubid = g.sub), g.base) AS usual
  FROM (${GRANTED}) g JOIN pg_namespace n ON n.nspname = g.schema WHERE g.acl IS NOT NULL AND ${isOurs('pg_namespace', 'n.oid')}`;

/** The items of a list of grants. The owner of the schema public may be another one than it was made with. */
const itemsOf = (
  list: string,
): string => `SELECT CASE WHEN l.grantee = e.first AND g.type = 'SCHEMA' THEN g.owner ELSE l.grantee END AS grantee,
  CASE WHEN l.grantor = e.first AND g.type = 'SCHEMA' THEN g.owner ELSE l.grantor END AS grantor, l.privilege_type AS privilege, l.is_grantable AS option
  FROM aclexplode(${list}) l, (SELECT CASE WHEN ${list} = g.acl THEN NULL ELSE (SELECT f.grantor FROM aclexplode(${list}) f LIMIT 1) END AS first) e`;
const ROLE = (oid: string): string => `CASE ${oid} WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(${oid})) END`;
const WHAT = `format('%s%s ON %s %s', x.privilege, coalesce(' (' || quote_ident(g.col) || ')', ''), g.type, g.name)`;
const STATEMENTS = `(SELECT string_agg(x.text, E'\\n' ORDER BY x.rank, x.place, x.text) FROM (
  SELECT 1 AS rank, 0 AS place, format('REVOKE %s FROM %s;', ${WHAT}, ${ROLE('x.grantee')}) AS text FROM (${itemsOf('g.usual')} EXCEPT ${itemsOf('g.acl')}) x
  UNION ALL
  SELECT CASE x.grantor WHEN g.owner THEN 2 ELSE 3 END, x.place, CASE x.grantor WHEN g.owner THEN grants.text ELSE format('SET SESSION AUTHORIZATION %I; %s RESET SESSION AUTHORIZATION;', pg_get_userbyid(x.grantor), grants.text) END
  FROM (SELECT l.grantee, l.grantor, l.privilege_type AS privilege, l.is_grantable AS option, l.place FROM aclexplode(g.acl) WITH ORDINALITY l(grantor, grantee, privilege_type, is_grantable, place)) x,
    LATERAL (SELECT format('GRANT %s TO %s%s;', ${WHAT}, ${ROLE('x.grantee')}, CASE WHEN x.option THEN ' WITH GRANT OPTION' ELSE '' END) AS text) grants
  WHERE (x.grantee, x.grantor, x.privilege, x.option) NOT IN (${itemsOf('g.usual')})) x)`;

const DEFAULT_OF = `CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS' WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' ELSE 'LARGE OBJECTS' END`;
/** Grants for all schemas begin with what the server grants; those for one schema with nothing. */
const DEFAULT_USUAL = `CASE d.defaclnamespace WHEN 0 THEN acldefault(CASE d.defaclobjtype WHEN 'S' THEN 's'::"char" ELSE d.defaclobjtype END, d.defaclrole) END`;
const DEFAULT_ITEMS = (list: string): string =>
  `SELECT l.grantee, l.privilege_type, l.is_grantable FROM aclexplode(${list}) l`;
const DEFAULT_STATEMENT = (verb: string, end: string): string =>
  `format('ALTER DEFAULT PRIVILEGES FOR ROLE %I%s ${verb} %s ON %s ${end};', pg_get_userbyid(d.defaclrole), coalesce(' IN SCHEMA ' || quote_ident(n.nspname), ''), x.privilege_type, ${DEFAULT_OF}, ${ROLE('x.grantee')}`;
const DEFAULTS = `(SELECT string_agg(x.text, E'\\n' ORDER BY x.rank, x.text) FROM (
  SELECT 1 AS rank, ${DEFAULT_STATEMENT('REVOKE', 'FROM %s')}) AS text FROM (${DEFAULT_ITEMS(DEFAULT_USUAL)} EXCEPT ${DEFAULT_ITEMS('d.defaclacl')}) x
  UNION ALL
  SELECT 2, ${DEFAULT_STATEMENT('GRANT', 'TO %s%s')}, CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) FROM (${DEFAULT_ITEMS('d.defaclacl')} EXCEPT ${DEFAULT_ITEMS(DEFAULT_USUAL)}) x) x)`;

/** What COMMENT calls what `pg_identify_object` calls i.type. */
const COMMENTED = `CASE WHEN i.type ~ ' column$' THEN 'COLUMN' WHEN i.type IN ('table constraint', 'domain constraint') THEN 'CONSTRAINT'
  WHEN i.type = 'statistics object' THEN 'STATISTICS' WHEN i.type = 'composite type' THEN 'TYPE' ELSE upper(i.type) END`;
const COMMENTED_NAME = `CASE i.type WHEN 'domain constraint' THEN (SELECT format('%I ON DOMAIN %s', k.conname, format_type(k.contypid, NULL)) FROM pg_constraint k WHERE k.oid = d.objoid)
  WHEN 'aggregate' THEN regexp_replace(i.identity, '\\(\\)$', '(*)') ELSE i.identity END`;

/** Grants, grants by default, and comments. Those of objects that are not among the entries are left out by whoever reads them. */
export const RIGHTS: readonly string[] = [
  listOf({
    ...{
      catalog: 'pg_class',
      oid: '0',
      key: `concat('acl:', g.of, ':', g.sub)`,
      kind: `'ACL'`,
      section: 'NONE',
      owner: 'g.owner',
    },
    schema: `CASE g.type WHEN 'SCHEMA' THEN NULL ELSE g.schema END`,
    tag: `CASE WHEN g.col IS NULL THEN concat(g.type, ' ', g.name) ELSE format('COLUMN %s.%I', g.name, g.col) END`,
    definition: STATEMENTS,
    needs: 'ARRAY[g.of]',
    from: `FROM (${CHANGED}) g`,
  }),
  listOf({
    ...{ catalog: 'pg_default_acl', oid: 'd.oid', kind: `'DEFAULT ACL'`, section: 'POST_DATA', schema: 'n.nspname' },
    tag: `concat('DEFAULT PRIVILEGES FOR ', ${DEFAULT_OF})`,
    owner: 'd.defaclrole',
    definition: DEFAULTS,
    from: 'FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace',
  }),
  listOf({
    ...{
      catalog: 'pg_class',
      oid: '0',
      key: `concat_ws(':', 'comment', d.classoid, d.objoid, d.objsubid)`,
      kind: `'COMMENT'`,
      section: 'NONE',
    },
    schema: 'i.schema',
    tag: `concat(${COMMENTED}, ' ', i.identity)`,
    definition: `format('COMMENT ON %s %s IS %L;', ${COMMENTED}, ${COMMENTED_NAME}, d.description)`,
    // The schema public is there before anything else.
    needs: `CASE WHEN d.objoid >= 16384 THEN ARRAY[d.classoid || ':' || d.objoid] ELSE '{}'::text[] END`,
    from: `FROM pg_description d, pg_identify_object(d.classoid, d.objoid, d.objsubid) i
WHERE d.classoid <> 'pg_largeobject'::regclass AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = d.classoid AND e.objid = d.objoid AND e.deptype = 'e')
  AND (d.objoid >= 16384 OR i.type = 'schema' AND i.identity = 'public' AND d.description <> 'standard public schema')`,
  }),
];
