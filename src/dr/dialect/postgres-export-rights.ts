import { USER_SCHEMA } from './postgres-catalog.ts';
import { keyOf, listOf } from './postgres-export-sql.ts';

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
  FROM pg_namespace n
  UNION ALL SELECT ${keyOf('pg_language', 'l.oid')}, 'pg_language'::regclass, l.oid, 0, NULL, l.lanowner, l.lanacl, acldefault('l', l.lanowner), 'LANGUAGE', format('%I', l.lanname), NULL
  FROM pg_language l
  UNION ALL SELECT ${keyOf('pg_foreign_data_wrapper', 'w.oid')}, 'pg_foreign_data_wrapper'::regclass, w.oid, 0, NULL, w.fdwowner, w.fdwacl, acldefault('F', w.fdwowner), 'FOREIGN DATA WRAPPER', format('%I', w.fdwname), NULL
  FROM pg_foreign_data_wrapper w`;

/**
 * Those of users and of the server's own, as far as pg_dump keeps those, beside what they are without a statement. What an extension or a
 * new database begins with the server has kept.
 */
const CHANGED = `
  SELECT g.*, CASE WHEN i.initprivs IS NULL THEN g.base
    -- The schema public may belong to another role than the one it was made with. Before 15 it begins with more rights for all than later:
    -- with an option that they cannot have, they always differ and are written.
    WHEN g.type = 'SCHEMA' AND g.schema <> 'pg_catalog' THEN g.base || ARRAY(SELECT makeaclitem(0, g.owner, e.privilege_type, current_setting('server_version_num')::int < 150000)
      FROM aclexplode(i.initprivs) e WHERE e.grantee = 0)
    ELSE i.initprivs END AS usual
  FROM (${GRANTED}) g LEFT JOIN pg_namespace n ON n.nspname = g.schema
    LEFT JOIN pg_init_privs i ON i.classoid = g.class AND i.objoid = g.id AND i.objsubid = g.sub
  WHERE (g.acl IS NOT NULL OR i.initprivs IS NOT NULL) AND (g.schema IS NULL OR g.schema = 'pg_catalog' OR ${USER_SCHEMA})`;

/** What one role granted to another one; `col` is the column it is of, or null. */
const itemsOf = (list: string, column: string): string => `SELECT l.grantee, l.grantor, min(l.place) AS place,
    string_agg(concat(l.privilege, ' (' || quote_ident(${column}) || ')'), ', ' ORDER BY l.place) FILTER (WHERE NOT l.option) AS plain,
    string_agg(concat(l.privilege, ' (' || quote_ident(${column}) || ')'), ', ' ORDER BY l.place) FILTER (WHERE l.option) AS optional
  FROM aclexplode(${list}) WITH ORDINALITY l(grantor, grantee, privilege, option, place) GROUP BY l.grantee, l.grantor`;
const SAME =
  '(x.grantee, x.grantor, x.plain, x.optional) IS NOT DISTINCT FROM (y.grantee, y.grantor, y.plain, y.optional)';

/**
 * What makes the grants `acl` of those that are there without a statement: takes away each item that differs and grants it anew, in
 * the order of `acl`, so that the list comes to be the same. Expressions of SQL; null when nothing differs.
 */
function statementsOf(grants: {
  readonly acl: string;
  readonly usual: string;
  readonly owner: string;
  readonly column: string;
  /** Stands before GRANT and REVOKE, and behind ON. */
  readonly head: string;
  readonly on: string;
}): string {
  const { acl, usual, owner, column, head, on } = grants;
  const role = `CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END`;
  const [now, before] = [itemsOf(acl, column), itemsOf(usual, column)];
  return `(SELECT string_agg(s.text, E'\\n' ORDER BY s.rank, s.place, s.text) FROM (
    SELECT 0 AS rank, x.place, format('%sREVOKE %s ON %s FROM %s;', ${head}, concat_ws(', ', x.plain, x.optional), ${on}, ${role}) AS text
    FROM (${before}) x WHERE NOT EXISTS (SELECT FROM (${now}) y WHERE ${SAME})
    UNION ALL
    SELECT CASE x.grantor WHEN ${owner} THEN 1 ELSE 2 END, x.place, CASE x.grantor WHEN ${owner} THEN o.text
      ELSE format('SET SESSION AUTHORIZATION %I; %s RESET SESSION AUTHORIZATION;', pg_get_userbyid(x.grantor), o.text) END
    FROM (${now}) x, LATERAL (VALUES (x.plain, ''), (x.optional, ' WITH GRANT OPTION')) v(privileges, ending),
      LATERAL (SELECT format('%sGRANT %s ON %s TO %s%s;', ${head}, v.privileges, ${on}, ${role}, v.ending) AS text) o
    WHERE v.privileges IS NOT NULL AND NOT EXISTS (SELECT FROM (${before}) y WHERE ${SAME})) s)`;
}

const DEFAULT_OF = `CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS' WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' ELSE 'LARGE OBJECTS' END`;
/** Grants for all schemas begin with what the server grants; those for one schema with nothing. */
const DEFAULT_USUAL = `CASE d.defaclnamespace WHEN 0 THEN acldefault(CASE d.defaclobjtype WHEN 'S' THEN 's'::"char" ELSE d.defaclobjtype END, d.defaclrole) END`;

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
    definition: statementsOf({
      // Of a column that lost its last grant the list is gone.
      ...{ acl: 'coalesce(g.acl, g.base)', usual: 'g.usual', owner: 'g.owner', column: 'g.col' },
      head: `''`,
      on: `concat(g.type, ' ', g.name)`,
    }),
    needs: 'ARRAY[g.of]',
    from: `FROM (${CHANGED}) g`,
  }),
  listOf({
    ...{ catalog: 'pg_default_acl', oid: 'd.oid', kind: `'DEFAULT ACL'`, section: 'POST_DATA', schema: 'n.nspname' },
    tag: `concat('DEFAULT PRIVILEGES FOR ', ${DEFAULT_OF})`,
    owner: 'd.defaclrole',
    definition: statementsOf({
      ...{ acl: 'd.defaclacl', usual: DEFAULT_USUAL, owner: 'd.defaclrole', column: 'NULL' },
      head: `format('ALTER DEFAULT PRIVILEGES FOR ROLE %I%s ', pg_get_userbyid(d.defaclrole), ' IN SCHEMA ' || quote_ident(n.nspname))`,
      on: DEFAULT_OF,
    }),
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
