import { quoteMysql } from '../../sql/identifiers.ts';
import type { Chunk, Manifest, ManifestTable, SchemaObject } from '../archive/manifest.ts';
import type { ForeignKey } from '../graph/table-graph.ts';
import { groupTables } from '../plan/table-groups.ts';
import { withForeignKeys } from './mariadb-create-table.ts';
import { type RestoreMode, RestorePhase, type RestoreTask } from './restore-target.ts';

/** What one task does. Only rows of transactional tables can be put into one transaction with its mark. */
export type MariadbWork =
  | { readonly kind: 'objects'; readonly objects: readonly SchemaObject[] }
  | { readonly kind: 'rows'; readonly loads: readonly RowsOf[]; readonly empties: boolean }
  | { readonly kind: 'check'; readonly keys: readonly ForeignKey[] }
  | { readonly kind: 'sequences' }
  | { readonly kind: 'journal' };

/** A chunk of a table, loaded in one transaction with the others of its task; `empties` truncates their table before. */
export interface RowsOf {
  readonly table: ManifestTable;
  readonly chunk: Chunk;
}

export type MariadbTask = RestoreTask<MariadbWork>;

/** Of the plan: raised when the same id stands for other work than before, so that no restore goes on with marks that mean something else. */
export const PLAN_VERSION = 4;

/** The task that makes routines, views and triggers, and the one that puts triggers back into live tables and raises their next numbers. */
export const FINISH_TASK = 'finish';
export const JOURNAL_TASK = 'journal';

/** Tables created, or small ones loaded, one after the other by one worker. */
const BATCH = 16;
/** Tables of up to so many bytes are loaded and checked together: each commit of its own waits for the disk. */
const SMALL_BYTES = 4 << 20;
/** Bytes of tables that are loaded together. */
const LOADED_TOGETHER = 16 << 20;
/** Work of a task besides its rows, in bytes loaded in the same time. */
const BASE_COST = 64 << 10;
/** Bytes loaded in the time in which an index over one byte of rows is built, a key is checked. */
const INDEX_COST = 0.3;
const CHECK_COST = 0.1;
const TRANSACTIONAL = /^(InnoDB|ROCKSDB|TokuDB)$/i;

/** Whether rows of a table come and go with their transaction. */
export function isTransactional({ engine }: ManifestTable): boolean {
  return TRANSACTIONAL.test(engine ?? '');
}

/**
 * The tasks of a restore. Into an empty database: tables, rows, each table's large indexes as soon as its rows are in, foreign keys
 * when both tables have their indexes, a look whether every key finds its row, then routines, views, triggers, values of sequences,
 * and events at the very end. A foreign key between tables without large indexes is created with its table: each statement that alters
 * one costs milliseconds. Nothing that could fire exists while rows are loaded. Into live tables: rows, the look, sequences, next
 * numbers, and the triggers that were taken away. The same manifest gives the same ids.
 */
export function planMariadbRestore(manifest: Manifest, mode: RestoreMode): MariadbTask[] {
  return new Plan(manifest, mode).tasks;
}

class Plan {
  readonly tasks: MariadbTask[] = [];
  readonly #tables: ReadonlyMap<number, ManifestTable>;
  /** What must be done before something else is done with a table. */
  readonly #behind = new Map<number, string[]>();

  constructor({ tables, objects, graph, sequences }: Manifest, mode: RestoreMode) {
    this.#tables = new Map(tables.map((table) => [table.id, table]));
    const ofKind = (...kinds: string[]): SchemaObject[] => objects.filter(({ kind }) => kinds.includes(kind));
    const parentsOf = (child: number | null): number[] => [
      ...new Set(graph.keys.filter((key) => key.child === child).map(({ parent }) => parent)),
    ];
    const indexed = new Set(ofKind('INDEX').map(({ table }) => table));
    const withTable = ofKind('FK CONSTRAINT').filter(
      ({ table }) => !indexed.has(table) && !parentsOf(table).some((parent) => indexed.has(parent)),
    );
    if (mode === 'full') {
      const created = ofKind('TABLE').map((table) => withKeys(table, withTable));
      this.#createTables(ofKind('DATABASE PROPERTIES', 'SEQUENCE'), created);
    }
    const isSmall = (table: ManifestTable): boolean =>
      isTransactional(table) && table.chunks.length === 1 && table.bytes <= SMALL_BYTES;
    for (const table of tables.filter((one) => !isSmall(one))) this.#loadRows(table);
    this.#loadTogether(tables.filter(isSmall));
    if (mode === 'full') {
      for (const object of ofKind('INDEX')) this.#alter(object, RestorePhase.INDEX, INDEX_COST, []);
      const built = new Map([...this.#behind].map(([id, tasks]) => [id, [...tasks]]));
      for (const object of ofKind('FK CONSTRAINT').filter((key) => !withTable.includes(key))) {
        this.#alter(
          object,
          RestorePhase.CHECK,
          0,
          parentsOf(object.table).flatMap((id) => built.get(id) ?? []),
        );
      }
    }
    const smallKeys = graph.keys.filter(({ child }) => (this.#tables.get(child)?.bytes ?? 0) <= SMALL_BYTES);
    const largeKeys = graph.keys.filter((key) => !smallKeys.includes(key));
    for (const [child, keys] of Map.groupBy(largeKeys, (key) => key.child)) this.#check(`${child}`, keys);
    for (let from = 0; from < smallKeys.length; from += BATCH) {
      this.#check(`small:${from / BATCH}`, smallKeys.slice(from, from + BATCH));
    }

    const rest = ofKind('LIBRARY', 'FUNCTION', 'PROCEDURE', 'PACKAGE', 'PACKAGE BODY', 'VIEW', 'TRIGGER');
    let last = this.tasks.map(({ id }) => id);
    const next = (id: string, work: MariadbWork): void => {
      last = [this.#add({ id, phase: RestorePhase.FINISH, work, cost: BASE_COST, dependsOn: last })];
    };
    // A run that ended while one of them was made may have left the database with the collation that this one needs.
    const properties = ofKind('DATABASE PROPERTIES');
    if (mode === 'full' && rest.length > 0) next(FINISH_TASK, { kind: 'objects', objects: [...properties, ...rest] });
    if (sequences.length > 0) next('sequences', { kind: 'sequences' });
    if (mode === 'data') next(JOURNAL_TASK, { kind: 'journal' });
    const events = ofKind('EVENT');
    if (mode === 'full' && events.length > 0) next('events', { kind: 'objects', objects: [...properties, ...events] });
  }

  #createTables(first: readonly SchemaObject[], created: readonly SchemaObject[]): void {
    const work = { kind: 'objects', objects: first } as const;
    const begin = this.#add({ id: 'create', phase: RestorePhase.CREATE, work, cost: BASE_COST, dependsOn: [] });
    for (let from = 0; from < created.length; from += BATCH) {
      const objects = created.slice(from, from + BATCH);
      const cost = objects.reduce((sum, { table }) => sum + (this.#tables.get(table ?? -1)?.bytes ?? 0), BASE_COST);
      const id = this.#add({
        ...{ id: `create:${from / BATCH}`, phase: RestorePhase.CREATE, cost, dependsOn: [begin] },
        work: { kind: 'objects', objects },
      });
      for (const { table } of objects) this.#behind.set(table ?? -1, [id]);
    }
  }

  #loadRows(table: ManifestTable): void {
    const { id, chunks } = table;
    if (chunks.length === 0) return;
    // What cannot be rolled back is loaded as a whole, and from the beginning when that was interrupted.
    const whole = !isTransactional(table);
    const dependsOn = this.#behind.get(id) ?? [];
    const tasks = (whole ? [chunks] : chunks.map((chunk) => [chunk])).map((part, index) =>
      this.#add({
        ...{ id: `rows:${id}:${whole ? 'all' : index}`, phase: RestorePhase.LOAD, dependsOn, shared: [`${id}`] },
        work: { kind: 'rows', loads: part.map((chunk) => ({ table, chunk })), empties: whole },
        cost: part.reduce((sum, { bytes }) => sum + bytes, BASE_COST),
      }),
    );
    this.#behind.set(id, [...dependsOn, ...tasks]);
  }

  #loadTogether(tables: readonly ManifestTable[]): void {
    const groups = groupTables(tables, { tables: BATCH, bytes: LOADED_TOGETHER }, ({ bytes }) => bytes);
    for (const [number, { tables: some, bytes }] of groups.entries()) {
      const task = this.#add({
        ...{ id: `rows:small:${number}`, phase: RestorePhase.LOAD, shared: some.map(({ id }) => `${id}`) },
        work: {
          kind: 'rows',
          loads: some.flatMap((table) => table.chunks.map((chunk) => ({ table, chunk }))),
          empties: false,
        },
        cost: BASE_COST + bytes,
        dependsOn: some.flatMap(({ id }) => this.#behind.get(id) ?? []),
      });
      for (const { id } of some) this.#behind.set(id, [...(this.#behind.get(id) ?? []), task]);
    }
  }

  #alter(object: SchemaObject, phase: RestorePhase, costOfByte: number, others: readonly string[]): void {
    const id = object.table ?? -1;
    const bytes = this.#tables.get(id)?.bytes ?? 0;
    const before = this.#behind.get(id) ?? [];
    const task = this.#add({
      ...{ id: `object:${object.id}`, phase, cost: BASE_COST + bytes * costOfByte, exclusive: [`${id}`] },
      work: { kind: 'objects', objects: [object] },
      dependsOn: [...before, ...others],
    });
    this.#behind.set(id, [...before, task]);
  }

  #check(name: string, keys: readonly ForeignKey[]): void {
    const tables = [...new Set(keys.flatMap(({ child, parent }) => [child, parent]))];
    const bytes = keys.reduce((sum, { child }) => sum + (this.#tables.get(child)?.bytes ?? 0), 0);
    this.#add({
      ...{ id: `check:${name}`, phase: RestorePhase.CHECK, shared: tables.map(String) },
      work: { kind: 'check', keys },
      cost: BASE_COST + bytes * CHECK_COST,
      dependsOn: tables.flatMap((id) => this.#behind.get(id) ?? []),
    });
  }

  #add(task: Omit<MariadbTask, 'shared' | 'exclusive'> & Partial<MariadbTask>): string {
    this.tasks.push({ shared: [], exclusive: [], ...task, dependsOn: [...new Set(task.dependsOn)] });
    return task.id;
  }
}

/** A table that is created with those of the foreign keys that are its own. */
function withKeys(table: SchemaObject, keys: readonly SchemaObject[]): SchemaObject {
  const own = keys.filter((key) => key.table === table.table).flatMap(({ statements }) => statements);
  const [create, ...more] = table.statements;
  if (create === undefined || own.length === 0) return table;
  const alter = `ALTER TABLE ${quoteMysql(table.name)} `;
  const clauses = own.map((statement) => statement.slice(alter.length));
  return { ...table, statements: [withForeignKeys(create, clauses), ...more] };
}
