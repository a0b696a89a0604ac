import { Kind } from 'graphql';
import { encodeValue } from './document.ts';
import type { Entity, Field, Model } from './entity.ts';

/** One difference between two models. */
export interface ModelChange {
  readonly change: 'ADDED' | 'REMOVED' | 'CHANGED';
  /** What is concerned: `Teacher`, `Teacher.email`, `Weekday.MONDAY`. */
  readonly name: string;
  /** What is different, in words. */
  readonly message: string;
  /** Whether documents or clients of the old model may not work with the new one. */
  readonly breaking: boolean;
}

/** What changes for documents and clients from one model to another, in the order of their names. */
export function diffModels(before: Model, after: Model): ModelChange[] {
  const changes: ModelChange[] = [];
  compare(byName(before.entities), byName(after.entities), (name, old, recent) => {
    if (old === undefined) note('ADDED', name, 'a new entity', false);
    else if (recent === undefined) note('REMOVED', name, 'the entity is gone; its documents stay stored', true);
    else diffEntity(old, recent);
  });
  compare(before.objects, after.objects, (name, old, recent) => {
    if (old === undefined) note('ADDED', name, 'a new nested type', false);
    else if (recent === undefined) note('REMOVED', name, 'the nested type is gone', true);
    else diffFields(name, old.fields, recent.fields);
  });
  compare(enumValues(before), enumValues(after), (name, old, recent) => {
    if (old === undefined) note('ADDED', name, 'a new value', false);
    else if (recent === undefined) note('REMOVED', name, 'documents that hold the value cannot be read', true);
  });
  return changes.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));

  function note(change: ModelChange['change'], name: string, message: string, breaking: boolean): void {
    changes.push({ change, name, message, breaking });
  }

  function differs(name: string, what: string, old: unknown, recent: unknown, breaking: boolean): void {
    if (old !== recent) note('CHANGED', name, `${what} was ${shown(old)} and is ${shown(recent)}`, breaking);
  }

  function diffEntity(old: Entity, recent: Entity): void {
    differs(old.name, 'the collection', old.collection, recent.collection, true);
    differs(old.name, 'the plural', old.names.plural, recent.names.plural, true);
    differs(old.name, 'replication', old.replicates, recent.replicates, false);
    diffFields(old.name, old.fields, recent.fields);
    compare(byName(old.indexes), byName(recent.indexes), (index, a, b) => {
      // A unique index refuses documents that were fine before, and comes with a query that clients may use.
      const paths = (index: Entity['indexes'][number]) => `${index.unique ? 'unique ' : ''}${index.paths.join(', ')}`;
      const breaking = (a?.unique ?? false) !== (b?.unique ?? false);
      const message = `the index "${index}"`;
      if (a === undefined) note('CHANGED', old.name, `${message} is new`, breaking);
      else if (b === undefined) note('CHANGED', old.name, `${message} is gone`, breaking);
      else differs(old.name, message, paths(a), paths(b), breaking);
    });
  }

  function diffFields(owner: string, olds: readonly Field[], recents: readonly Field[]): void {
    compare(byName(olds), byName(recents), (field, old, recent) => {
      const name = `${owner}.${field}`;
      if (old === undefined && recent !== undefined) {
        const needed = recent.required && recent.relation === undefined && isGiven(recent);
        note('ADDED', name, needed ? 'a new field that every document must have' : 'a new field', needed);
      } else if (recent === undefined) note('REMOVED', name, 'the field is gone; its values stay stored', true);
      else if (old !== undefined) diffField(name, old, recent);
    });
  }

  function diffField(name: string, old: Field, recent: Field): void {
    differs(name, 'the type', typeOf(old), typeOf(recent), true);
    differs(name, 'the stored name', old.storedName, recent.storedName, true);
    differs(name, 'the relation', pathOf(old), pathOf(recent), true);
    differs(name, 'hidden', old.hidden, recent.hidden, recent.hidden);
    differs(name, 'the default', textOf(old.defaultValue), textOf(recent.defaultValue), false);
    differs(name, 'the time stamp', old.timestamp?.join(', '), recent.timestamp?.join(', '), false);
  }
}

/** Calls `visit` for each key of either map. */
function compare<T>(
  old: ReadonlyMap<string, T>,
  recent: ReadonlyMap<string, T>,
  visit: (key: string, old: T | undefined, recent: T | undefined) => void,
): void {
  for (const key of new Set([...old.keys(), ...recent.keys()])) visit(key, old.get(key), recent.get(key));
}

function byName<T extends { readonly name: string }>(items: readonly T[]): Map<string, T> {
  return new Map(items.map((item) => [item.name, item]));
}

function enumValues({ document }: Model): Map<string, true> {
  const values = new Map<string, true>();
  for (const node of document.definitions) {
    if (node.kind !== Kind.ENUM_TYPE_DEFINITION && node.kind !== Kind.ENUM_TYPE_EXTENSION) continue;
    for (const value of node.values ?? []) values.set(`${node.name.value}.${value.name.value}`, true);
  }
  return values;
}

/** Whether a client has to give the field on create. */
function isGiven(field: Field): boolean {
  return field.defaultValue === undefined && field.timestamp === undefined;
}

function typeOf({ type, list, required, itemRequired }: Field): string {
  const inner = list ? `[${type}${itemRequired ? '!' : ''}]` : type;
  return required ? `${inner}!` : inner;
}

function pathOf({ relation }: Field): string | undefined {
  return relation && `${relation.ownerPath} = ${relation.target}.${relation.targetPath}`;
}

function textOf(value: unknown): string | undefined {
  return value === undefined ? undefined : encodeValue(value);
}

function shown(value: unknown): string {
  return value === undefined ? 'absent' : String(value);
}
