import type { Field, Relation } from './entity.ts';
import type { FieldDraft, TypeDraft } from './fields.ts';
import type { Mistakes } from './mistakes.ts';
import { SCALARS } from './scalars.ts';
import { didYouMean } from './symbols.ts';

/** Works out how the relation `draft` of `owner` finds its documents; undefined, with mistakes noted, when it cannot. */
export function resolveRelation(
  draft: FieldDraft,
  owner: TypeDraft,
  types: ReadonlyMap<string, TypeDraft>,
  mistakes: Mistakes,
): Relation | undefined {
  const { field, relation } = draft;
  const target = types.get(field.type);
  if (relation === undefined || target === undefined) return undefined;
  const refuse = (message: string, suggestion?: string): undefined => {
    mistakes.add(relation.node, `${nameOf(owner)}.${field.name}: ${message}`, suggestion);
  };

  const keyName = String(relation.args.field);
  const side = (relation.args.side as Side | undefined) ?? sideOf(draft, owner, target, keyName);
  const [holder, opposite] = side === 'THIS' ? [owner, target] : [target, owner];
  const key = holder.fields.get(keyName)?.field;
  if (key === undefined) return refuse(...unknownKey(keyName, field, side, owner, target));

  const reference = referenceOf(relation.args.references as string | undefined, opposite);
  if (reference === undefined) {
    // Without an id the opposite type has a mistake already.
    if (relation.args.references === undefined) return undefined;
    const name = String(relation.args.references);
    return refuse(`${nameOf(opposite)} has no field "${name}"`, didYouMean(name, opposite.fields.keys()));
  }

  const mismatch = typeMismatch(key, holder, reference, opposite);
  if (mismatch !== undefined) return refuse(...mismatch);
  if (!field.list) {
    const [unique, at] = side === 'THIS' ? [reference, opposite] : [key, holder];
    if (side === 'THIS' && key.list) {
      return refuse(`${keyName} is a list of keys and finds many`, `write: ${field.name}: [${field.type}!]!`);
    }
    if (!unique.unique && unique.storedName !== '_id') {
      return refuse(
        `several documents may have the same ${nameOf(at)}.${unique.name}, but ${field.name} is one`,
        `mark ${unique.name} @unique, or write: ${field.name}: [${field.type}!]!`,
      );
    }
    if (field.required && (side === 'OTHER' || !key.required)) {
      return refuse(`there may be none, but ${field.name} is non-null`, `write: ${field.name}: ${field.type}`);
    }
  }
  const [ownerField, targetField] = side === 'THIS' ? [key, reference] : [reference, key];
  return { target: field.type, ownerPath: ownerField.storedName, targetPath: targetField.storedName };
}

type Side = 'THIS' | 'OTHER';

/** Whose field is meant: see `@relation(side:)`. */
function sideOf(draft: FieldDraft, owner: TypeDraft, target: TypeDraft, keyName: string): Side {
  const ours = owner.fields.get(keyName)?.field;
  if (ours === undefined) return target.fields.has(keyName) || draft.field.list ? 'OTHER' : 'THIS';
  if (!draft.field.list || ours.list) return 'THIS';
  // Many documents by one key of ours: only where it is said which of their fields equals it.
  return !target.fields.has(keyName) && draft.relation?.args.references !== undefined ? 'THIS' : 'OTHER';
}

function unknownKey(name: string, field: Field, side: Side, owner: TypeDraft, target: TypeDraft): [string, string?] {
  const holder = side === 'THIS' ? owner : target;
  const scalars = [...holder.fields.values()].filter((draft) => draft.field.kind === 'SCALAR');
  const near = didYouMean(
    name,
    scalars.map((draft) => draft.field.name),
  );
  return [
    `${nameOf(holder)} has no field "${name}"`,
    near ?? `add ${name}: ${field.list && side === 'THIS' ? '[ID!]' : 'ID'} to ${nameOf(holder)}`,
  ];
}

function referenceOf(name: string | undefined, type: TypeDraft): Field | undefined {
  if (name !== undefined) return type.fields.get(name)?.field;
  return type.fields.values().find(({ isId }) => isId)?.field;
}

/** Why values of the two fields never are the same key. */
function typeMismatch(
  key: Field,
  holder: TypeDraft,
  reference: Field,
  opposite: TypeDraft,
): [string, string?] | undefined {
  for (const [field, type] of [
    [key, holder],
    [reference, opposite],
  ] as const) {
    if (field.kind !== 'SCALAR' || SCALARS.get(field.type)?.key !== true) {
      return [
        `${nameOf(type)}.${field.name} is of type ${field.type}, which cannot be a key`,
        'use ID, or the type of the @id',
      ];
    }
  }
  if (reference.list) return [`${nameOf(opposite)}.${reference.name} is a list; only the key may be one`];
  if (
    key.type === reference.type ||
    (SCALARS.get(key.type)?.form === 'TEXT' && SCALARS.get(reference.type)?.form === 'TEXT')
  ) {
    return undefined;
  }
  return [
    `${nameOf(holder)}.${key.name} is of type ${key.type}, but ${nameOf(opposite)}.${reference.name} of ${reference.type}`,
    `make ${key.name} ${key.list ? `[${reference.type}!]` : reference.type}`,
  ];
}

function nameOf(type: TypeDraft): string {
  return type.node.name.value;
}
