import { type DeserializeOptions, deserialize, type SerializeOptions, serialize } from 'bson';
import type { Document } from '../../model/document.ts';
import { fromBson } from '../../store/mongo-bson.ts';

/** How a driver's client or call wants values to be written and read. */
export type BsonOptions = Pick<SerializeOptions, 'ignoreUndefined' | 'serializeFunctions'> &
  Pick<
    DeserializeOptions,
    'promoteValues' | 'promoteLongs' | 'promoteBuffers' | 'useBigInt64' | 'bsonRegExp' | 'fieldsAsRaw'
  > & { readonly raw?: boolean | undefined };

/** A filter or document as a store has it, made of what a driver is given: written as BSON, and read as a store reads. */
export function storedForm(document: Document, { ignoreUndefined, serializeFunctions }: BsonOptions): Document {
  const bytes = serialize(document, {
    ignoreUndefined: ignoreUndefined === true,
    serializeFunctions: serializeFunctions === true,
  });
  return fromBson(deserialize(bytes, { promoteValues: false, promoteLongs: false, bsonRegExp: true })) as Document;
}

/** A document of a store as a driver gives it: the same types and classes for the same options. */
export function driverForm(document: Document, options: BsonOptions): Document {
  const bytes = serialize(document);
  if (options.raw === true) return Buffer.from(bytes) as unknown as Document;
  const { promoteValues, promoteLongs, promoteBuffers, useBigInt64, bsonRegExp, fieldsAsRaw } = options;
  const wanted = { promoteValues, promoteLongs, promoteBuffers, useBigInt64, bsonRegExp, fieldsAsRaw };
  return deserialize(bytes, Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== undefined)));
}
