import { z } from 'zod';
import { buildSchema } from '../api/schema.ts';
import type { Document } from '../model/document.ts';
import type { Entity } from '../model/entity.ts';
import { loadModel, readSchemaDirectory } from '../model/load.ts';
import { generateSchool } from '../model/school.ts';
import { ask } from './ask.ts';
import { type Batch, Batcher } from './import-batch.ts';
import { InputWriter } from './import-input.ts';
import { Sender } from './import-sender.ts';

const SEED = 1;
const SCHOOLS = 5;

const STATE = z.object({
  syncHello: z.object({ head: z.number() }),
  schoolsCount: z.number(),
  enrolmentsCount: z.number(),
});

/**
 * Fills the gateway at `url`, which serves the example schema, with example data. A store that holds anything else is left
 * alone. Schools come last and every request can be repeated: a run that was killed in between is completed by the next.
 */
export async function fillWithExample(url: string, schemaDirectory: string): Promise<void> {
  const query = '{ syncHello { head } schoolsCount enrolmentsCount }';
  const state = await ask(url, { query, shape: STATE });
  const unfinished = state.schoolsCount === 0 && state.enrolmentsCount > 0;
  if (state.syncHello.head > 0 && !unfinished) return;

  const documents = Map.groupBy(generateSchool({ seed: SEED, schools: SCHOOLS }), ({ entity }) => entity);
  const model = loadModel(readSchemaDirectory(schemaDirectory));
  const schema = buildSchema(model);
  for (const entity of model.entities.toReversed()) {
    const digest = `example-${SEED}`;
    const writer = new InputWriter({ model, schema, entity, digest });
    const sender = new Sender({ url, entity, digest, signal: new AbortController().signal });
    for (const batch of batches(documents.get(entity.name as 'School') ?? [], entity, writer))
      await sender.send(batch.items);
  }
}

function* batches(documents: readonly { document: Document }[], entity: Entity, writer: InputWriter): Generator<Batch> {
  const batcher = new Batcher();
  for (const [index, { document }] of documents.entries()) {
    const input = writer.write(withoutTimestamps(document, entity), index);
    const full = batcher.add({ line: index + 1, index, json: JSON.stringify(input) }, 0);
    if (full !== undefined) yield full;
  }
  const rest = batcher.rest(0);
  if (rest !== undefined) yield rest;
}

/** The gateway sets them itself. */
function withoutTimestamps(document: Document, entity: Entity): Document {
  const set = new Set(entity.fields.filter(({ timestamp }) => timestamp).map(({ storedName }) => storedName));
  return Object.fromEntries(Object.entries(document).filter(([name]) => !set.has(name)));
}
