import { type DocumentNode, Kind } from 'graphql';
import type { Document } from '../model/document.ts';
import { type Field, FieldKind, type Model } from '../model/entity.ts';
import { SCALARS } from '../model/scalars.ts';
import type { Bounds, FakeKind } from './fake.ts';
import { type FieldRule, Kept, type MaskRules } from './rules.ts';

/** Gives the fake of a value. */
export type MaskValue = (kind: FakeKind, value: unknown, bounds?: Bounds) => unknown;

/** A document after masking. */
export interface Masked {
  /** The fields that the model knows and nothing else, in its order. */
  readonly document: Document;
  /** Stored paths whose value does not fit its type. It is left out where the field is nullable. */
  readonly unfit: readonly string[];
  /** Stored paths that must have a value and have none: with any the document breaks the schema. */
  readonly missing: readonly string[];
}

/** Applies the rules of a model to documents. */
export class DocumentMasker {
  readonly #rules: MaskRules;
  readonly #enums: ReadonlyMap<string, ReadonlySet<string>>;

  constructor(model: Model, rules: MaskRules) {
    this.#rules = rules;
    this.#enums = enumsOf(model.document);
  }

  /**
   * The document of `entity` with every value that is to be masked replaced by what `mask` gives; called in the order of the model. What
   * the model does not know is left out, and so is what has another type than the model says.
   */
  mask(entity: string, document: Document, mask: MaskValue): Masked {
    const run: Run = { mask, unfit: [], missing: [] };
    const rules = this.#rules.entities.get(entity)?.fields ?? [];
    return { document: this.#object(rules, document, '', run), unfit: run.unfit, missing: run.missing };
  }

  #object(rules: readonly FieldRule[], value: Document, prefix: string, run: Run): Document {
    const entries: [string, unknown][] = [];
    for (const rule of rules) {
      const { storedName, required } = rule.field;
      const path = `${prefix}${storedName}`;
      const stored = Object.hasOwn(value, storedName) ? value[storedName] : undefined;
      const made = this.#field(rule, stored, path, run);
      if (required && (made === undefined || made === null)) run.missing.push(path);
      if (made !== undefined) entries.push([storedName, made]);
    }
    // `__proto__` is a name like any other.
    return Object.fromEntries(entries);
  }

  #field(rule: FieldRule, value: unknown, path: string, run: Run): unknown {
    if (value === undefined || value === null) return value;
    const { list, itemRequired, required } = rule.field;
    if (rule.action.action === 'NULL') return nothingFor(rule.field);
    if (!list) return this.#value(rule, value, path, run);
    if (!Array.isArray(value)) {
      run.unfit.push(path);
      return required ? [] : null;
    }
    const items = value.map((item) => (item === null ? null : this.#value(rule, item, path, run)));
    return itemRequired ? items.filter((item) => item !== null) : items;
  }

  /** Null for what does not fit. */
  #value({ field, action }: FieldRule, value: unknown, path: string, run: Run): unknown {
    const { kind, type } = field;
    if (kind === FieldKind.OBJECT) {
      const rules = this.#rules.objects.get(type) ?? [];
      if (!isPlainObject(value)) return unfit(path, run);
      return action.action === 'KEEP' ? value : this.#object(rules, value, `${path}.`, run);
    }
    if (!this.#fits(field, value, action.action === 'KEEP' && action.why === Kept.TYPE)) return unfit(path, run);
    return action.action === 'FAKE' ? run.mask(action.kind, value, action.bounds) : value;
  }

  /** `closely`: the value is kept only because of its type, so it must really be of it. */
  #fits({ kind, type }: Field, value: unknown, closely: boolean): boolean {
    if (kind === FieldKind.ENUM) return this.#enums.get(type)?.has(value as string) === true;
    const scalar = SCALARS.get(type)?.type;
    try {
      const read = scalar?.serialize(value);
      if (closely) scalar?.parseValue(read);
      return !isTextAsAnother(type, value);
    } catch {
      return false;
    }
  }
}

interface Run {
  readonly mask: MaskValue;
  readonly unfit: string[];
  readonly missing: string[];
}

function unfit(path: string, run: Run): null {
  run.unfit.push(path);
  return null;
}

/** GraphQL's own scalars read text as numbers; stored text is no number, whatever it says. */
function isTextAsAnother(type: string, value: unknown): boolean {
  const form = SCALARS.get(type)?.form;
  if (form === 'TEXT') return typeof value !== 'string';
  return typeof value === 'string' && form !== 'ANY';
}

function nothingFor({ list, required, type }: Field): unknown {
  if (!required) return null;
  return list ? [] : type === 'JSONObject' || type === 'JSON' ? {} : null;
}

function isPlainObject(value: unknown): value is Document {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof Date) return false;
  return typeof (value as { _bsontype?: unknown })._bsontype !== 'string' || Object.hasOwn(value, '_bsontype');
}

function enumsOf({ definitions }: DocumentNode): Map<string, ReadonlySet<string>> {
  const enums = new Map<string, ReadonlySet<string>>();
  for (const node of definitions) {
    if (node.kind !== Kind.ENUM_TYPE_DEFINITION) continue;
    enums.set(node.name.value, new Set((node.values ?? []).map(({ name }) => name.value)));
  }
  return enums;
}
