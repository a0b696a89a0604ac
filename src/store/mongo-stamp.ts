import type { Document } from '../model/document.ts';
import { type Metadata, metadataFor, requireStorable } from './mongo-document.ts';
import type { MongoStore } from './mongo-store.ts';
import { prepareDocument } from './prepared-document.ts';

/** New documents that somebody else inserts, ready to be captured with that: step W is theirs. */
export interface Stamped {
  /** For each document, what it is to be inserted with under {@link METADATA}. */
  readonly metadata: readonly Metadata[];
  /** Step L, once all of them are inserted. @throws DATABASE_UNAVAILABLE, WRITE_OUTCOME_UNKNOWN */
  log(): Promise<void>;
}

/** Gives documents their first versions. @throws VALIDATION_FAILED for what a store does not take */
export function stamp(store: MongoStore, collection: string, documents: readonly Document[]): Stamped {
  const { writer } = store;
  const table = store.table(collection);
  const token = writer.newToken();
  const images = documents.map(({ _id, ...fields }) => {
    const { document, id, text } = prepareDocument({ _id, ...fields });
    requireStorable(document, text);
    return writer.image(table, { operation: 'CREATED', base: null, _id, id, document, text }, undefined, token);
  });
  return {
    metadata: images.map(({ version, hash, pending }) => metadataFor(version, hash, pending, false)),
    async log() {
      await writer.logging.log(table, images);
    },
  };
}
