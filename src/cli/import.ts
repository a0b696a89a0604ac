import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { buildSchema } from '../api/schema.ts';
import type { Entity, Model } from '../model/entity.ts';
import { readDocuments } from '../model/import-reader.ts';
import { nearest } from '../util/nearest.ts';
import { type CommandContext, ExitCode, UsageError } from './command.ts';
import { counted, sizeOf } from './file.ts';
import { type Batch, Batcher } from './import-batch.ts';
import { InputWriter, Unfit } from './import-input.ts';
import { type RefusedDocument, Sender, type SenderOptions } from './import-sender.ts';
import { openTarget } from './import-target.ts';
import { Progress } from './progress.ts';
import type { Terminal } from './terminal.ts';

/** Requests in flight. */
const CONCURRENCY = 4;
/** Refused documents that are listed; all are counted. */
const LISTED = { text: 50, json: 10_000 } as const;

interface Tally {
  documents: number;
  written: number;
  refusedCount: number;
  readonly refused: RefusedDocument[];
}

/** `holdfast import ENTITY FILE`: every document that fits is written, the others are reported with their line and the reason. */
export async function importDocuments(context: CommandContext): Promise<ExitCode> {
  const [entityName, file] = context.arguments as [string, string];
  const bytes = sizeOf(file);
  await using target = await openTarget(context);
  const entity = entityOf(target.model, entityName);
  const digest = await digestOf(file);
  const progress = new Progress(context.terminal);
  const tally: Tally = { documents: 0, written: 0, refusedCount: 0, refused: [] };
  const schema = buildSchema(target.model);
  const writer = new InputWriter({ model: target.model, schema, entity, digest });
  await pump({ file, bytes, writer, tally, progress }, { url: target.url, token: target.token, entity, digest });
  report(context.terminal, entity, tally, progress.elapsedMs);
  return tally.refusedCount > 0 ? ExitCode.DEGRADED : ExitCode.OK;
}

interface Load {
  readonly file: string;
  readonly bytes: number;
  readonly writer: InputWriter;
  readonly tally: Tally;
  readonly progress: Progress;
}

/** Reads, batches and sends; ends with the first error that concerns every document, when nothing is in flight any more. */
async function pump(load: Load, to: Omit<SenderOptions, 'signal'>): Promise<void> {
  const { file, bytes, writer, tally, progress } = load;
  const failure = new AbortController();
  const sender = new Sender({ ...to, signal: failure.signal });
  const inFlight = new Set<Promise<void>>();
  const send = async (batch: Batch | undefined): Promise<void> => {
    if (batch === undefined) return;
    while (inFlight.size >= CONCURRENCY) await Promise.race(inFlight);
    const sent = sender.send(batch.items).then(({ written, refused }) => {
      tally.written += written;
      for (const document of refused) refuse(tally, document);
      progress.show(batch.readBytes / bytes, `${tally.written.toLocaleString('en')} documents`);
    });
    const settled = sent.catch((error) => failure.abort(error)).finally(() => inFlight.delete(settled));
    inFlight.add(settled);
  };

  const batcher = new Batcher();
  const read = { bytes: 0 };
  try {
    for await (const { line, index, document, error } of readDocuments(counted(file, read))) {
      if (failure.signal.aborted) break;
      tally.documents++;
      if (document === undefined) {
        refuse(tally, { line, index, code: 'VALIDATION_FAILED', reason: error ?? 'it is no document' });
        continue;
      }
      try {
        await send(batcher.add({ line, index, json: JSON.stringify(writer.write(document, index)) }, read.bytes));
      } catch (unfit) {
        if (!(unfit instanceof Unfit)) throw unfit;
        refuse(tally, { line, index, code: 'VALIDATION_FAILED', reason: unfit.message });
      }
    }
    if (!failure.signal.aborted) await send(batcher.rest(read.bytes));
  } finally {
    await Promise.all(inFlight);
  }
  if (failure.signal.aborted) throw failure.signal.reason;
}

function refuse(tally: Tally, document: RefusedDocument): void {
  tally.refusedCount++;
  if (tally.refused.length < LISTED.json) tally.refused.push(document);
}

function report(terminal: Terminal, entity: Entity, tally: Tally, elapsedMs: number): void {
  const { documents, written, refusedCount } = tally;
  const refused = tally.refused.sort((a, b) => a.index - b.index);
  for (const { line, index, reason } of refused.slice(0, LISTED.text)) {
    terminal.note(`refused line ${line} (document ${index + 1}): ${reason}`);
  }
  if (refusedCount > LISTED.text) terminal.note(`and ${refusedCount - LISTED.text} more; --json lists them`);
  const seconds = elapsedMs / 1000;
  const rate = Math.round(written / Math.max(seconds, 0.001)).toLocaleString('en');
  const counts = `${written.toLocaleString('en')} of ${documents.toLocaleString('en')} documents`;
  const text = `${entity.name}: ${counts} in ${seconds.toFixed(1)} s (${rate}/s), ${refusedCount} refused`;
  terminal.result(
    { entity: entity.name, documents, written, refusedCount, refused, elapsedMs: Math.round(elapsedMs) },
    text,
  );
}

async function digestOf(file: string): Promise<string> {
  const digest = createHash('sha256');
  await pipeline(createReadStream(file), digest);
  return digest.digest('hex');
}

function entityOf(model: Model, name: string): Entity {
  const entity = model.entities.find((candidate) => candidate.name === name);
  if (entity !== undefined) return entity;
  const names = model.entities.map((candidate) => candidate.name);
  const meant = nearest(name, names);
  throw new UsageError(
    `there is no entity ${name}; ${meant === undefined ? `there are ${names.join(', ')}` : `did you mean ${meant}?`}`,
  );
}
