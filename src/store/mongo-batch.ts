import { type AnyBulkWriteOperation, MongoBulkWriteError } from 'mongodb';
import { HoldfastError } from '../errors.ts';
import type { Document } from '../model/document.ts';
import { WRITE_OPTIONS } from './mongo-bson.ts';
import { DOCUMENT_MS, within } from './mongo-deadline.ts';
import { coded, faultOf, indexNamed, MongoFault, outcomeUnknown } from './mongo-errors.ts';
import { type Draft, type Image, type SetOperation, setOperation } from './mongo-image.ts';
import { written } from './mongo-results.ts';
import type { MongoTable } from './mongo-table.ts';
import type { Decide, MongoWriter } from './mongo-writer.ts';
import type { IdempotencyKey, WriteResult } from './store.ts';
import { concernsDocument } from './tally.ts';

/** One document of a batch: what is written, and how it is written alone when the batch could not. */
export interface Part {
  readonly index: number;
  readonly image: Image;
  readonly key: IdempotencyKey | undefined;
  readonly alone: Decide;
}

/** What became of documents, by their place in the call. */
export type Results = Map<number, WriteResult | HoldfastError>;

/** Writes a batch: one command, one group in the log; alone what others were faster with. `results` says what became of each part. */
export async function writeParts(
  writer: MongoWriter,
  table: MongoTable,
  parts: readonly Part[],
  results: Results,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (parts.length === 0) return;
  signal?.throwIfAborted();
  const { step } = writer.parts;
  step('bulk.afterRead');
  const { outcomes, lost } = await send(writer, table, parts);
  step('bulk.afterWrite');
  const made = parts.filter((_, place) => outcomes[place] === 'WRITTEN');
  const entries = await writer.logging.log(
    table,
    made.map(({ image }) => image),
  );
  step('bulk.afterAppend');
  for (const [place, { index, image }] of made.entries()) {
    results.set(index, written(image, entries[place] as (typeof entries)[number]));
  }
  for (const [place, { index, image, key, alone }] of parts.entries()) {
    const outcome = outcomes[place];
    if (outcome instanceof HoldfastError) results.set(index, outcome);
    if (outcome !== 'STALE') continue;
    // Without a key nobody could tell a second write from one that is still on its way.
    if (lost !== undefined && key === undefined) throw lost;
    // The batch was sent under it.
    const mark = { idempotency: key && { ...key, fresh: false }, partOfBulk: true, signal };
    results.set(index, await writer.write(table, image._id, mark, alone).catch(refusal));
  }
}

/** Captures what is no write of a gateway, as far as nobody was faster; how many it were. For each the content is as it was read. */
export async function capture(writer: MongoWriter, table: MongoTable, drafts: readonly Draft[]): Promise<number> {
  if (drafts.length === 0) return 0;
  const token = writer.newToken();
  const parts = drafts.map((draft, index): Part => {
    return { index, image: writer.image(table, draft, undefined, token), key: undefined, alone: () => draft };
  });
  const { outcomes } = await send(writer, table, parts);
  const made = parts.filter((_, place) => outcomes[place] === 'WRITTEN').map(({ image }) => image);
  await writer.logging.log(table, made);
  return made.length;
}

type Outcome = 'WRITTEN' | 'STALE' | HoldfastError;

/** Step W of a batch. `lost` is there when the answer was lost: then STALE means not until now. */
async function send(
  writer: MongoWriter,
  table: MongoTable,
  parts: readonly Part[],
): Promise<{ readonly outcomes: readonly Outcome[]; readonly lost?: HoldfastError }> {
  const doing = `write documents of "${table.name}"`;
  const operations = parts.map(({ image }) => bulkOperation(setOperation(image, table.tombstones)));
  const deadlineMs = writer.parts.deadlineMs + parts.length * DOCUMENT_MS;
  const outcomes: Outcome[] = parts.map(() => 'WRITTEN');
  try {
    const result = await within(deadlineMs, table.raw.bulkWrite(operations, { ...WRITE_OPTIONS, ordered: false }));
    if (result.insertedCount + result.matchedCount === parts.length) return { outcomes };
    return { outcomes: await lookUp(writer, table, parts, outcomes, deadlineMs) };
  } catch (error) {
    const fault = faultOf(error);
    if (fault === MongoFault.UNAVAILABLE) throw coded(error, doing, 'WRITE');
    if (fault === MongoFault.UNKNOWN) {
      const lost = coded(error, doing, 'WRITE');
      const looked = lookUp(writer, table, parts, outcomes, deadlineMs);
      return { outcomes: await looked.catch(() => Promise.reject(lost)), lost };
    }
    if (!(error instanceof MongoBulkWriteError)) throw coded(error, doing, 'WRITE');
    const refused = [error.writeErrors].flat();
    for (const { index, code, errmsg } of refused) {
      if (code !== 11000) throw coded(error, doing, 'WRITE');
      // An insert sent before may stand in its own way, whichever index is named: that is found out alone.
      const isInsert = parts[index]?.image.base === null;
      outcomes[index] = (isInsert ? null : writer.duplicate(table, indexNamed(errmsg))) ?? 'STALE';
    }
    const { insertedCount, matchedCount } = error.result;
    if (insertedCount + matchedCount + refused.length === parts.length) return { outcomes };
    return { outcomes: await lookUp(writer, table, parts, outcomes, deadlineMs) };
  }
}

/** Tells by the tokens in the documents which of a batch were written, durably. */
async function lookUp(
  writer: MongoWriter,
  table: MongoTable,
  parts: readonly Part[],
  outcomes: readonly Outcome[],
  deadlineMs: number,
): Promise<readonly Outcome[]> {
  const ids = parts.map(({ image }) => image._id);
  const found = await writer.parts.durable
    .read(table, ids, { deadlineMs, metadataOnly: true })
    .catch((error: unknown) => {
      // The batch was sent.
      throw outcomeUnknown(`write documents of "${table.name}"`, error);
    });
  const byId = new Map(found.map((stored) => [stored.id, stored]));
  return outcomes.map((outcome, place) => {
    const { image } = parts[place] as Part;
    if (outcome !== 'WRITTEN') return outcome;
    const stored = byId.get(image.id);
    const ours = stored?.version === image.version && stored.pending?.token === image.pending.token;
    return ours ? 'WRITTEN' : 'STALE';
  });
}

function refusal(error: unknown): HoldfastError {
  if (concernsDocument(error)) return error;
  throw error;
}

/** One write as part of a bulk command. */
function bulkOperation(operation: SetOperation): AnyBulkWriteOperation<Document> {
  if ('insert' in operation) return { insertOne: { document: operation.insert } };
  if ('update' in operation) return { updateOne: operation };
  return { replaceOne: operation };
}
