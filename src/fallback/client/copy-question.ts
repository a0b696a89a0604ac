import type { Document } from '../../model/document.ts';
import type { Collection } from '../../store/store.ts';
import type { Question } from '../question.ts';
import type { Plan } from './plan.ts';
import { type BsonOptions, storedForm } from './values.ts';

/** What a read of a driver is. */
export interface DriverRead<D> {
  /** `database.collection` */
  readonly namespace: string;
  /** What copies are asked; throws UNSUPPORTED_OPERATOR when they cannot be. */
  readonly plan: () => Plan;
  readonly bson: BsonOptions;
  readonly signal?: AbortSignal | undefined;
  /** Asks the database; left out: only copies are asked. */
  readonly ask?: ((signal: AbortSignal) => Promise<D>) | undefined;
}

/** The question that copies are asked. One that they cannot be asked is refused by them, and until then not hurried. */
export function questionOf({ namespace, plan, bson }: DriverRead<unknown>): {
  readonly question: Question<readonly Document[]>;
  readonly isAnswerable: boolean;
} {
  const common = {
    collection: namespace,
    groups: (documents: readonly Document[]) => [documents],
    map: (documents: readonly Document[], change: (document: Document) => Document) => documents.map(change),
  };
  let planned: Plan;
  try {
    planned = plan();
  } catch (error) {
    const ask = (): Promise<never> => Promise.reject(error);
    return { question: { ...common, filter: {}, count: false, skip: 0, ask }, isAnswerable: false };
  }
  const { filter, sort, skip, count } = planned;
  return {
    question: {
      ...{ ...common, filter, sort, skip, count: count !== undefined },
      ask: (collection, signal) => askCopy(collection, planned, bson, signal),
    },
    isAnswerable: true,
  };
}

async function askCopy(
  collection: Collection,
  { filter, sort, skip, limit, projection, count }: Plan,
  bson: BsonOptions,
  signal: AbortSignal | undefined,
): Promise<readonly Document[]> {
  const asked = storedForm(filter, bson);
  if (count === undefined) return collection.find(asked, { sort, skip, limit, projection, signal }).toArray();
  const found = Math.max(0, (await collection.countDocuments(asked, { signal })) - skip);
  const counted = Math.min(found, limit ?? found);
  return counted === 0 ? [] : [count(counted)];
}
