import {
  type ConstValueNode,
  DirectiveLocation,
  type FieldDefinitionNode,
  GraphQLError,
  Kind,
  type ObjectTypeDefinitionNode,
  print,
} from 'graphql';
import type { AppliedDirective, AppliedDirectives, DirectiveReader } from './directives.ts';
import { type Field, FieldKind, Sanitizer } from './entity.ts';
import type { Mistakes } from './mistakes.ts';
import { lowerFirst } from './naming.ts';
import { namedTypeOf } from './references.ts';
import { SCALARS, type ScalarForm } from './scalars.ts';
import { didYouMean, type Symbols } from './symbols.ts';

/** A field whose relation and indexes, which need the other types, are not worked out yet. */
export interface FieldDraft {
  readonly node: FieldDefinitionNode;
  readonly field: Field;
  readonly isId: boolean;
  readonly relation: AppliedDirective | undefined;
  readonly indexes: readonly AppliedDirective[];
}

/** The fields of one entity or nested type, by GraphQL name. */
export interface TypeDraft {
  readonly node: ObjectTypeDefinitionNode;
  readonly isEntity: boolean;
  readonly fields: ReadonlyMap<string, FieldDraft>;
}

/** Names that filters give a meaning of their own. */
const RESERVED_FIELD_NAMES = ['and', 'or', 'not'];

/** Builds types' fields one by one; each looks only at itself and at which types exist. */
export class FieldBuilder {
  readonly #symbols: Symbols;
  readonly #directives: DirectiveReader;
  readonly #mistakes: Mistakes;

  constructor(symbols: Symbols, directives: DirectiveReader, mistakes: Mistakes) {
    this.#symbols = symbols;
    this.#directives = directives;
    this.#mistakes = mistakes;
  }

  /** The type's fields, without those that have no usable type. */
  build(node: ObjectTypeDefinitionNode, isEntity: boolean): TypeDraft {
    const fields = new Map<string, FieldDraft>();
    const stored = new Map<string, string>();
    for (const type of node.interfaces ?? []) {
      this.#mistakes.add(
        type,
        `${node.name.value} cannot implement ${type.name.value}: stored types have no interfaces`,
      );
    }
    for (const fieldNode of node.fields ?? []) {
      const draft = this.#field(fieldNode, node, isEntity);
      if (draft === undefined || fields.has(draft.field.name)) continue;
      fields.set(draft.field.name, draft);
      if (draft.field.kind === FieldKind.RELATION || draft.isId) continue;
      const other = stored.get(draft.field.storedName);
      if (other !== undefined) {
        this.#mistakes.add(
          fieldNode.name,
          `${draft.field.name} and ${other} are both stored as "${draft.field.storedName}"`,
          'give one another @field(name: …)',
        );
      }
      stored.set(draft.field.storedName, draft.field.name);
    }
    return { node, isEntity, fields };
  }

  #field(node: FieldDefinitionNode, owner: ObjectTypeDefinitionNode, isEntity: boolean): FieldDraft | undefined {
    const name = node.name.value;
    const directives = this.#directives.read(node.directives, DirectiveLocation.FIELD_DEFINITION);
    const type = namedTypeOf(node.type);
    const kind = this.#kindOf(type.name.value, node, owner, directives, isEntity);
    this.#checkName(node);
    if (node.arguments !== undefined && node.arguments.length > 0) {
      this.#mistakes.add(
        node.name,
        `${owner.name.value}.${name} takes arguments, but is stored`,
        `move it to: extend type ${owner.name.value} { … }, and answer it by a resolver`,
      );
    }
    if (kind === undefined) return undefined;

    const shape = this.#shapeOf(node);
    const isId = directives.has('id');
    const field: Field = {
      name,
      storedName: this.#storedName(node, directives, isId, isEntity),
      kind,
      type: type.name.value,
      ...shape,
      unique: directives.has('unique'),
      indexed: directives.has('index') || directives.has('unique'),
      hidden: directives.has('hidden'),
      sanitize: one(directives, 'sanitize')?.args.with as Sanitizer | undefined,
      description: node.description?.value,
      cost: one(directives, 'cost')?.args.weight as number | undefined,
      timestamp: one(directives, 'timestamp')?.args.on as Field['timestamp'],
      defaultValue: this.#defaultValue(one(directives, 'default'), { kind, type: type.name.value, ...shape }),
    };
    this.#checkDirectives(node, field, directives, isEntity);
    return { node, field, isId, relation: one(directives, 'relation'), indexes: directives.get('index') ?? [] };
  }

  #kindOf(
    type: string,
    node: FieldDefinitionNode,
    owner: ObjectTypeDefinitionNode,
    directives: AppliedDirectives,
    isEntity: boolean,
  ): FieldKind | undefined {
    const place = `${owner.name.value}.${node.name.value}`;
    if (SCALARS.has(type)) return FieldKind.SCALAR;
    if (this.#symbols.entities.has(type)) {
      if (!isEntity) {
        const message = `${place} is of the entity ${type}, which a nested type cannot hold`;
        this.#mistakes.add(node.name, message, `store its key instead: ${node.name.value}Id: ID`);
        return undefined;
      }
      // A @relation that was misspelt has its own mistake.
      const tried = node.directives?.some((directive) => directive.name.value === 'relation');
      if (!directives.has('relation') && !tried) this.#missingRelation(node, owner, type);
      return FieldKind.RELATION;
    }
    const definition = this.#symbols.types.get(type);
    switch (definition?.kind) {
      case Kind.ENUM_TYPE_DEFINITION:
        return FieldKind.ENUM;
      case Kind.OBJECT_TYPE_DEFINITION:
        return FieldKind.OBJECT;
      case Kind.INTERFACE_TYPE_DEFINITION:
      case Kind.UNION_TYPE_DEFINITION: {
        const what = definition.kind === Kind.UNION_TYPE_DEFINITION ? 'a union' : 'an interface';
        const message = `${place} is ${what}; a stored field is a scalar, an enum, a nested type or a relation`;
        this.#mistakes.add(node.type, message, 'use one type with nullable fields, or JSON');
        return undefined;
      }
      case Kind.INPUT_OBJECT_TYPE_DEFINITION:
        this.#mistakes.add(node.type, `${place} is an input type`, `write: type ${type} { … }`);
        return undefined;
      case Kind.SCALAR_TYPE_DEFINITION: {
        const message = `${place} is of the scalar ${type}, which Holdfast does not know how to store`;
        this.#mistakes.add(
          node.type,
          message,
          didYouMean(type, SCALARS.keys()) ?? 'use a scalar of Holdfast, e.g. JSON',
        );
        return undefined;
      }
      default:
        // Unknown names are noted where all references are checked; what is left are types of the API.
        if (type === 'Position') this.#mistakes.add(node.type, `${place} is a Position, which documents do not hold`);
        return undefined;
    }
  }

  #missingRelation(node: FieldDefinitionNode, owner: ObjectTypeDefinitionNode, type: string): void {
    const { value: name } = node.name;
    const isList = print(node.type).startsWith('[');
    const target = this.#symbols.entities.get(type);
    const theirs = `${lowerFirst(owner.name.value)}Id`;
    const ours = `${name}Id`;
    const key = isList ? theirs : ours;
    const holder = isList ? target : owner;
    const exists = holder?.fields?.some((field) => field.name.value === key);
    const written = `write: ${name}: ${print(node.type)} @relation(field: "${key}")`;
    this.#mistakes.add(
      node.name,
      `${owner.name.value}.${name} is of the entity ${type}, and nothing says how the two belong together`,
      exists ? written : `${written}, with the field ${key}: ID in ${isList ? type : owner.name.value}`,
    );
  }

  #checkName(node: FieldDefinitionNode): void {
    const name = node.name.value;
    if (name.startsWith('__')) {
      this.#mistakes.add(
        node.name,
        `"${name}" is a name of GraphQL itself`,
        'choose one that does not begin with "__"',
      );
    } else if (RESERVED_FIELD_NAMES.includes(name)) {
      this.#mistakes.add(
        node.name,
        `"${name}" has a meaning in filters`,
        `choose another name and keep the stored one: @field(name: "${name}")`,
      );
    }
  }

  #shapeOf(node: FieldDefinitionNode): Pick<Field, 'list' | 'required' | 'itemRequired'> {
    const required = node.type.kind === Kind.NON_NULL_TYPE;
    const inner = node.type.kind === Kind.NON_NULL_TYPE ? node.type.type : node.type;
    if (inner.kind !== Kind.LIST_TYPE) return { list: false, required, itemRequired: false };
    const item = inner.type.kind === Kind.NON_NULL_TYPE ? inner.type.type : inner.type;
    if (item.kind === Kind.LIST_TYPE) {
      this.#mistakes.add(node.type, 'lists of lists are not supported', 'use a list of a nested type, or JSON');
    }
    return { list: true, required, itemRequired: inner.type.kind === Kind.NON_NULL_TYPE };
  }

  #storedName(node: FieldDefinitionNode, directives: AppliedDirectives, isId: boolean, isEntity: boolean): string {
    const given = one(directives, 'field');
    const name = given === undefined ? node.name.value : String(given.args.name);
    const at = given?.node ?? node.name;
    if (isId) {
      if (given !== undefined && name !== '_id') this.#mistakes.add(at, 'an @id is stored as "_id"', 'remove @field');
      return '_id';
    }
    if (name === '_id' && isEntity)
      this.#mistakes.add(at, '"_id" is where the @id is stored', 'mark this field @id, or rename it');
    else if (!isStorableKey(name)) {
      const message = `documents cannot have the key ${JSON.stringify(name)}`;
      this.#mistakes.add(at, message, `choose one without ".", a leading "$" or "_holdfast", and not empty`);
    }
    return name;
  }

  #defaultValue(applied: AppliedDirective | undefined, field: Pick<Field, 'kind' | 'type' | 'list' | 'itemRequired'>) {
    const literal = applied?.node.arguments?.find((argument) => argument.name.value === 'value')?.value;
    if (literal === undefined) return undefined;
    const refuse = (at: ConstValueNode, why: string): undefined => {
      this.#mistakes.add(at, `the default ${print(at).slice(0, 60)} is not ${why}`);
    };
    if (!field.list) return this.#literal(literal, field, refuse);
    if (literal.kind !== Kind.LIST) return refuse(literal, `a list of ${field.type}`);
    return literal.values.map((item) => {
      if (item.kind === Kind.NULL && !field.itemRequired) return null;
      return this.#literal(item, field, refuse);
    });
  }

  #literal(
    node: ConstValueNode,
    { kind, type }: Pick<Field, 'kind' | 'type'>,
    refuse: (at: ConstValueNode, why: string) => undefined,
  ): unknown {
    switch (kind) {
      case FieldKind.SCALAR:
        try {
          return SCALARS.get(type)?.type.parseLiteral(node, undefined);
        } catch (error) {
          if (error instanceof GraphQLError) return refuse(node, `of type ${type}: ${error.message}`);
          throw error;
        }
      case FieldKind.ENUM: {
        const values = this.#symbols.enums.get(type) ?? [];
        if (node.kind === Kind.ENUM && values.includes(node.value)) return node.value;
        return refuse(node, `a value of ${type}: ${values.slice(0, 10).join(', ')}`);
      }
      default:
        return refuse(node, 'possible: only scalars, enums, lists of them and [] may have one');
    }
  }

  #checkDirectives(node: FieldDefinitionNode, field: Field, directives: AppliedDirectives, isEntity: boolean): void {
    const at = (name: string) => one(directives, name)?.node ?? node.name;
    const refuse = (name: string, why: string, suggestion?: string): void => {
      if (directives.has(name)) this.#mistakes.add(at(name), `@${name} on ${field.name}: ${why}`, suggestion);
    };
    const scalar = field.kind === FieldKind.SCALAR ? SCALARS.get(field.type) : undefined;
    const isKey = scalar?.key === true && !field.list;

    if (!isEntity) refuse('unique', 'only fields of entities have it', 'remove it');
    if (directives.has('id') && (!isKey || !field.required)) {
      refuse(
        'id',
        'an id is one non-null value of type ID, String, Int, UUID, ObjectID or alike',
        `write: ${field.name}: ID! @id`,
      );
    }
    for (const name of ['unique', 'index', 'default', 'timestamp', 'hidden']) {
      if (directives.has('id')) refuse(name, 'the @id is unique, given once and shown', 'remove it');
    }
    for (const name of ['unique', 'index', 'default', 'timestamp', 'field', 'sanitize']) {
      if (field.kind === FieldKind.RELATION) refuse(name, 'a relation stores nothing', 'put it on the key');
    }
    if (field.kind !== FieldKind.RELATION) {
      refuse('relation', `${field.type} is not an entity`, 'put it beside the key, on a field of the entity’s type');
    }
    if (field.kind === FieldKind.OBJECT || scalar?.form === 'ANY') {
      refuse('unique', 'only scalars and enums can be unique', 'mark a field inside it @index, or remove it');
      refuse('index', 'only scalars and enums can be indexed', 'mark the fields inside the nested type');
    } else if (field.list) {
      refuse('unique', 'the values of lists cannot be unique', 'use @index');
    }
    if (field.type !== 'DateTime' || field.list)
      refuse('timestamp', 'only a DateTime can be a time stamp', 'use DateTime');
    if (directives.has('timestamp')) refuse('default', 'the gateway sets it', 'remove one of the two');
    if (field.hidden && field.required && field.defaultValue === undefined && field.timestamp === undefined) {
      refuse('hidden', 'nobody could create a document with it', 'make it nullable or give it a @default');
    }
    if ((field.cost ?? 0) < 0) refuse('cost', 'a weight is 0 or more');
    if (field.sanitize === Sanitizer.NULL && field.required && !field.list) {
      refuse('sanitize', 'the field is non-null', 'make it nullable or choose another');
    } else if (field.sanitize !== undefined && !sanitizersOf(field.type, scalar?.form).includes(field.sanitize)) {
      const fitting = sanitizersOf(field.type, scalar?.form).join(', ');
      refuse('sanitize', `${field.sanitize} makes no ${field.type}`, `choose one of ${fitting}`);
    }
  }
}

/** Text that says one of a few things: nothing else could be written in its place. */
const CODES = ['Time', 'Duration', 'CountryCode', 'Currency'];

/** What `@sanitize` can make of values of a type; `form` is that of a scalar. */
function sanitizersOf(type: string, form: ScalarForm | undefined): readonly Sanitizer[] {
  const { NONE, NULL, NAME, EMAIL, PHONE, ADDRESS, TEXT, NUMBER, DATE, HASH } = Sanitizer;
  switch (CODES.includes(type) ? undefined : form) {
    case 'TEXT':
      return [NONE, NULL, NAME, EMAIL, PHONE, ADDRESS, TEXT, NUMBER, DATE, HASH];
    case 'NUMBER':
      return [NONE, NULL, NUMBER, HASH];
    case 'DATE':
      return [NONE, NULL, DATE, HASH];
    case 'OBJECT_ID':
    case 'BINARY':
      return [NONE, NULL, HASH];
    default:
      return [NONE, NULL];
  }
}

/** Whether a stored document may have this key, and a path can name it. */
export function isStorableKey(key: string): boolean {
  return key !== '' && key !== '__proto__' && !/^(?:\$|_holdfast)|[.\0]/.test(key);
}

/**
 * The key under which a value is stored, for keys that no path can name: dots and a leading dollar become their full-width
 * forms, as MongoDB's manual advises. Other keys stay as they are.
 */
export function storableKey(key: string): string {
  if (isStorableKey(key) && key.isWellFormed()) return key;
  const named = key.toWellFormed().replaceAll('.', '\uff0e').replaceAll('\0', '\u2400').replace(/^\$/, '\uff04');
  return /^(?:|__proto__|_holdfast.*)$/s.test(named) ? `\uff3f${named}` : named;
}

function one(directives: AppliedDirectives, name: string): AppliedDirective | undefined {
  return directives.get(name)?.[0];
}
