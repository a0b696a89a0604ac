import { literalPostgres, qualifiedPostgres, quotePostgres } from '../../sql/identifiers.ts';
import { type SchemaObject, Section } from '../archive/manifest.ts';
import type { CatalogLargeObject, CatalogView } from './postgres-catalog.ts';
import type { DumpEntry } from './postgres-dump-file.ts';
import { wholeTreeKeys } from './postgres-partition-keys.ts';

/** Settings that pg_dump writes for psql; a restore pins its own. */
const SETTINGS = new Set(['ENCODING', 'STDSTRINGS', 'SEARCHPATH', 'DATABASE', 'DATABASE PROPERTIES']);
/** Kinds whose owner is set by `ALTER kind name OWNER TO`, with and without a schema before the name. */
const NAMED_WITH_SCHEMA = new Set(
  'COLLATION,CONVERSION,DOMAIN,FOREIGN TABLE,MATERIALIZED VIEW,SEQUENCE,STATISTICS,TABLE,TEXT SEARCH CONFIGURATION,TEXT SEARCH DICTIONARY,TYPE,VIEW'.split(
    ',',
  ),
);
const NAMED = new Set(
  'EVENT TRIGGER,FOREIGN DATA WRAPPER,PROCEDURAL LANGUAGE,PUBLICATION,SCHEMA,SERVER,SUBSCRIPTION'.split(','),
);
/** Kinds whose arguments belong to the name: the name is taken from the DROP statement. */
const NAMED_BY_DROP = new Set('AGGREGATE,FUNCTION,OPERATOR,OPERATOR CLASS,OPERATOR FAMILY,PROCEDURE'.split(','));

/** What turns entries of pg_dump into objects of an archive. */
export interface ObjectContext {
  /** Id in the archive of the table that an object belongs to, by `classid:oid`. */
  readonly tableOf: (object: string) => number | null;
  readonly tableName: (table: number) => string;
}

/** The objects of a schema, each with its statements, in an order in which they can be created one after the other. */
export function schemaObjects(entries: readonly DumpEntry[], context: ObjectContext): SchemaObject[] {
  const kept = wholeTreeKeys(entries.filter(({ kind }) => !SETTINGS.has(kind)));
  const byId = new Map(kept.map((entry) => [entry.id, entry]));
  const tableOf = (entry: DumpEntry): number | null => {
    const own = context.tableOf(`${entry.catalog}:${entry.oid}`);
    if (own !== null || entry.catalog !== 0) return own;
    // Comments, grants and attachments are listed nowhere: they belong where what they depend on belongs.
    const others = entry.dependsOn.map((id) => byId.get(id)).filter((other) => other !== undefined);
    const attached = others.find(({ tag }) => tag === entry.tag || tag.endsWith(` ${entry.tag}`)) ?? others[0];
    return attached === undefined ? null : context.tableOf(`${attached.catalog}:${attached.oid}`);
  };
  return kept.map((entry) => {
    const table = tableOf(entry);
    return {
      id: String(entry.id),
      kind: entry.kind,
      schema: entry.schema,
      name: nameOf(entry, table === null ? null : context.tableName(table)),
      section: sectionOf(entry, byId),
      statements: statementsOf(entry),
      dependsOn: [...new Set(entry.dependsOn)].filter((id) => byId.has(id)).map(String),
      table,
      owner: entry.owner,
      ownedAs: ownedAs(entry),
    };
  });
}

/** `film film_pkey` is the key of a table: the name is what follows. */
function nameOf({ tag }: DumpEntry, table: string | null): string {
  return table !== null && tag.startsWith(`${table} `) ? tag.slice(table.length + 1) : tag;
}

function sectionOf(entry: DumpEntry, byId: ReadonlyMap<number, DumpEntry>): Section {
  if (entry.section === 'PRE_DATA') return Section.PRE_DATA;
  if (entry.section === 'DATA' || entry.section === 'POST_DATA') return Section.POST_DATA;
  // Grants come last: an owner may have taken rights from itself.
  if (entry.kind === 'ACL') return Section.POST_DATA;
  return entry.dependsOn.some((id) => byId.get(id)?.section === 'POST_DATA') ? Section.POST_DATA : Section.PRE_DATA;
}

function statementsOf({ definition, accessMethod, kind }: DumpEntry): string[] {
  // A schema that every database has is "created" by a comment.
  if (/^(\s*--[^\n]*(\n|$))*\s*$/.test(definition)) return [];
  const special =
    accessMethod !== null && accessMethod !== 'heap' && (kind === 'TABLE' || kind === 'MATERIALIZED VIEW');
  if (!special) return [definition];
  const setting = 'SET LOCAL default_table_access_method =';
  // What follows in the same transaction is made by the default again.
  return [`${setting} ${quotePostgres(accessMethod)}`, definition, `${setting} DEFAULT`];
}

/** As pg_restore's `_getObjectDescription` names an object for ALTER … OWNER TO. */
function ownedAs({ kind, schema, tag, drop, owner }: DumpEntry): string | null {
  if (owner === null) return null;
  if (NAMED_WITH_SCHEMA.has(kind) && schema !== null) return `${kind} ${qualifiedPostgres({ schema, name: tag })}`;
  if (NAMED.has(kind)) return `${kind} ${quotePostgres(tag)}`;
  return NAMED_BY_DROP.has(kind) && drop !== '' ? drop.replace(/^DROP /, '').replace(/;\s*$/, '') : null;
}

/** What fills the materialized views that held rows, each after those it reads. */
export function refreshObjects(views: readonly CatalogView[], objects: readonly SchemaObject[]): SchemaObject[] {
  const id = (oid: number): string => `refresh:${oid}`;
  const held = new Set(views.map(({ oid }) => oid));
  return views.map(({ oid, schema, name, reads }) => {
    const view = objects.find(
      (object) => object.kind === 'MATERIALIZED VIEW' && object.schema === schema && object.name === name,
    );
    return {
      id: id(oid),
      kind: 'MATERIALIZED VIEW DATA',
      schema,
      name,
      section: Section.POST_DATA,
      statements: [`REFRESH MATERIALIZED VIEW ${qualifiedPostgres({ schema, name })}`],
      dependsOn: [...(view === undefined ? [] : [view.id]), ...reads.filter((read) => held.has(read)).map(id)],
      table: null,
      owner: view?.owner ?? null,
      ownedAs: null,
    };
  });
}

/** Begins the ids of what grants rights on large objects. */
const BLOB_ACL = 'blob-acl:';

/** What creates the large objects, empty, with owner, comment and grants; their bytes are rows of `pg_largeobject`. */
export function largeObjects(found: readonly CatalogLargeObject[]): SchemaObject[] {
  const made = found.map(({ oid, owner, comment }) => ({
    id: `blob:${oid}`,
    kind: 'BLOB',
    schema: null,
    name: String(oid),
    section: Section.PRE_DATA,
    statements: [
      `SELECT pg_catalog.lo_create(${oid})`,
      ...(comment === null ? [] : [`COMMENT ON LARGE OBJECT ${oid} IS ${literalPostgres(comment)}`]),
    ],
    dependsOn: [],
    table: null,
    owner,
    ownedAs: `LARGE OBJECT ${oid}`,
  }));
  const granted = found
    .filter(({ grants }) => grants.length > 0)
    .map(({ oid, grants }) => ({
      id: `${BLOB_ACL}${oid}`,
      kind: 'ACL',
      schema: null,
      name: `LARGE OBJECT ${oid}`,
      section: Section.POST_DATA,
      statements: grants,
      dependsOn: [`blob:${oid}`],
      table: null,
      owner: null,
      ownedAs: null,
    }));
  return [...made, ...granted];
}

/** What creates large objects: they are contents, and so are made in a schema that is there, too. */
export function largeObjectsOf(objects: readonly SchemaObject[]): SchemaObject[] {
  return objects.filter(({ id, kind }) => kind === 'BLOB' || (kind === 'ACL' && id.startsWith(BLOB_ACL)));
}

/** The objects that `tables` need: their own, and what those depend on; the others belong to tables that are left out. */
export function objectsOf(objects: readonly SchemaObject[], tables: ReadonlySet<number>): SchemaObject[] {
  const byId = new Map(objects.map((object) => [object.id, object]));
  const kept = new Set<string>();
  const keep = (id: string): void => {
    const object = byId.get(id);
    if (object === undefined || kept.has(id)) return;
    kept.add(id);
    object.dependsOn.forEach(keep);
  };
  const leftOut = (object: SchemaObject): boolean => object.table !== null && !tables.has(object.table);
  for (const object of objects) if (object.table !== null && tables.has(object.table)) keep(object.id);
  const isKeptTable = (id: string): boolean => kept.has(id) && byId.get(id)?.kind === 'TABLE';
  // What is attached to a kept object without belonging to a table: its comments, its grants.
  for (const object of objects) {
    // Of MariaDB and MySQL: what tables and triggers leave open is taken from their database.
    if (object.kind === 'DATABASE PROPERTIES') keep(object.id);
    const attached = object.kind === 'COMMENT' || object.kind === 'ACL' || object.kind === 'SEQUENCE OWNED BY';
    if (attached && object.dependsOn.length > 0 && object.dependsOn.every((id) => kept.has(id))) kept.add(object.id);
    // A sequence depends on a table only as its own: the table, in turn, says nothing of what numbers an identity column.
    if (object.kind === 'SEQUENCE' && object.dependsOn.some(isKeptTable)) keep(object.id);
  }
  return objects.filter((object) => kept.has(object.id) && !leftOut(object));
}
