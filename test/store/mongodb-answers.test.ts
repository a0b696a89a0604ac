import { describe, expect, it } from 'vitest';
import { isHoldfastError } from '../../src/errors.ts';
import { type Document, encodeValue } from '../../src/model/document.ts';
import { compileFilter } from '../../src/store/filter.ts';
import { compileProjection } from '../../src/store/projection.ts';
import { compileSort } from '../../src/store/sort.ts';
import { applyUpdate } from '../../src/store/update.ts';
import { isDocument } from '../../src/store/value.ts';
import { readAnswers } from '../support/mongodb-answers.ts';

interface FindAnswer {
  readonly set: number;
  readonly filter: Document;
  readonly options: {
    readonly sort: Document;
    readonly skip?: number;
    readonly limit?: number;
    readonly projection?: Document;
  };
  readonly ids?: readonly number[];
  readonly documents?: readonly Document[];
}

interface UpdateAnswer {
  readonly before: Document;
  readonly update: Record<string, Document>;
  readonly after?: Document;
  readonly modified?: number;
  readonly error?: number;
}

type Compare = (a: Document, b: Document) => number;

const sets: Document[][] = [[], [], [], []];
for (const { set, document } of readAnswers<{ set: number; document: Document }>('documents'))
  sets[set]?.push(document);

function find({ set, filter, options }: FindAnswer, compare: Compare): readonly unknown[] {
  const { skip = 0, limit = Infinity, projection } = options;
  const found =
    sets[set]
      ?.filter(compileFilter(filter))
      .sort(compare)
      .slice(skip, skip + limit) ?? [];
  return projection === undefined ? found.map(({ _id }) => _id) : found.map(compileProjection(projection));
}

/** The recorded server puts an empty array where null is. */
function compareAsRecorded(sort: Document): Compare {
  const fields = Object.entries(sort).map(([path, direction]) => {
    const compare = compileSort({ [path]: direction });
    const seen = new Map<Document, Document>();
    const changed = (document: Document) => {
      const result = seen.get(document) ?? (emptyToNull(document, path.split('.')) as Document);
      seen.set(document, result);
      return result;
    };
    return (a: Document, b: Document) => compare(changed(a), changed(b));
  });
  return (a, b) => fields.reduce((sign, compare) => sign || compare(a, b), 0);
}

/** A value with null for an empty array at the end of a path. */
function emptyToNull(value: unknown, [name, ...rest]: readonly string[]): unknown {
  if (name === undefined) return Array.isArray(value) && value.length === 0 ? null : value;
  if (Array.isArray(value)) return value.map((item) => (isDocument(item) ? emptyToNull(item, [name, ...rest]) : item));
  return isDocument(value) && name in value ? { ...value, [name]: emptyToNull(value[name], rest) } : value;
}

/** Places in the file whose answers differ, by the reason; nothing else may differ. */
type Differences = Map<string, number[]>;

function note(differences: Differences, reason: string, place: number): void {
  differences.set(reason, [...(differences.get(reason) ?? []), place]);
}

describe('12,000 recorded finds', () => {
  const differences: Differences = new Map();
  const refused: number[] = [];
  for (const [place, answer] of readAnswers<FindAnswer>('find').entries()) {
    try {
      const wanted = encodeValue(answer.documents ?? answer.ids);
      if (encodeValue(find(answer, compileSort(answer.options.sort))) === wanted) continue;
      const explained = encodeValue(find(answer, compareAsRecorded(answer.options.sort))) === wanted;
      note(differences, explained ? 'empty arrays' : 'other', place);
    } catch (error) {
      if (!isHoldfastError(error)) throw error;
      refused.push(place);
    }
  }

  it('refuses none', () => {
    expect(refused).toEqual([]);
  });

  it('differs in sorts by an empty array, as documented', () => {
    // Comparison/Sort Order, Arrays: "A comparison of an empty array (e.g. [ ]) treats the empty array as less than null or a
    // missing field." The server makes them equal. With that one rule changed, all of these answers agree.
    expect(differences.get('empty arrays')?.length).toBe(1091);
  });

  it('differs in lists of numbers of another type, as documented, and in nothing else', () => {
    // Comparison/Sort Order, Numeric Types: "MongoDB treats some types as equivalent for comparison purposes. For instance,
    // numeric types undergo conversion before comparison." The server compares hashes when a list ($in, $nin, or $or of
    // equalities, which it turns into $in) holds 1.5 or a number inside a document: 1.5 and Decimal128 1.5 are not equal there.
    expect(differences.get('other')).toEqual([1204, 1463, 2692, 3091, 3115, 7497, 8727, 9218]);
  });
});

describe('6,000 recorded updates', () => {
  const differences: Differences = new Map();
  const answers = readAnswers<UpdateAnswer>('update');
  for (const [place, answer] of answers.entries()) {
    const before = encodeValue(answer.before);
    const reason = difference(answer);
    if (reason !== undefined) note(differences, reason, place);
    if (encodeValue(answer.before) !== before) note(differences, 'the input was changed', place);
  }

  it('differs in the order of fields that one operator creates, as documented', () => {
    // Update Operators, Behavior: "update operators process document fields with string-based names in lexicographic order. Fields
    // with numeric names are processed in numeric order." The server takes them as they are written.
    expect(differences.get('order')).toEqual([2381, 3151, 3163, 3657, 4129, 4158, 4228, 4340, 4827]);
  });

  it('leaves no empty document behind where there is nothing to remove, as documented', () => {
    // $rename: "If the field to rename does not exist in a document, $rename does nothing (i.e. no operation)." $pull: "removes from
    // an existing array all instances of a value or values"; $pullAll and $pop likewise. The server creates the parent when another
    // operator changes the document.
    expect(differences.get('empty parent')?.length).toBe(55);
  });

  it('unsets nothing in an array that is asked for a name, as documented', () => {
    // $unset: "If the field does not exist, then $unset does nothing (i.e. no operation)." The server answers an error, or turns an
    // empty array into [null].
    expect(differences.get('unset')?.length).toBe(15);
  });

  it('counts a document that stays the same as not modified, as documented', () => {
    // WriteResult: "If the update/replacement operation results in no change to the document, such as setting the value of the field
    // to its current value, nModified can be less than nMatched." The server counts $inc by 0, and $push that $slice undoes.
    expect(differences.get('modified')).toEqual([2416, 3144, 3455, 4525]);
  });

  it('refuses to rename inside an array, as documented', () => {
    // $rename: "$rename does not work on embedded documents in arrays." The server turns the empty array into [null].
    expect(differences.get('rename in an array')).toEqual([2024, 2493, 5728]);
  });

  it('refuses to increment a boolean', () => {
    // The server counts true as 1. MongoDB has no number there, and its manual says nothing: refused, not guessed.
    expect(differences.get('boolean')).toEqual([1090, 2611, 3065, 3940, 5696]);
  });

  it('differs in nothing else', () => {
    const known = ['order', 'empty parent', 'unset', 'modified', 'rename in an array', 'boolean'];
    const others = [...differences].filter(([reason]) => !known.includes(reason));
    expect(others).toEqual([]);
  });

  function difference(answer: UpdateAnswer): string | undefined {
    const ours = outcome(answer);
    const { after, modified } = answer;
    if (after === undefined) {
      if (ours === undefined) return undefined;
      return unsetsInArray(answer) ? 'unset' : 'should be refused';
    }
    if (ours === undefined) return reasonOfRefusal(answer);
    const text = encodeValue(ours.document);
    if (text === encodeValue(after)) return ours.modified === (modified === 1) ? undefined : 'modified';
    if (unsetsInArray(answer)) return 'unset';
    if (text === encodeValue(withoutLeftovers(after, answer.before))) return 'empty parent';
    const sameFields = encodeValue(sorted(ours.document)) === encodeValue(sorted(after));
    return sameFields && Object.keys(answer.update).length === 1 ? 'order' : 'other';
  }
});

/** What the engine makes of an update; undefined when it is refused as invalid. */
function outcome({ before, update }: UpdateAnswer): ReturnType<typeof applyUpdate> | undefined {
  try {
    return applyUpdate(before, update);
  } catch (error) {
    if (isHoldfastError(error, 'VALIDATION_FAILED')) return undefined;
    throw error;
  }
}

/** Whether $unset names a field of an array. */
function unsetsInArray({ before, update }: UpdateAnswer): boolean {
  return Object.keys(update.$unset ?? {}).some((path) => {
    const parents = path.split('.').slice(0, -1);
    let value: unknown = before;
    for (const part of parents) value = isDocument(value) ? value[part] : value;
    return Array.isArray(value) && !/\d$/.test(path);
  });
}

function reasonOfRefusal({ before, update }: UpdateAnswer): string {
  for (const path of Object.keys(update.$inc ?? {})) {
    const value = path.endsWith('.0') ? (before[path.slice(0, -2)] as unknown[])[0] : before[path];
    if (typeof value === 'boolean') return 'boolean';
  }
  const from = Object.keys(update.$rename ?? {})[0]?.split('.')[0];
  return from !== undefined && Array.isArray(before[from]) ? 'rename in an array' : 'should not be refused';
}

/** A document without the empty documents that were not there before. */
function withoutLeftovers(after: Document, before: unknown): Document {
  const old = isDocument(before) ? before : {};
  const fields = Object.entries(after).flatMap(([key, value]) => {
    const kept = isDocument(value) ? withoutLeftovers(value, old[key]) : value;
    const isLeftover = !(key in old) && isDocument(kept) && Object.keys(kept).length === 0;
    return isLeftover ? [] : [[key, kept] as const];
  });
  return Object.fromEntries(fields);
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isDocument(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sorted(value[key])]),
  );
}
