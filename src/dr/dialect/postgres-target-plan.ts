import type { Manifest, ManifestTable, SchemaObject } from '../archive/manifest.ts';
import { keyAsIndex, keyUnchecked } from './postgres-stepwise-keys.ts';
import { sampledTogether } from './postgres-target-samples.ts';
import { BASE_COST, type TargetTask } from './postgres-target-task.ts';
import { RestorePhase } from './restore-target.ts';

/** Objects created in one transaction: few enough for the server's lock table, enough to make transactions cheap. */
const BATCH = 200;
/** As {@link BATCH}, for what must be there before rows are: the first tables are filled while the next are created. */
const EARLY_BATCH = 50;
/** Bytes loaded in the time in which an index over one byte of rows is built, a key is checked, a table is sampled. */
const INDEX_COST = 0.15;
const CHECK_COST = 0.07;
const ANALYZE_COST = 0.5;
/**
 * A table is loaded in one transaction, which saves later work on its rows, up to this size and share of all bytes: a larger one is
 * spread over the workers. Independent of their number, so that a restore can be resumed with another one.
 */
const WHOLE_BYTES = 256 << 20;
const WHOLE_SHARE = 0.25;
/**
 * Above this size a table's keys are built as indexes first, side by side with its other indexes, and its foreign keys are checked side
 * by side; below, fewer steps are faster.
 */
const SIDE_BY_SIDE_BYTES = 32 << 20;

/** Entries that are no part of a database's contents, or come from elsewhere in the manifest. */
const IGNORED = /^(ENCODING|STDSTRINGS|SEARCHPATH|DATABASE|DATABASE PROPERTIES|TABLE DATA|SEQUENCE SET)$/;
const INDEX_KINDS = /^(INDEX|CONSTRAINT|INDEX ATTACH)$/;
/** A constraint of a partitioned table that is made together with those of its partitions. */
const WHOLE_TREE = /^ALTER TABLE (?!ONLY )/;
/** One at a time: the server marks an index whole when it sees its last part, and two that come together do not see each other. */
const ATTACH = 'INDEX ATTACH';
const REFRESH = 'MATERIALIZED VIEW DATA';
const FOREIGN_KEY = 'FK CONSTRAINT';
/** Kinds that run no code of users. A function may read tables that it is not known to depend on, when a row is checked. */
const WITHOUT_CODE = /^(SCHEMA|TABLE|TABLE ATTACH|SEQUENCE|SEQUENCE OWNED BY|DEFAULT|TYPE|DOMAIN|COLLATION|VIEW)$/;
/** They may stand anywhere in the archive, for objects that are created late too. */
const LATE = /^(ACL|DEFAULT ACL|COMMENT|SECURITY LABEL)$/;
const LAST = 'EVENT TRIGGER';
const STATISTICS = 'STATISTICS';

/** Things that many tables share, beside the tables themselves: work on these locks any of them. */
const ATTACHED = 'attached indexes';
const PARTITIONED = 'partitioned tables';

/**
 * The tasks of a restore into an empty database: objects, rows, each table's indexes and keys as soon as its rows are in, foreign
 * keys as soon as both tables have theirs, a sample of each table after these; then triggers, rules, policies, grants, and what could only be created then with its indexes, at
 * last the contents of materialized views and event triggers. Nothing that could fire exists while rows are loaded. The same manifest gives the same ids.
 *
 * @param serverMajor of the target: before 18 a key of a partitioned table cannot be added unchecked
 */
export function planFullRestore(manifest: Manifest, serverMajor: number): TargetTask[] {
  return new FullPlan(manifest, serverMajor).tasks;
}

class FullPlan {
  readonly tasks: TargetTask[] = [];
  readonly #tables: ReadonlyMap<number, ManifestTable>;
  readonly #serverMajor: number;
  /** Last task of an object, by its id. */
  readonly #taskOf = new Map<string, string>();
  /** Tasks that use a thing. */
  readonly #users = new Map<string, string[]>();
  /** Tasks that load the rows of a table. */
  readonly #loads = new Map<number, readonly string[]>();

  constructor({ tables, objects: all, sequences, graph }: Manifest, serverMajor: number) {
    this.#serverMajor = serverMajor;
    this.#tables = new Map(tables.map((table) => [table.id, table]));
    const objects = all.filter(({ kind }) => !IGNORED.test(kind));
    const isEarly = ({ section, kind }: SchemaObject): boolean =>
      section === 'PRE_DATA' && !LATE.test(kind) && kind !== LAST;

    const early = objects.filter(isEarly);
    const created = this.#batches('create', RestorePhase.CREATE, early, [], EARLY_BATCH);
    const ready = early.every(({ kind }) => WITHOUT_CODE.test(kind))
      ? this.#lastOf(early)
      : new Map<number, string[]>();
    const allBytes = tables.reduce((sum, { bytes }) => sum + bytes, 0);
    const wholeBytes = Math.min(WHOLE_BYTES, allBytes * WHOLE_SHARE);
    const ofArchive = new Set(objects.filter(({ kind }) => kind === 'TABLE').map(({ table }) => table));
    const load = (table: ManifestTable, isEmpty: boolean, after: readonly string[]): void =>
      this.#loadRows(table, { wholeBytes, isEmpty, after });
    for (const table of tables.filter(({ id }) => ofArchive.has(id))) load(table, true, ready.get(table.id) ?? created);
    // The others are there with an extension, its rows and keys in them; or hold the large objects.
    const given = tables.filter(({ id }) => !ofArchive.has(id));
    for (const table of given.toSorted((a, b) => graph.order.indexOf(a.id) - graph.order.indexOf(b.id))) {
      const parents = graph.keys.filter(({ child }) => child === table.id).map(({ parent }) => parent);
      load(table, false, [...created, ...parents.flatMap((parent) => this.#loads.get(parent) ?? [])]);
    }
    const loaded = [...created, ...[...this.#loads.values()].flat()];

    const later = objects.filter((object) => !isEarly(object));
    const isOther = ({ kind }: SchemaObject): boolean =>
      !INDEX_KINDS.test(kind) && kind !== FOREIGN_KEY && kind !== REFRESH && kind !== LAST;
    const others = later.filter(isOther);
    // A materialized view that needs a key is created after keys, and has its own indexes after that.
    const madeLate = others.filter(({ kind }) => !LATE.test(kind));
    const [onLate, indexes] = apart(
      later.filter(({ kind }) => INDEX_KINDS.test(kind)),
      needing(objects, madeLate),
    );
    for (const object of indexes) this.#buildIndex(object, created);
    const indexed = [...new Set(this.#taskOf.values()), ...loaded];
    const keys = later.filter(({ kind }) => kind === FOREIGN_KEY);
    for (const object of keys) {
      const key = graph.keys.find(({ name, child }) => name === object.name && child === object.table);
      this.#addForeignKey(object, key?.parent ?? null, created, indexed);
    }
    const built = [...new Set([...this.#taskOf.values(), ...indexed])];

    const last = later.filter(({ kind }) => kind === LAST);
    const [ofLast, rest] = apart(
      others.filter(({ kind }) => LATE.test(kind)),
      needing(objects, last),
    );
    const [ofIndexes, attached] = apart(rest, needing(objects, onLate));
    if (sequences.length > 0) {
      const work = { kind: 'sequences' } as const;
      this.#add({ id: 'sequences', phase: RestorePhase.FINISH, work, cost: BASE_COST, dependsOn: created });
    }
    // Where something tells more about what is to be sampled, that comes first.
    const samplesLate = objects.some(({ kind }) => kind === STATISTICS);
    const sampled = samplesLate ? [] : this.#analyze(tables, created);
    const made = this.#batches('finish', RestorePhase.FINISH, [...madeLate, ...attached], [...built, ...sampled]);
    for (const object of onLate) this.#buildIndex(object, made);
    const whole = [...made, ...this.#tasksOf(onLate.map(({ id }) => id))];
    const finished = this.#batches('attach', RestorePhase.FINISH, ofIndexes, whole);
    if (samplesLate) this.#analyze(tables, finished);
    const refreshed = later.filter(({ kind }) => kind === REFRESH);
    // They come in no particular order: which others one reads is known by what it depends on.
    for (const object of refreshed) this.#taskOf.set(object.id, this.#oneObject(object).id);
    for (const object of refreshed) {
      const dependsOn = [...finished, ...this.#tasksOf(object.dependsOn)];
      this.#add({ ...this.#oneObject(object), phase: RestorePhase.FINISH, cost: BASE_COST, dependsOn });
    }
    this.#batches(
      'last',
      RestorePhase.FINISH,
      [...last, ...ofLast],
      this.tasks.map(({ id }) => id),
    );
  }

  #add(task: Omit<TargetTask, 'shared' | 'exclusive'> & Partial<TargetTask>): string {
    const added = { shared: [], exclusive: [], ...task, dependsOn: [...new Set(task.dependsOn)] };
    this.tasks.push(added);
    for (const thing of [...added.shared, ...added.exclusive]) {
      const users = this.#users.get(thing);
      if (users === undefined) this.#users.set(thing, [task.id]);
      else users.push(task.id);
    }
    return task.id;
  }

  /** One after the other, in the order of the archive; returns what stands for all of them, `after` when there are none. */
  #batches(
    name: string,
    phase: RestorePhase,
    objects: readonly SchemaObject[],
    after: readonly string[],
    size = BATCH,
  ): readonly string[] {
    let last = after;
    for (let from = 0; from < objects.length; from += size) {
      const batch = objects.slice(from, from + size);
      const work = { kind: 'objects', objects: batch } as const;
      const id = this.#add({ id: `${name}:${from / size}`, phase, work, cost: BASE_COST, dependsOn: last });
      for (const object of batch) this.#taskOf.set(object.id, id);
      last = [id];
    }
    return last;
  }

  /** By table the task that creates the last of these objects that belongs to it or is made of it; each task waits for the one before. */
  #lastOf(objects: readonly SchemaObject[]): ReadonlyMap<number, readonly string[]> {
    const tableOf = new Map(objects.map(({ id, kind, table }) => [id, kind === 'TABLE' ? table : null]));
    const last = new Map<number, readonly string[]>();
    for (const { id, table, dependsOn } of objects) {
      for (const of of [table, ...dependsOn.map((other) => tableOf.get(other))]) {
        if (of != null) last.set(of, this.#tasksOf([id]));
      }
    }
    return last;
  }

  /** @param isEmpty no rows are there before */
  #loadRows(
    table: ManifestTable,
    { wholeBytes, isEmpty, after }: { wholeBytes: number; isEmpty: boolean; after: readonly string[] },
  ): void {
    const { id, chunks, bytes } = table;
    const isWhole = table.scattered === undefined && (chunks.length === 1 || bytes <= wholeBytes);
    const parts = isWhole && chunks.length > 0 ? [chunks] : chunks.map((chunk) => [chunk]);
    const tasks = parts.map((part, index) =>
      this.#add({
        id: `rows:${id}:${isWhole ? 'all' : index}`,
        phase: RestorePhase.LOAD,
        work: {
          kind: 'rows',
          loads: part.map((chunk) => ({ table, chunk, whole: isWhole && isEmpty })),
          deferred: false,
        },
        cost: part.reduce((sum, chunk) => sum + chunk.bytes, BASE_COST),
        shared: [`${id}`],
        dependsOn: after,
      }),
    );
    this.#loads.set(id, tasks);
  }

  #buildIndex(object: SchemaObject, created: readonly string[]): void {
    const table = this.#tables.get(object.table ?? -1);
    const isOfTree = WHOLE_TREE.test(object.statements[0] ?? '');
    const loads = isOfTree ? [...this.#loads.values()].flat() : (this.#loads.get(object.table ?? -1) ?? []);
    const dependsOn = [...created, ...loads, ...this.#tasksOf(object.dependsOn)];
    const bytes = table?.bytes ?? 0;
    const thing = [`${object.table ?? `object ${object.id}`}`];
    const cost = BASE_COST + bytes * INDEX_COST;
    const base = { phase: RestorePhase.INDEX, dependsOn };
    const split = bytes > SIDE_BY_SIDE_BYTES ? keyAsIndex(object) : undefined;
    if (split === undefined) {
      const attached = object.kind === ATTACH || isOfTree ? [ATTACHED] : [];
      const things = object.kind === 'INDEX' ? { shared: thing } : { exclusive: [...thing, ...attached] };
      this.#taskOf.set(object.id, this.#add({ ...base, ...this.#oneObject(object), ...things, cost }));
      return;
    }
    const what = `build key "${object.name}" of ${nameOf(object)}`;
    const index = this.#add({
      ...base,
      id: `index:${object.id}`,
      work: { kind: 'statements', what, statements: [split.index] },
      shared: thing,
      cost,
    });
    const key = { ...object, statements: [split.constraint] };
    const id = this.#add({
      ...base,
      ...this.#oneObject(key),
      dependsOn: [index],
      exclusive: thing,
      cost: BASE_COST,
    });
    this.#taskOf.set(object.id, id);
  }

  /**
   * A key is added unchecked, which takes no time but locks both tables, and then checked with weaker locks, so that several keys of
   * a table are checked at once. A table without rows of its own may be partitioned: its keys wait for everything.
   */
  #addForeignKey(
    object: SchemaObject,
    parent: number | null,
    created: readonly string[],
    indexed: readonly string[],
  ): void {
    const [childLoads, parentLoads] = [object.table ?? -1, parent ?? -1].map((id) => this.#loads.get(id) ?? []);
    const isPartitioned = [object.table ?? -1, parent ?? -1].some((id) => this.#tables.get(id)?.scattered);
    const known = !isPartitioned && (childLoads?.length ?? 0) > 0 && (parentLoads?.length ?? 0) > 0;
    const [child, referenced] = [`${object.table}`, `${parent}`];
    const dependsOn = known
      ? [...created, ...(childLoads ?? []), ...(parentLoads ?? []), ...this.#tasksOf(object.dependsOn)]
      : indexed;
    const cost = BASE_COST + (this.#tables.get(object.table ?? -1)?.bytes ?? 0) * CHECK_COST;
    const isLarge = (this.#tables.get(object.table ?? -1)?.bytes ?? 0) > SIDE_BY_SIDE_BYTES;
    const unchecked = isLarge && (known || this.#serverMajor >= 18) ? keyUnchecked(object) : undefined;
    const exclusive = known ? [child, referenced] : [PARTITIONED];
    const add = { ...this.#oneObject(object), phase: RestorePhase.CHECK, exclusive, dependsOn };
    if (unchecked === undefined) {
      this.#taskOf.set(object.id, this.#add({ ...add, cost }));
      return;
    }
    const work = { kind: 'objects', objects: [{ ...object, statements: [unchecked.add] }] } as const;
    const added = this.#add({ ...add, work, cost: BASE_COST });
    const id = this.#add({
      id: `check:${object.id}`,
      phase: RestorePhase.CHECK,
      work: {
        kind: 'statements',
        what: `check key "${object.name}" of ${nameOf(object)}`,
        statements: [unchecked.check],
      },
      exclusive: [child],
      shared: referenced === child ? [] : [referenced],
      dependsOn: [added],
      cost,
    });
    this.#taskOf.set(object.id, id);
  }

  /**
   * A table is sampled when its indexes and keys are there. What locks tables in an order of its own, such as keys of partitioned tables
   * or the creation of triggers, comes before all of these tasks, or after.
   */
  #analyze(tables: readonly ManifestTable[], after: readonly string[]): readonly string[] {
    const wide = [ATTACHED, PARTITIONED].flatMap((thing) => this.#users.get(thing) ?? []);
    return sampledTogether(tables).map(({ tables: sampled, bytes }, number) => {
      const names = sampled.map((table) => `${quote(table.schema)}.${quote(table.name)}`).join(', ');
      const things = sampled.map(({ id }) => `${id}`);
      return this.#add({
        id: `analyze:${number}`,
        phase: RestorePhase.FINISH,
        work: { kind: 'statements', what: 'sample tables', statements: [`ANALYZE ${names}`] },
        exclusive: things,
        cost: BASE_COST + bytes * ANALYZE_COST,
        dependsOn: [...after, ...wide, ...things.flatMap((thing) => this.#users.get(thing) ?? [])],
      });
    });
  }

  #oneObject(object: SchemaObject): Pick<TargetTask, 'id' | 'work'> {
    return { id: `object:${object.id}`, work: { kind: 'objects', objects: [object] } };
  }

  #tasksOf(objects: readonly string[]): string[] {
    return objects.flatMap((id) => this.#taskOf.get(id) ?? []);
  }
}

/** Ids of the objects that need one of `some`, also through others. */
function needing(objects: readonly SchemaObject[], some: readonly SchemaObject[]): ReadonlySet<string> {
  const found = new Set(some.map(({ id }) => id));
  if (found.size === 0) return found;
  for (let before = 0; before < found.size; ) {
    before = found.size;
    for (const { id, dependsOn } of objects) if (dependsOn.some((other) => found.has(other))) found.add(id);
  }
  return found;
}

/** Those whose ids are in `ids`, and the others. */
function apart(objects: readonly SchemaObject[], ids: ReadonlySet<string>): [SchemaObject[], SchemaObject[]] {
  return [objects.filter(({ id }) => ids.has(id)), objects.filter(({ id }) => !ids.has(id))];
}

function nameOf({ schema, name }: SchemaObject): string {
  return schema === null ? quote(name) : `${quote(schema)}.${quote(name)}`;
}

function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
