import { createHash, randomBytes } from 'node:crypto';
import { type Document, encodeDocument } from '../../model/document.ts';
import type { IdempotencyKey, WriteResult } from '../../store/store.ts';
import { soleId } from '../question.ts';
import type { OfferedWrite } from '../write-fallback.ts';
import { type BsonOptions, storedForm } from './values.ts';

/** A call of the driver as a journal can take it. */
export interface JournalForm {
  readonly write: Pick<OfferedWrite, 'method' | 'arguments' | 'options'>;
  /** The driver's result for it. */
  readonly answer: (result: WriteResult) => object;
}

type Options = Readonly<Record<string, unknown>> | undefined;

/** Options of which a journal knows nothing. */
const DECISIVE = [
  'upsert',
  'arrayFilters',
  'collation',
  'let',
  'session',
  'sort',
  'explain',
  'forceServerObjectId',
] as const;

/** The form of a call that may wait in a journal: of one new document, or one that is known by its `_id`; undefined for any other. */
export function journalForm(name: string, args: readonly unknown[], bson: BsonOptions): JournalForm | undefined {
  const [first, second, third] = args as [Document | undefined, unknown, Options];
  switch (name) {
    case 'insertOne': {
      if (first?._id === undefined || first._id === null || isDecided(second as Options)) return undefined;
      const { _id: insertedId } = first;
      return form('insertOne', [storedForm(first, bson)], () => ({ acknowledged: true, insertedId }));
    }
    case 'updateOne':
    case 'replaceOne': {
      const filter = ofOne(first, bson);
      if (filter === undefined || isDecided(third) || Array.isArray(second)) return undefined;
      return form(name, [filter, storedForm(second as Document, bson)], ({ matchedCount, modifiedCount }) => ({
        ...{ acknowledged: true, modifiedCount, upsertedId: null, upsertedCount: 0, matchedCount },
      }));
    }
    case 'deleteOne': {
      const filter = ofOne(first, bson);
      if (filter === undefined || isDecided(second as Options)) return undefined;
      return form('deleteOne', [filter], ({ matchedCount }) => ({ acknowledged: true, deletedCount: matchedCount }));
    }
    default:
      return undefined;
  }
}

function form(
  method: JournalForm['write']['method'],
  args: readonly Document[],
  answer: JournalForm['answer'],
): JournalForm {
  const digest = createHash('sha256').update([method, ...args.map((each) => encodeDocument(each))].join('\0'));
  const idempotency: IdempotencyKey = {
    key: randomBytes(16).toString('hex'),
    digest: digest.digest('hex').slice(0, 32),
    // Each call is a write of its own.
    fresh: true,
  };
  return { write: { method, arguments: args, options: { idempotency } }, answer };
}

function ofOne(filter: Document | undefined, bson: BsonOptions): Document | undefined {
  if (filter === undefined) return undefined;
  const stored = storedForm(filter, bson);
  const id = soleId(stored);
  return id === undefined ? undefined : { _id: id };
}

function isDecided(options: Options): boolean {
  return DECISIVE.some((name) => options?.[name] !== undefined && options[name] !== null && options[name] !== false);
}
