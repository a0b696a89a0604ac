import { HoldfastError } from '../../errors.ts';
import type { PostgresSession } from '../../sql/postgres-session.ts';
import type { DumpEntry } from './postgres-dump-file.ts';
import { collateOf, keyOf } from './postgres-export-sql.ts';

/** An entry before its place is known; `needs` are keys of others. */
export interface ExportNode
  extends Omit<DumpEntry, 'id' | 'tablespace' | 'accessMethod' | 'dependsOn' | 'section' | 'definition'> {
  readonly key: string;
  section: DumpEntry['section'];
  readonly definition: string;
  readonly needs: Set<string>;
}

/** Objects that have no entry of their own, and the one whose entry makes them. */
const PARTS = [
  `SELECT ${keyOf('pg_type', 't.typarray')} AS part, ${keyOf('pg_type', 't.oid')} AS whole FROM pg_type t WHERE t.typarray >= 16384`,
  `SELECT ${keyOf('pg_type', 't.oid')}, ${keyOf('pg_class', 't.typrelid')} FROM pg_type t JOIN pg_class c ON c.oid = t.typrelid WHERE c.relkind <> 'c' AND t.oid >= 16384`,
  `SELECT ${keyOf('pg_class', 'c.oid')}, ${keyOf('pg_type', 'c.reltype')} FROM pg_class c WHERE c.relkind = 'c' AND c.oid >= 16384`,
  `SELECT ${keyOf('pg_type', `(to_jsonb(r) ->> 'rngmultitypid')::oid`)}, ${keyOf('pg_type', 'r.rngtypid')} FROM pg_range r WHERE r.rngtypid >= 16384 AND to_jsonb(r) ? 'rngmultitypid'`,
  `SELECT ${keyOf('pg_rewrite', 'r.oid')}, ${keyOf('pg_class', 'r.ev_class')} FROM pg_rewrite r WHERE r.rulename = '_RETURN' AND r.oid >= 16384`,
  `SELECT ${keyOf('pg_class', 'k.conindid')}, ${keyOf('pg_constraint', 'k.oid')} FROM pg_constraint k WHERE k.contype IN ('p', 'u', 'x')`,
  `SELECT ${keyOf('pg_attrdef', 'd.oid')}, ${keyOf('pg_class', 'd.adrelid')} FROM pg_attrdef d`,
  `SELECT ${keyOf('pg_constraint', 'k.oid')}, ${keyOf('pg_class', 'k.conrelid')} FROM pg_constraint k WHERE k.conrelid <> 0 AND k.contype IN ('c', 'n')`,
  `SELECT ${keyOf('pg_constraint', 'k.oid')}, ${keyOf('pg_type', 'k.contypid')} FROM pg_constraint k WHERE k.contypid <> 0`,
  `SELECT classid || ':' || objid, refclassid || ':' || refobjid FROM pg_depend WHERE deptype = 'e'`,
].join('\nUNION ALL ');

/** Not those of a partition's index on the index it is attached to later. */
const EDGES = `SELECT DISTINCT classid || ':' || objid AS "from", refclassid || ':' || refobjid AS "to" FROM pg_depend
WHERE objid >= 16384 AND refobjid >= 16384 AND deptype NOT IN ('e', 'P', 'S')`;

/**
 * Reads what depends on what.
 * @param isNode whether an object with this key has an entry, or should have one
 * @returns `resolve` gives the key of the entry that makes an object; `edges` are pairs of such keys
 */
export async function readKeys(
  session: PostgresSession,
  isNode: (key: string) => boolean,
): Promise<{ resolve: (key: string) => string | undefined; edges: readonly (readonly [from: string, to: string])[] }> {
  const wholeOf = new Map((await session.query(PARTS)).map(({ part, whole }) => [part ?? '', whole ?? '']));
  const resolve = (key: string): string | undefined => {
    const seen = new Set<string>();
    for (let at: string | undefined = key; at !== undefined && !seen.has(at); at = wholeOf.get(at)) {
      if (isNode(at)) return at;
      seen.add(at);
    }
    return undefined;
  };
  const edges = (await session.query(EDGES)).flatMap(({ from, to }) => {
    const [dependent, needed] = [resolve(from ?? ''), resolve(to ?? '')];
    return dependent === undefined || needed === undefined || dependent === needed
      ? []
      : [[dependent, needed] as const];
  });
  return { resolve, edges };
}

/** Kinds in the order in which they come when nothing else decides. */
const KINDS =
  'SCHEMA,EXTENSION,COLLATION,TYPE,DOMAIN,FUNCTION,PROCEDURE,AGGREGATE,TABLE,TABLE ATTACH,SEQUENCE,SEQUENCE OWNED BY,DEFAULT,VIEW,MATERIALIZED VIEW,CHECK CONSTRAINT,INDEX,CONSTRAINT,INDEX ATTACH,STATISTICS,FK CONSTRAINT,RULE,TRIGGER,ROW SECURITY,POLICY,DEFAULT ACL,COMMENT,ACL'.split(
    ',',
  );
/** Kinds that are made when the rows are in if what they need is. */
const POSTPONED = new Set(['FUNCTION', 'PROCEDURE', 'AGGREGATE', 'MATERIALIZED VIEW', 'DEFAULT']);

/** The entries, each after what it needs. @throws DR_UNSUPPORTED_OBJECT for one that needs itself, and can only be made in parts */
export async function inOrder(session: PostgresSession, nodes: Map<string, ExportNode>): Promise<DumpEntry[]> {
  await splitViews(session, nodes);
  const sorted = sort(nodes);
  const ids = new Map(sorted.map(({ key }, index) => [key, index + 1]));
  return sorted.map(({ key, needs, ...entry }, index) => ({
    ...entry,
    id: index + 1,
    tablespace: null,
    accessMethod: null,
    dependsOn: [...needs].flatMap((need) => ids.get(need) ?? []).sort((a, b) => a - b),
  }));
}

function byRank(a: ExportNode, b: ExportNode): number {
  const rank = ({ kind, schema, tag, oid }: ExportNode): readonly (string | number)[] => [
    KINDS.indexOf(kind),
    schema ?? '',
    tag,
    oid,
  ];
  const [left, right] = [rank(a), rank(b)];
  const at = left.findIndex((part, index) => part !== right[index]);
  return at < 0 ? 0 : (left[at] ?? '') < (right[at] ?? '') ? -1 : 1;
}

function sort(nodes: ReadonlyMap<string, ExportNode>): ExportNode[] {
  const sorted = new Set<ExportNode>();
  const begun = new Set<ExportNode>();
  const place = (node: ExportNode): void => {
    if (sorted.has(node)) return;
    if (begun.has(node)) throw circle(node);
    begun.add(node);
    const needed = [...node.needs].map((key) => nodes.get(key)).filter((other) => other !== undefined);
    for (const other of needed.sort(byRank)) place(other);
    sorted.add(node);
  };
  for (const node of [...nodes.values()].sort(byRank)) place(node);
  return [...sorted];
}

function circle({ kind, schema, tag }: ExportNode): HoldfastError {
  const name = `${kind.toLowerCase()} ${schema === null ? '' : `${schema}.`}${tag}`;
  return new HoldfastError(
    'DR_UNSUPPORTED_OBJECT',
    `The ${name} needs itself by way of other objects, which only pg_dump can take apart: install it.`,
    { details: { objects: [name] } },
  );
}

/**
 * A view may need what is made late, such as the primary key by which it groups, or itself by way of another view. It is made
 * first with its columns alone, for others to refer to, and is given its query later.
 */
async function splitViews(session: PostgresSession, nodes: Map<string, ExportNode>): Promise<void> {
  const isLate = (node: ExportNode): boolean => [...node.needs].some((key) => nodes.get(key)?.section === 'POST_DATA');
  const split = new Set<string>();
  for (let changed = true; changed; ) {
    changed = false;
    // In an order of names: of views that refer to each other, the same one is split in every copy of the database.
    for (const { key } of [...nodes.values()].sort(byRank)) {
      const node = nodes.get(key)!;
      if (node.section !== 'PRE_DATA') continue;
      if (POSTPONED.has(node.kind) && isLate(node)) {
        node.section = 'POST_DATA';
        changed = true;
      } else if (node.kind === 'VIEW' && !split.has(node.key) && (isLate(node) || reachesItself(node, nodes))) {
        split.add(node.key);
        await splitView(session, node, nodes);
        changed = true;
      }
    }
  }
}

/** What the columns of a view may need: the rest is needed by its query. */
const COLUMN_NEEDS = new Set(['SCHEMA', 'EXTENSION', 'COLLATION', 'TYPE', 'DOMAIN', 'TABLE']);

async function splitView(session: PostgresSession, view: ExportNode, nodes: Map<string, ExportNode>): Promise<void> {
  const [row] = await session.query(`
    SELECT format('CREATE VIEW %I.%I AS SELECT %s;', n.nspname, c.relname, (SELECT string_agg(format('NULL::%s%s AS %I', format_type(a.atttypid, a.atttypmod),
      ${collateOf('a.attcollation', 'a.atttypid')}, a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0)) AS definition
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ${view.oid}`);
  const needs = [...view.needs].filter((key) => COLUMN_NEEDS.has(nodes.get(key)?.kind ?? ''));
  const rule: ExportNode = {
    ...view,
    ...{ key: `query:${view.key}`, kind: 'RULE', tag: `${view.tag} _RETURN`, section: 'POST_DATA' },
    definition: view.definition.replace(/^CREATE VIEW/, 'CREATE OR REPLACE VIEW'),
    needs: new Set([...view.needs, view.key]),
  };
  nodes.set(rule.key, rule);
  nodes.set(view.key, { ...view, definition: row?.definition ?? '', needs: new Set(needs) });
}

function reachesItself(node: ExportNode, nodes: ReadonlyMap<string, ExportNode>): boolean {
  const seen = new Set<string>();
  const open = [...node.needs];
  for (let key = open.pop(); key !== undefined; key = open.pop()) {
    if (key === node.key) return true;
    if (seen.has(key)) continue;
    seen.add(key);
    open.push(...(nodes.get(key)?.needs ?? []));
  }
  return false;
}
