import type { DocumentNode } from 'graphql';

/** What a field holds. */
export const FieldKind = { SCALAR: 'SCALAR', ENUM: 'ENUM', OBJECT: 'OBJECT', RELATION: 'RELATION' } as const;
export type FieldKind = (typeof FieldKind)[keyof typeof FieldKind];

/** What becomes of a write that was made on an older version of its document. */
export const ConflictPolicy = {
  REJECT: 'REJECT',
  LAST_WRITE_WINS: 'LAST_WRITE_WINS',
  MERGE: 'MERGE',
  CUSTOM: 'CUSTOM',
} as const;
export type ConflictPolicy = (typeof ConflictPolicy)[keyof typeof ConflictPolicy];

/** How a field is made harmless in datasets: `@sanitize(with:)`. */
export const Sanitizer = {
  NONE: 'NONE',
  NULL: 'NULL',
  NAME: 'NAME',
  EMAIL: 'EMAIL',
  PHONE: 'PHONE',
  ADDRESS: 'ADDRESS',
  TEXT: 'TEXT',
  NUMBER: 'NUMBER',
  DATE: 'DATE',
  HASH: 'HASH',
} as const;
export type Sanitizer = (typeof Sanitizer)[keyof typeof Sanitizer];

/** What `@fallback` says about an entity while the database is away. */
export interface FallbackRules {
  /** Lists and counts from an incomplete copy: refused, or answered from what there is. */
  readonly lists: 'REFUSE' | 'SAMPLE';
  /** Made-up values of masked fields: left out, or shown. */
  readonly masked: 'NULL' | 'SHOW';
  /** Writes: refused, or kept in the journal. */
  readonly writes: 'REJECT' | 'JOURNAL';
}

/** How a relation finds its documents: `target.targetPath` equals `owner.ownerPath` (either may be an array). */
export interface Relation {
  /** Entity name on the other side. */
  readonly target: string;
  /** Stored path on this side, e.g. `schoolId` or `_id`. */
  readonly ownerPath: string;
  /** Stored path on the other side, e.g. `_id` or `schoolId`. */
  readonly targetPath: string;
}

/** One field of an entity or of a nested object type. */
export interface Field {
  /** GraphQL name. */
  readonly name: string;
  /** Name in the stored document: `@field(name:)`, `_id` for the id, else the GraphQL name. */
  readonly storedName: string;
  readonly kind: FieldKind;
  /** Name of the scalar, enum, object type or entity. */
  readonly type: string;
  readonly list: boolean;
  /** Non-null: never null, and wanted on create unless there is a default, a timestamp or it is the id. */
  readonly required: boolean;
  /** Elements of the list are non-null. */
  readonly itemRequired: boolean;
  /** Present when kind is RELATION; such a field stores nothing itself. */
  readonly relation?: Relation | undefined;
  /** `@default(value:)`, as the scalar's internal value. */
  readonly defaultValue?: unknown;
  /** `@timestamp(on:)`: set by the gateway on these writes. */
  readonly timestamp?: readonly ('CREATE' | 'UPDATE')[] | undefined;
  readonly unique: boolean;
  readonly indexed: boolean;
  /** `@hidden`: stored and replicated, not in the API. */
  readonly hidden: boolean;
  /** `@sanitize(with:)`; undefined: by the type. */
  readonly sanitize?: Sanitizer | undefined;
  /** `@cost(weight:)`; undefined for the default. */
  readonly cost?: number | undefined;
  readonly description?: string | undefined;
}

/** A nested object type: no entity of its own, stored inside documents. */
export interface ObjectType {
  readonly name: string;
  readonly fields: readonly Field[];
}

/** Every public name derived from an entity's name, by the one inflector (naming.ts). */
export interface EntityNames {
  /** `teacher` */
  readonly single: string;
  /** `teachers` */
  readonly plural: string;
  /** `Teacher` */
  readonly type: string;
  /** `Teachers` */
  readonly pluralType: string;
}

/** One entity: an SDL type with `@entity`. */
export interface Entity {
  readonly name: string;
  readonly names: EntityNames;
  /** Collection name, the plural unless `@entity(collection:)`. */
  readonly collection: string;
  readonly fields: readonly Field[];
  /** The `@id` field, stored as `_id`. */
  readonly id: Field;
  /** Secondary and unique indexes; those of relation keys included. Paths are stored paths. */
  readonly indexes: readonly { readonly name: string; readonly paths: readonly string[]; readonly unique: boolean }[];
  /** False for `@replicate(mode: NONE)`. */
  readonly replicates: boolean;
  /** `@conflict(policy:)`. */
  readonly conflict: ConflictPolicy;
  readonly fallback: FallbackRules;
  readonly description?: string | undefined;
}

/** Everything the SDL says, checked. */
export interface Model {
  /** In the order of the SDL. */
  readonly entities: readonly Entity[];
  readonly objects: ReadonlyMap<string, ObjectType>;
  /** The SDL as one document, as written by the user (entities, nested types, enums, extra types for hand-written resolvers). */
  readonly document: DocumentNode;
  /** The same as text: what a replica gets from its primary. */
  readonly sdl: string;
  /** Digest of the SDL without comments and descriptions, 32 hexadecimal digits. */
  readonly sdlHash: string;
}
