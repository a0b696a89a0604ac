import { ENFORCES_KEY } from './postgres-catalog.ts';
import { collateOf, identityOf, isOurs, keyOf, listOf } from './postgres-export-sql.ts';

const TYPE = {
  catalog: 'pg_type',
  oid: 't.oid',
  schema: 'n.nspname',
  tag: 't.typname',
  owner: 't.typowner',
  section: 'PRE_DATA',
} as const;
const TYPE_NAME = `format('%I.%I', n.nspname, t.typname)`;
const TYPES = (kind: string): string =>
  `FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.typtype = '${kind}' AND ${isOurs('pg_type', 't.oid')}`;
const TABLE_NAME = `format('%I.%I', n.nspname, c.relname)`;
const ON_TABLE = (
  table: string,
): string => `JOIN pg_class c ON c.oid = ${table} JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind <> 'f' AND ${isOurs('pg_class', 'c.oid')}`;
const OF_TABLE = { schema: 'n.nspname', owner: 'c.relowner', section: 'POST_DATA' } as const;
const STATE = (state: string, kind: string, name: string): string =>
  `CASE ${state} WHEN 'D' THEN format(E'\\nALTER TABLE %s DISABLE ${kind} %I;', ${TABLE_NAME}, ${name}) WHEN 'A' THEN format(E'\\nALTER TABLE %s ENABLE ALWAYS ${kind} %I;', ${TABLE_NAME}, ${name})
    WHEN 'R' THEN format(E'\\nALTER TABLE %s ENABLE REPLICA ${kind} %I;', ${TABLE_NAME}, ${name}) ELSE '' END`;
const ROUTINE = `CASE p.prokind WHEN 'p' THEN 'PROCEDURE' WHEN 'a' THEN 'AGGREGATE' ELSE 'FUNCTION' END`;
const ROUTINES = `FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE ${isOurs('pg_proc', 'p.oid')} AND NOT EXISTS (SELECT FROM pg_depend i WHERE i.classid = 'pg_proc'::regclass AND i.objid = p.oid AND i.deptype = 'i')`;
/** ALTER and DROP want the arguments of an aggregate without any to be a star. */
const ROUTINE_IDENTITY = `CASE p.prokind WHEN 'a' THEN regexp_replace(${identityOf('pg_proc', 'p.oid')}, '\\(\\)$', '(*)') ELSE ${identityOf('pg_proc', 'p.oid')} END`;
const ROUTINE_COLUMNS = {
  catalog: 'pg_proc',
  oid: 'p.oid',
  schema: 'n.nspname',
  owner: 'p.proowner',
  section: 'PRE_DATA',
  kind: ROUTINE,
  tag: `format('%I(%s)', p.proname, pg_get_function_identity_arguments(p.oid))`,
  drop: `format('DROP %s %s;', ${ROUTINE}, ${ROUTINE_IDENTITY})`,
} as const;
const MODIFY = (value: string): string =>
  `CASE ${value} WHEN 's' THEN 'SHAREABLE' WHEN 'w' THEN 'READ_WRITE' ELSE 'READ_ONLY' END`;
const DEFAULT_MODIFY = `CASE g.aggkind WHEN 'n' THEN 'r' ELSE 'w' END`;
const GIVEN = (name: string, value: string): string => `'${name} = ' || nullif((${value})::text, '-')`;
const AGGREGATE_OPTIONS = [
  GIVEN('SFUNC', 'g.aggtransfn'),
  `'STYPE = ' || format_type(g.aggtranstype, NULL)`,
  `'SSPACE = ' || nullif(g.aggtransspace, 0)`,
  `'INITCOND = ' || quote_literal(g.agginitval)`,
  GIVEN('FINALFUNC', 'g.aggfinalfn'),
  `CASE WHEN g.aggfinalextra THEN 'FINALFUNC_EXTRA' END`,
  `CASE WHEN g.aggfinalmodify <> ${DEFAULT_MODIFY} THEN 'FINALFUNC_MODIFY = ' || ${MODIFY('g.aggfinalmodify')} END`,
  GIVEN('COMBINEFUNC', 'g.aggcombinefn'),
  GIVEN('SERIALFUNC', 'g.aggserialfn'),
  GIVEN('DESERIALFUNC', 'g.aggdeserialfn'),
  GIVEN('MSFUNC', 'g.aggmtransfn'),
  GIVEN('MINVFUNC', 'g.aggminvtransfn'),
  `CASE WHEN g.aggmtranstype <> 0 THEN 'MSTYPE = ' || format_type(g.aggmtranstype, NULL) END`,
  `'MSSPACE = ' || nullif(g.aggmtransspace, 0)`,
  `'MINITCOND = ' || quote_literal(g.aggminitval)`,
  GIVEN('MFINALFUNC', 'g.aggmfinalfn'),
  `CASE WHEN g.aggmfinalextra THEN 'MFINALFUNC_EXTRA' END`,
  `CASE WHEN g.aggmtransfn <> 0 AND g.aggmfinalmodify <> ${DEFAULT_MODIFY} THEN 'MFINALFUNC_MODIFY = ' || ${MODIFY('g.aggmfinalmodify')} END`,
  `(SELECT format('SORTOP = OPERATOR(%s.%s)', o.oprnamespace::regnamespace, o.oprname) FROM pg_operator o WHERE o.oid = g.aggsortop)`,
  `CASE p.proparallel WHEN 's' THEN 'PARALLEL = SAFE' WHEN 'r' THEN 'PARALLEL = RESTRICTED' END`,
  `CASE g.aggkind WHEN 'h' THEN 'HYPOTHETICAL' END`,
].join(', ');

/** Schemas, extensions, types and routines. */
export const STANDALONE: readonly string[] = [
  listOf({
    ...{
      catalog: 'pg_namespace',
      oid: 'n.oid',
      kind: `'SCHEMA'`,
      tag: 'n.nspname',
      section: 'PRE_DATA',
      owner: 'n.nspowner',
    },
    definition: `CASE n.nspname WHEN 'public' THEN '' ELSE format('CREATE SCHEMA %I;', n.nspname) END`,
    // Every database has the schema public, of this owner.
    from: `FROM pg_namespace n WHERE ${isOurs('pg_namespace', 'n.oid')} AND (n.nspname <> 'public'
  OR n.nspowner <> CASE WHEN current_setting('server_version_num')::int >= 150000 THEN 6171 ELSE 10 END)`,
  }),
  listOf({
    ...{ catalog: 'pg_extension', oid: 'x.oid', kind: `'EXTENSION'`, tag: 'x.extname', section: 'PRE_DATA' },
    definition: `format('CREATE EXTENSION IF NOT EXISTS %I WITH SCHEMA %I;', x.extname, n.nspname)`,
    from: 'FROM pg_extension x JOIN pg_namespace n ON n.oid = x.extnamespace WHERE x.oid >= 16384',
  }),
  listOf({
    ...{
      catalog: 'pg_collation',
      oid: 'l.oid',
      kind: `'COLLATION'`,
      schema: 'n.nspname',
      tag: 'l.collname',
      section: 'PRE_DATA',
      owner: 'l.collowner',
    },
    definition: `format('CREATE COLLATION %I.%I (%s);', n.nspname, l.collname, concat_ws(', ',
      'provider = ' || CASE l.collprovider WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'libc' END,
      CASE WHEN NOT l.collisdeterministic THEN 'deterministic = false' END,
      CASE l.collprovider WHEN 'c' THEN format('lc_collate = %L, lc_ctype = %L', l.collcollate, l.collctype)
        ELSE format('locale = %L', coalesce(to_jsonb(l) ->> 'colllocale', to_jsonb(l) ->> 'colliculocale', l.collcollate)) END,
      'rules = ' || quote_literal(to_jsonb(l) ->> 'collicurules')))`,
    from: `FROM pg_collation l JOIN pg_namespace n ON n.oid = l.collnamespace WHERE ${isOurs('pg_collation', 'l.oid')}`,
  }),
  listOf({
    ...TYPE,
    kind: `'TYPE'`,
    definition: `format('CREATE TYPE %s AS ENUM (%s);', ${TYPE_NAME}, (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid))`,
    from: TYPES('e'),
  }),
  listOf({
    ...TYPE,
    kind: `'TYPE'`,
    definition: `format('CREATE TYPE %s AS (%s);', ${TYPE_NAME}, (SELECT string_agg(format('%I %s%s', a.attname, format_type(a.atttypid, a.atttypmod), ${collateOf('a.attcollation', 'a.atttypid')}), ', ' ORDER BY a.attnum)
      FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped))`,
    from: `${TYPES('c')} AND (SELECT c.relkind FROM pg_class c WHERE c.oid = t.typrelid) = 'c'`,
  }),
  listOf({
    ...TYPE,
    kind: `'DOMAIN'`,
    definition: `format('CREATE DOMAIN %s AS %s%s%s%s%s;', ${TYPE_NAME}, format_type(t.typbasetype, t.typtypmod), ${collateOf('t.typcollation', 't.typbasetype')},
      CASE WHEN t.typnotnull THEN coalesce((SELECT format(' CONSTRAINT %I', k.conname) FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'n'), '') || ' NOT NULL' ELSE '' END,
      coalesce(' DEFAULT ' || coalesce(pg_get_expr(t.typdefaultbin, 'pg_type'::regclass), quote_literal(t.typdefault)), ''),
      coalesce((SELECT string_agg(format(E'\\n    CONSTRAINT %I %s', k.conname, pg_get_constraintdef(k.oid)), '' ORDER BY k.conname COLLATE "C") FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c' AND k.convalidated), ''))`,
    from: TYPES('d'),
  }),
  listOf({
    ...{
      catalog: 'pg_constraint',
      oid: 'k.oid',
      schema: 'n.nspname',
      tag: `concat(t.typname, ' ', k.conname)`,
      owner: 't.typowner',
    },
    kind: `'CHECK CONSTRAINT'`,
    section: 'POST_DATA',
    definition: `format(E'ALTER DOMAIN %s\\n    ADD CONSTRAINT %I %s;', ${TYPE_NAME}, k.conname, pg_get_constraintdef(k.oid))`,
    from: `FROM pg_constraint k JOIN pg_type t ON t.oid = k.contypid JOIN pg_namespace n ON n.oid = t.typnamespace WHERE k.contype = 'c' AND NOT k.convalidated AND ${isOurs('pg_type', 't.oid')}`,
  }),
  listOf({
    ...TYPE,
    kind: `'TYPE'`,
    definition: `format('CREATE TYPE %s AS RANGE (%s);', ${TYPE_NAME}, concat_ws(', ', 'subtype = ' || format_type(r.rngsubtype, NULL),
      (SELECT format('multirange_type_name = %I.%I', mn.nspname, m.typname) FROM pg_type m JOIN pg_namespace mn ON mn.oid = m.typnamespace WHERE m.oid = (to_jsonb(r) ->> 'rngmultitypid')::oid),
      (SELECT format('subtype_opclass = %I.%I', pn.nspname, o.opcname) FROM pg_opclass o JOIN pg_namespace pn ON pn.oid = o.opcnamespace WHERE o.oid = r.rngsubopc AND NOT o.opcdefault),
      'collation = ' || substr(nullif(${collateOf('r.rngcollation', 'r.rngsubtype')}, ''), 10), 'subtype_diff = ' || nullif(r.rngsubdiff::text, '-')))`,
    from: `${TYPES('r').replace('WHERE', 'JOIN pg_range r ON r.rngtypid = t.oid WHERE')} AND r.rngcanonical::oid = 0`,
  }),
  listOf({
    ...ROUTINE_COLUMNS,
    definition: `pg_get_functiondef(p.oid) || ';'`,
    from: `${ROUTINES} AND p.prokind <> 'a'`,
  }),
  listOf({
    ...ROUTINE_COLUMNS,
    definition: `format('CREATE AGGREGATE %I.%I(%s) (%s);', n.nspname, p.proname, CASE WHEN p.pronargs = 0 THEN '*' ELSE pg_get_function_arguments(p.oid) END, concat_ws(', ', ${AGGREGATE_OPTIONS}))`,
    from: ROUTINES.replace('WHERE', 'JOIN pg_aggregate g ON g.aggfnoid = p.oid WHERE'),
  }),
];

/** What is made when the rows are in: statistics, triggers, rules, policies. */
export const ATTACHED: readonly string[] = [
  listOf({
    ...{
      catalog: 'pg_statistic_ext',
      oid: 's.oid',
      kind: `'STATISTICS'`,
      schema: 'sn.nspname',
      tag: 's.stxname',
      section: 'POST_DATA',
      owner: 's.stxowner',
    },
    definition: `pg_get_statisticsobjdef(s.oid) || ';' || CASE WHEN s.stxstattarget >= 0 THEN format(E'\\nALTER STATISTICS %I.%I SET STATISTICS %s;', sn.nspname, s.stxname, s.stxstattarget) ELSE '' END`,
    from: `FROM pg_statistic_ext s JOIN pg_namespace sn ON sn.oid = s.stxnamespace ${ON_TABLE('s.stxrelid')}`,
  }),
  listOf({
    ...{ ...OF_TABLE, catalog: 'pg_rewrite', oid: 'r.oid', kind: `'RULE'`, tag: `concat(c.relname, ' ', r.rulename)` },
    definition: `pg_get_ruledef(r.oid) || ${STATE('r.ev_enabled', 'RULE', 'r.rulename')}`,
    from: `FROM pg_rewrite r ${ON_TABLE('r.ev_class')} AND r.rulename <> '_RETURN'`,
  }),
  listOf({
    ...{ ...OF_TABLE, catalog: 'pg_trigger', oid: 'g.oid', kind: `'TRIGGER'`, tag: `concat(c.relname, ' ', g.tgname)` },
    definition: `CASE g.tgparentid WHEN 0 THEN pg_get_triggerdef(g.oid) || ';' || ${STATE('g.tgenabled', 'TRIGGER', 'g.tgname')}
      ELSE CASE g.tgenabled WHEN 'O' THEN format('ALTER TABLE %s ENABLE TRIGGER %I;', ${TABLE_NAME}, g.tgname) ELSE ltrim(${STATE('g.tgenabled', 'TRIGGER', 'g.tgname')}, E'\\n') END END`,
    needs: `CASE g.tgparentid WHEN 0 THEN '{}'::text[] ELSE ARRAY[${keyOf('pg_trigger', 'g.tgparentid')}] END`,
    from: `FROM pg_trigger g LEFT JOIN pg_trigger u ON u.oid = g.tgparentid ${ON_TABLE('g.tgrelid')} AND (g.tgparentid = 0 AND NOT g.tgisinternal OR u.tgenabled <> g.tgenabled AND NOT ${ENFORCES_KEY('g')})`,
  }),
  listOf({
    ...{
      ...OF_TABLE,
      catalog: 'pg_class',
      oid: '0',
      key: `'rows:' || c.oid`,
      kind: `'ROW SECURITY'`,
      tag: 'c.relname',
    },
    definition: `format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY;', ${TABLE_NAME})`,
    needs: `ARRAY[${keyOf('pg_class', 'c.oid')}]`,
    from: `FROM (SELECT oid AS o FROM pg_class WHERE relrowsecurity) s ${ON_TABLE('s.o')}`,
  }),
  listOf({
    ...{ ...OF_TABLE, catalog: 'pg_policy', oid: 'y.oid', kind: `'POLICY'`, tag: `concat(c.relname, ' ', y.polname)` },
    definition: `format('CREATE POLICY %I ON %s%s%s%s%s%s;', y.polname, ${TABLE_NAME}, CASE WHEN y.polpermissive THEN '' ELSE ' AS RESTRICTIVE' END,
      CASE y.polcmd WHEN 'r' THEN ' FOR SELECT' WHEN 'a' THEN ' FOR INSERT' WHEN 'w' THEN ' FOR UPDATE' WHEN 'd' THEN ' FOR DELETE' ELSE '' END,
      CASE WHEN y.polroles = '{0}' THEN '' ELSE ' TO ' || (SELECT string_agg(CASE o WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(o)) END, ', ' ORDER BY i) FROM unnest(y.polroles) WITH ORDINALITY u(o, i)) END,
      coalesce(' USING (' || pg_get_expr(y.polqual, y.polrelid) || ')', ''), coalesce(' WITH CHECK (' || pg_get_expr(y.polwithcheck, y.polrelid) || ')', ''))`,
    from: `FROM pg_policy y ${ON_TABLE('y.polrelid')}`,
  }),
];
