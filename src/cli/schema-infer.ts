import { readDocuments } from '../model/import-reader.ts';
import { baseNameOf, Inference, inferredSdl } from '../model/infer.ts';
import { type CommandContext, ExitCode, UsageError } from './command.ts';
import { counted, sizeOf } from './file.ts';
import { Progress } from './progress.ts';
import type { Terminal } from './terminal.ts';

/** Documents of a collection that are looked at, unless `--sample` says otherwise. */
const SAMPLE = 10_000;

/** `holdfast schema infer`: nothing but SDL goes to stdout. */
export async function schemaInfer({ options, terminal }: CommandContext): Promise<ExitCode> {
  const from = options.from as readonly string[] | undefined;
  const [url] = from ?? [];
  if (from === undefined || url === undefined)
    throw new UsageError('name the files with --from FILE…, or a database with --from mongodb://…');
  const isDatabase = from.map((each) => /^mongodb(\+srv)?:\/\//.test(each));
  if (!isDatabase.includes(true)) return ofFiles(from, terminal);
  if (from.length > 1) throw new UsageError('--from takes one database, or files');
  return ofDatabase(url, sampleOf(options.sample), terminal);
}

async function ofFiles(files: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const bytes = files.map(sizeOf).reduce((sum, size) => sum + size, 0);
  const progress = new Progress(terminal);
  const read = { bytes: 0 };
  const inferences: Inference[] = [];
  let unreadable = 0;
  for (const file of files) {
    const inference = new Inference(baseNameOf(file));
    for await (const { line, document, error } of readDocuments(counted(file, read))) {
      if (document !== undefined) inference.add(document);
      else if (++unreadable <= 20) terminal.note(`${file}:${line}: ${error}`);
      progress.show(read.bytes / bytes, file);
    }
    if (inference.count === 0) throw new UsageError(`${file} holds no document`);
    inferences.push(inference);
  }
  const sdl = inferredSdl(inferences);
  terminal.result({ sdl, unreadable }, sdl);
  if (unreadable === 0) return ExitCode.OK;
  terminal.note(`${unreadable} documents could not be read; the SDL comes from the others`);
  return ExitCode.DEGRADED;
}

/** Reads only; the driver is loaded only here. */
async function ofDatabase(url: string, limit: number, terminal: Terminal): Promise<ExitCode> {
  const { connectMongo } = await import('../store/mongo-connection.ts');
  const { foundCollections } = await import('../store/mongo-sample.ts');
  await using connection = await connectMongo(url, { reachMs: 5_000, readsAnyMember: true });
  const { databaseName } = connection.database;
  const collections = await foundCollections(connection);
  if (collections.length === 0) throw new UsageError(`the database "${databaseName}" holds no collection`);
  const progress = new Progress(terminal);
  const inferences: Inference[] = [];
  for (const [place, { name, indexes, sample }] of collections.entries()) {
    const inference = new Inference(name, { collection: name, indexes });
    for await (const document of sample(limit)) inference.add(document);
    progress.show((place + 1) / collections.length, name);
    if (inference.count > 0) inferences.push(inference);
    else terminal.note(`the collection "${name}" holds no document; it is left out`);
  }
  if (inferences.length === 0) throw new UsageError(`the database "${databaseName}" holds no document`);
  const sdl = inferredSdl(inferences);
  terminal.result({ sdl, collections: inferences.length }, sdl);
  return ExitCode.OK;
}

function sampleOf(text: unknown): number {
  if (text === undefined) return SAMPLE;
  const count = Number(text);
  if (!Number.isSafeInteger(count) || count < 1)
    throw new UsageError('--sample takes a number of documents, at least 1');
  return count;
}
