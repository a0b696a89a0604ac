import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { z } from 'zod';
import { type Config, databaseUrl, dataDirectory } from '../config.ts';
import { datasetKey } from '../fallback/dataset/key-file.ts';
import { type RefreshProgress, refreshDataset } from '../fallback/dataset/refresh.ts';
import { keyFileOf } from '../gateway/datasets.ts';
import type { Model } from '../model/entity.ts';
import { parseExtendedJson } from '../model/extended-json.ts';
import { ask } from './ask.ts';
import { clientTokenOf } from './client-token.ts';
import { type CommandContext, ExitCode, Failure, UsageError } from './command.ts';
import { openSource } from './dataset-source.ts';
import { DEFAULT_ENDPOINTS, endpointOf } from './endpoint.ts';
import { Lifetime } from './lifetime.ts';
import { Progress } from './progress.ts';
import { configuredModel } from './sdl.ts';
import { table } from './table.ts';

const PHASES = { read: 'read', mask: 'masked', check: 'checked' } as const;
/** Between two looks at a process that makes a dataset. */
const LOOK_MS = 500;
const STATE = z.object({
  running: z.boolean(),
  startedAt: z.string().nullable(),
  lastError: z.string().nullable(),
  capturedAt: z.string().nullable(),
  documents: z.number(),
});
const FIELDS = '{ running startedAt lastError capturedAt documents }';

/** `holdfast fallback refresh`: reads a database, or asks a running process to. Exit 3 when documents were left out. */
export async function fallbackRefresh(context: CommandContext): Promise<ExitCode> {
  const { options } = context;
  return options.url === undefined ? refreshHere(context) : refreshThere(context);
}

async function refreshHere({ config: load, options, terminal }: CommandContext): Promise<ExitCode> {
  const { config } = await load('primary');
  const model = configuredModel(config);
  const { dir, documents, bytes } = config.fallback.datasets;
  const from = (options.from as string | undefined) ?? configuredSource(config);
  await using opened = await openSource(from, model);
  using lifetime = new Lifetime(() => terminal.note('cancelling; once more to stop at once'));
  const controller = new AbortController();
  void lifetime.over.then(() => controller.abort(new Error('cancelled')));
  const progress = new Progress(terminal);
  const wanted = wantedIds(options.ids, model);
  const made = await refreshDataset({
    ...{ source: opened.source, model, key: datasetKey(keyFileOf(config)), out: dir },
    ...{ budget: { documents, bytes }, wanted, signal: controller.signal },
    onProgress: (report) =>
      progress.show(shareOf(report, documents), `${report.documents} documents ${PHASES[report.phase]}`),
  });
  const collections = Object.entries(made.manifest.collections);
  const rows = collections.map(([name, part]) => [
    ...[name, part.documents.toLocaleString('en'), part.complete ? 'all' : 'some'],
    ...[`${part.masked.length} fields`, part.exempt.join(' ') || '-'],
  ]);
  const heads = ['collection', 'documents', 'of', 'masked', 'exempt'];
  terminal.result(made, `${made.directory}\n\n${table(heads, rows)}`);
  for (const [name, { refused, dangling }] of collections) {
    if (refused > 0) terminal.note(`${name}: ${refused} documents left out, because they do not fit the schema`);
    if (dangling > 0) terminal.note(`${name}: ${dangling} keys lead to documents that there are not`);
  }
  return collections.some(([, { refused }]) => refused > 0) ? ExitCode.DEGRADED : ExitCode.OK;
}

async function refreshThere({ options, terminal }: CommandContext): Promise<ExitCode> {
  if (options.from !== undefined)
    throw new UsageError('--url lets the running process read its own database; leave --from away');
  const url = endpointOf(options.url, DEFAULT_ENDPOINTS.primaryOps);
  const token = clientTokenOf(options);
  const begun = z.object({ state: STATE });
  let { state } = await ask(url, { query: `mutation { state: fallbackRefresh ${FIELDS} }`, shape: begun, token });
  const progress = new Progress(terminal);
  while (state.running) {
    await setTimeout(LOOK_MS);
    progress.show(0, `${url} makes a dataset`);
    ({ state } = await ask(url, { query: `{ state: fallbackDatasets ${FIELDS} }`, shape: begun, token }));
  }
  if (state.lastError !== null) throw new Failure(state.lastError);
  terminal.result(state, `a dataset of ${state.capturedAt}: ${state.documents.toLocaleString('en')} documents`);
  return ExitCode.OK;
}

/** The lists of `--ids`; ids as extended JSON writes them. */
function wantedIds(file: unknown, { entities }: Model): Map<string, readonly unknown[]> | undefined {
  if (typeof file !== 'string') return undefined;
  let lists: [string, unknown][];
  try {
    lists = Object.entries(parseExtendedJson(readFileSync(file, 'utf8')));
  } catch (error) {
    throw new UsageError(`--ids ${file} cannot be read: ${(error as Error).message}`);
  }
  return new Map(
    lists.map(([name, ids]) => {
      if (!entities.some((entity) => entity.name === name)) throw new UsageError(`--ids: there is no entity ${name}`);
      if (!Array.isArray(ids)) throw new UsageError(`--ids: ${name} must be a list of ids`);
      return [name, ids];
    }),
  );
}

function configuredSource(config: Config): string {
  return databaseUrl(config) ?? `sqlite:${dataDirectory(config)}`;
}

/** The three phases take about the same time. */
function shareOf({ phase, documents }: RefreshProgress, expected: number): number {
  const phases = Object.keys(PHASES);
  return (phases.indexOf(phase) + Math.min(1, documents / expected)) / phases.length;
}
