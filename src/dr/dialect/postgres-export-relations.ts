import { collateOf, isOurs, keyOf, listOf, NAMED_NOT_NULL, parameters } from './postgres-export-sql.ts';

const NAME = `format('%I.%I', n.nspname, c.relname)`;
const CLASS = {
  catalog: 'pg_class',
  oid: 'c.oid',
  schema: 'n.nspname',
  tag: 'c.relname',
  owner: 'c.relowner',
} as const;
const ONE_OF = (kinds: string): string =>
  `FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN (${kinds}) AND c.relpersistence <> 't' AND ${isOurs('pg_class', 'c.oid')}`;
/** Of a table: `c` and `n` for objects that belong to it. */
const OF_TABLE = (kinds: string): string => `JOIN pg_class c ON c.oid = %t JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN (${kinds}) AND c.relpersistence <> 't' AND ${isOurs('pg_class', 'c.oid')}`;
const ofTable = (table: string, kinds = `'r', 'p'`): string => OF_TABLE(kinds).replace('%t', table);
const UNLOGGED = `CASE c.relpersistence WHEN 'u' THEN 'UNLOGGED ' ELSE '' END`;
const WITH = `coalesce(' WITH (' || nullif(concat_ws(', ', ${parameters('c.reloptions')}, (SELECT ${parameters('x.reloptions', 'toast.')} FROM pg_class x WHERE x.oid = c.reltoastrelid)), '') || ')', '')`;
const USING = `coalesce((SELECT format(' USING %I', am.amname) FROM pg_am am WHERE am.oid = c.relam AND (am.amname <> 'heap' OR c.relkind = 'p')), '')`;

/** A check that calls a function of users comes when the rows are there: the function may read any of them. */
const CALLS_FUNCTION = `EXISTS (SELECT FROM pg_depend f WHERE f.classid = 'pg_constraint'::regclass AND f.objid = k.oid AND f.refclassid = 'pg_proc'::regclass
  AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass AND e.objid = f.refobjid AND e.deptype = 'e'))`;
const COLUMN_IS_OWN = `(a.attislocal OR c.relispartition)`;
const COLUMNS = `(SELECT string_agg(format(E'\\n    %I %s%s%s', a.attname, CASE c.reloftype WHEN 0 THEN format_type(a.atttypid, a.atttypmod) || ${collateOf('a.attcollation', 'a.atttypid')} ELSE 'WITH OPTIONS' END,
    CASE WHEN a.attgenerated <> '' THEN format(' GENERATED ALWAYS AS (%s) %s', (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d WHERE d.adrelid = c.oid AND d.adnum = a.attnum),
      CASE a.attgenerated WHEN 's' THEN 'STORED' ELSE 'VIRTUAL' END) ELSE '' END,
    CASE WHEN ${NAMED_NOT_NULL} THEN coalesce((SELECT format(' CONSTRAINT %I NOT NULL%s', k.conname, CASE WHEN k.connoinherit THEN ' NO INHERIT' ELSE '' END)
        FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'n' AND k.conkey = ARRAY[a.attnum] AND k.convalidated AND (k.conislocal OR c.relispartition)), '')
      WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END), ',' ORDER BY a.attnum)
  FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND ${COLUMN_IS_OWN})`;
const CHECKS = `(SELECT string_agg(format(E'\\n    CONSTRAINT %I %s', k.conname, pg_get_constraintdef(k.oid)), ',' ORDER BY k.conname COLLATE "C")
  FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'c' AND k.convalidated AND (k.conislocal OR c.relispartition) AND NOT ${CALLS_FUNCTION})`;
const PARENTS = `(SELECT string_agg(format('%I.%I', pn.nspname, p.relname), ', ' ORDER BY i.inhseqno)
  FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace WHERE i.inhrelid = c.oid AND NOT c.relispartition)`;
/** How columns are kept, in statements of their own. */
const COLUMN_OPTIONS = `coalesce((SELECT string_agg(format(E'\\nALTER TABLE ONLY %s ALTER COLUMN %I %s;', ${NAME}, a.attname, o.action), '' ORDER BY a.attnum, o.action)
  FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid, LATERAL (VALUES
    ('SET STATISTICS ' || nullif(a.attstattarget, -1)),
    (CASE WHEN a.attstorage <> t.typstorage THEN 'SET STORAGE ' || CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END END),
    (CASE to_jsonb(a) ->> 'attcompression' WHEN 'p' THEN 'SET COMPRESSION pglz' WHEN 'l' THEN 'SET COMPRESSION lz4' END),
    ('SET (' || ${parameters('a.attoptions')} || ')'),
    (CASE WHEN c.relkind IN ('r', 'p') AND NOT ${COLUMN_IS_OWN} AND a.attnotnull AND NOT ${NAMED_NOT_NULL} AND NOT EXISTS (
      SELECT FROM pg_inherits i JOIN pg_attribute p ON p.attrelid = i.inhparent WHERE i.inhrelid = c.oid AND p.attname = a.attname AND p.attnotnull) THEN 'SET NOT NULL' END)) o(action)
  WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND o.action IS NOT NULL), '')`;
/**
 * Of columns that come from a parent; a name of its own can be given only together with the table. What is valid here and not yet in the
 * parent would come to be as it is there.
 */
const INHERITED_NOT_NULL = `(SELECT string_agg(format(E'\\n    CONSTRAINT %I %s', k.conname, pg_get_constraintdef(k.oid)), ',' ORDER BY k.conname COLLATE "C")
  FROM pg_constraint k JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.conkey[1] AND NOT ${COLUMN_IS_OWN}
  WHERE k.conrelid = c.oid AND k.contype = 'n' AND k.convalidated AND (k.conislocal OR EXISTS (
    SELECT FROM pg_inherits i JOIN pg_constraint p ON p.conrelid = i.inhparent WHERE i.inhrelid = c.oid AND p.contype = 'n' AND p.conname = k.conname AND NOT p.convalidated)))`;
const TABLE_OPTIONS = `CASE WHEN c.relforcerowsecurity THEN format(E'\\nALTER TABLE ONLY %s FORCE ROW LEVEL SECURITY;', ${NAME}) ELSE '' END
  || CASE c.relreplident WHEN 'f' THEN format(E'\\nALTER TABLE ONLY %s REPLICA IDENTITY FULL;', ${NAME}) WHEN 'n' THEN format(E'\\nALTER TABLE ONLY %s REPLICA IDENTITY NOTHING;', ${NAME}) ELSE '' END`;

const SEQUENCE_OPTIONS = `format('START WITH %s INCREMENT BY %s MINVALUE %s MAXVALUE %s CACHE %s%s', s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, CASE WHEN s.seqcycle THEN ' CYCLE' ELSE '' END)`;
/** The column that a sequence belongs to. */
const OWNING = (
  type: string,
): string => `pg_depend d JOIN pg_class t ON t.oid = d.refobjid JOIN pg_namespace tn ON tn.oid = t.relnamespace
  JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass AND d.deptype = '${type}'`;

/** What marks the index `x.indexrelid` as the one by which its table is clustered or replicated. */
const MARKS = `CASE WHEN x.indisclustered THEN format(E'\\nALTER TABLE %s CLUSTER ON %I;', ${NAME}, ic.relname) ELSE '' END
  || CASE WHEN x.indisreplident THEN format(E'\\nALTER TABLE ONLY %s REPLICA IDENTITY USING INDEX %I;', ${NAME}, ic.relname) ELSE '' END`;
const INDEX_STATISTICS = `coalesce((SELECT string_agg(format(E'\\nALTER INDEX %I.%I ALTER COLUMN %s SET STATISTICS %s;', n.nspname, ic.relname, a.attnum, a.attstattarget), '' ORDER BY a.attnum)
  FROM pg_attribute a WHERE a.attrelid = ic.oid AND a.attstattarget >= 0), '')`;
/** A constraint's own words for when it is checked, after which nothing follows. */
const WHEN_CHECKED = `(CASE WHEN k.condeferrable THEN ' DEFERRABLE' ELSE '' END || CASE WHEN k.condeferred THEN ' INITIALLY DEFERRED' ELSE '' END)`;
const OF_CONSTRAINT = { catalog: 'pg_constraint', oid: 'k.oid', schema: 'n.nspname', owner: 'c.relowner' } as const;
const CONSTRAINT_TAG = `concat(c.relname, ' ', k.conname)`;

/** Tables, sequences and views, and what belongs to them alone. */
export const RELATIONS: readonly string[] = [
  listOf({
    ...CLASS,
    kind: `'TABLE'`,
    section: 'PRE_DATA',
    definition: `format('CREATE %sTABLE %s%s (%s)%s%s%s%s;', ${UNLOGGED}, ${NAME}, CASE c.reloftype WHEN 0 THEN '' ELSE ' OF ' || format_type(c.reloftype, NULL) END, concat_ws(',', ${COLUMNS}, ${INHERITED_NOT_NULL}, ${CHECKS}), coalesce(' INHERITS (' || ${PARENTS} || ')', ''),
      CASE c.relkind WHEN 'p' THEN ' PARTITION BY ' || pg_get_partkeydef(c.oid) ELSE '' END, ${USING}, ${WITH})
      || ${COLUMN_OPTIONS} || ${TABLE_OPTIONS}`,
    from: ONE_OF(`'r', 'p'`),
  }),
  listOf({
    ...{
      catalog: 'pg_class',
      oid: '0',
      key: `'attach:' || c.oid`,
      schema: 'n.nspname',
      tag: 'c.relname',
      owner: 'c.relowner',
    },
    kind: `'TABLE ATTACH'`,
    section: 'PRE_DATA',
    definition: `format('ALTER TABLE ONLY %I.%I ATTACH PARTITION %s %s;', pn.nspname, p.relname, ${NAME}, pg_get_expr(c.relpartbound, c.oid))`,
    needs: `ARRAY[${keyOf('pg_class', 'c.oid')}, ${keyOf('pg_class', 'p.oid')}]`,
    from: `FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace ${ofTable('i.inhrelid')} AND c.relispartition`,
  }),
  listOf({
    ...CLASS,
    kind: `'SEQUENCE'`,
    section: 'PRE_DATA',
    definition: `coalesce((SELECT format('ALTER TABLE %I.%I ALTER COLUMN %I ADD GENERATED %s AS IDENTITY (SEQUENCE NAME %s %s);', tn.nspname, t.relname, a.attname,
        CASE a.attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END, ${NAME}, ${SEQUENCE_OPTIONS}) FROM ${OWNING('i')}),
      format('CREATE %sSEQUENCE %s AS %s %s;', ${UNLOGGED}, ${NAME}, format_type(s.seqtypid, NULL), ${SEQUENCE_OPTIONS}))`,
    from: `FROM pg_sequence s ${ofTable('s.seqrelid', `'S'`)}`,
  }),
  listOf({
    ...{
      catalog: 'pg_class',
      oid: '0',
      key: `'owned:' || c.oid`,
      schema: 'n.nspname',
      tag: 'c.relname',
      owner: 'c.relowner',
    },
    kind: `'SEQUENCE OWNED BY'`,
    section: 'PRE_DATA',
    definition: `(SELECT format('ALTER SEQUENCE %s OWNED BY %I.%I.%I;', ${NAME}, tn.nspname, t.relname, a.attname) FROM ${OWNING('a')})`,
    needs: `ARRAY[${keyOf('pg_class', 'c.oid')}, (SELECT ${keyOf('pg_class', 't.oid')} FROM ${OWNING('a')})]`,
    from: ONE_OF(`'S'`),
  }),
  listOf({
    ...{
      catalog: 'pg_attrdef',
      oid: 'd.oid',
      schema: 'n.nspname',
      tag: `concat(c.relname, ' ', a.attname)`,
      owner: 'c.relowner',
    },
    kind: `'DEFAULT'`,
    section: 'PRE_DATA',
    definition: `format('ALTER TABLE ONLY %s ALTER COLUMN %I SET DEFAULT %s;', ${NAME}, a.attname, pg_get_expr(d.adbin, d.adrelid))`,
    from: `FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum AND a.attgenerated = '' ${ofTable('d.adrelid', `'r', 'p', 'v'`)}`,
  }),
  listOf({
    ...CLASS,
    kind: `'VIEW'`,
    section: 'PRE_DATA',
    definition: `CASE WHEN pg_get_viewdef(c.oid) IS NOT NULL THEN format(E'CREATE VIEW %s%s AS\\n%s%s;', ${NAME}, coalesce(' WITH (' || ${parameters(`(SELECT array_agg(r) FROM unnest(c.reloptions) r WHERE r !~ '^check_option=')`)} || ')', ''),
      rtrim(pg_get_viewdef(c.oid), ';'), coalesce((SELECT format(E'\\n  WITH %s CHECK OPTION', upper(substr(r, 14))) FROM unnest(c.reloptions) r WHERE r ~ '^check_option='), '')) END`,
    from: ONE_OF(`'v'`),
  }),
  listOf({
    ...CLASS,
    kind: `'MATERIALIZED VIEW'`,
    section: 'PRE_DATA',
    definition: `CASE WHEN pg_get_viewdef(c.oid) IS NOT NULL THEN format(E'CREATE MATERIALIZED VIEW %s%s%s AS\\n%s\\n  WITH NO DATA;', ${NAME}, ${USING}, ${WITH}, rtrim(pg_get_viewdef(c.oid), ';')) || ${COLUMN_OPTIONS} END`,
    from: ONE_OF(`'m'`),
  }),
  listOf({
    ...{ ...OF_CONSTRAINT, tag: CONSTRAINT_TAG },
    kind: `'CHECK CONSTRAINT'`,
    section: 'POST_DATA',
    definition: `format(E'ALTER TABLE %s\\n    ADD CONSTRAINT %I %s;', ${NAME}, k.conname, pg_get_constraintdef(k.oid))`,
    from: `FROM pg_constraint k ${ofTable('k.conrelid')} AND k.conislocal AND (k.contype = 'c' AND (NOT k.convalidated OR ${CALLS_FUNCTION}) OR k.contype = 'n' AND NOT k.convalidated)`,
  }),
  listOf({
    ...{ catalog: 'pg_class', oid: 'ic.oid', schema: 'n.nspname', tag: 'ic.relname', owner: 'c.relowner' },
    kind: `'INDEX'`,
    section: 'POST_DATA',
    definition: `pg_get_indexdef(ic.oid) || ';' || ${INDEX_STATISTICS} || ${MARKS}`,
    from: `FROM pg_index x JOIN pg_class ic ON ic.oid = x.indexrelid ${ofTable('x.indrelid', `'r', 'p', 'm'`)} AND (x.indisvalid OR c.relkind = 'p') AND x.indisready
  AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = ic.oid AND k.contype IN ('p', 'u', 'x'))`,
  }),
  listOf({
    ...{ ...OF_CONSTRAINT, tag: CONSTRAINT_TAG },
    kind: `'CONSTRAINT'`,
    section: 'POST_DATA',
    definition: `format(E'ALTER TABLE ONLY %s\\n    ADD CONSTRAINT %I %s%s%s;', ${NAME}, k.conname,
      left(pg_get_constraintdef(k.oid), length(pg_get_constraintdef(k.oid)) - length(${WHEN_CHECKED})), CASE k.contype WHEN 'x' THEN '' ELSE coalesce(' WITH (' || ${parameters('ic.reloptions')} || ')', '') END, ${WHEN_CHECKED})
      || ${INDEX_STATISTICS} || ${MARKS}`,
    from: `FROM pg_constraint k JOIN pg_index x ON x.indexrelid = k.conindid JOIN pg_class ic ON ic.oid = x.indexrelid ${ofTable('k.conrelid')} AND k.contype IN ('p', 'u', 'x')`,
  }),
  listOf({
    ...{
      catalog: 'pg_class',
      oid: '0',
      key: `'attach:' || ic.oid`,
      schema: 'n.nspname',
      tag: 'ic.relname',
      owner: 'c.relowner',
    },
    kind: `'INDEX ATTACH'`,
    section: 'POST_DATA',
    definition: `format('ALTER INDEX %I.%I ATTACH PARTITION %I.%I;', pn.nspname, p.relname, n.nspname, ic.relname)`,
    needs: `ARRAY[${keyOf('pg_class', 'ic.oid')}, ${keyOf('pg_class', 'p.oid')}]`,
    from: `FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent AND p.relkind = 'I' JOIN pg_namespace pn ON pn.oid = p.relnamespace
  JOIN pg_index x ON x.indexrelid = i.inhrelid JOIN pg_class ic ON ic.oid = x.indexrelid ${ofTable('x.indrelid')}`,
  }),
  listOf({
    ...{ ...OF_CONSTRAINT, tag: CONSTRAINT_TAG },
    kind: `'FK CONSTRAINT'`,
    section: 'POST_DATA',
    definition: `format(E'ALTER TABLE %s%s\\n    ADD CONSTRAINT %I %s;', CASE c.relkind WHEN 'r' THEN 'ONLY ' ELSE '' END, ${NAME}, k.conname, pg_get_constraintdef(k.oid))`,
    from: `FROM pg_constraint k ${ofTable('k.conrelid')} AND k.contype = 'f' AND k.conparentid = 0`,
  }),
];
