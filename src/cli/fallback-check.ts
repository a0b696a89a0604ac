import { existsSync, readFileSync } from 'node:fs';
import { type Config, databaseUrl, dataDirectory } from '../config.ts';
import { isHoldfastError } from '../errors.ts';
import { type DriftReport, findDrift } from '../fallback/dataset/drift.ts';
import type { DatasetManifest } from '../fallback/dataset/manifest.ts';
import { openDataset } from '../fallback/dataset/open-dataset.ts';
import { answerable, parseShapes, type RecordedShapes } from '../fallback/shapes.ts';
import { shapesFileOf } from '../gateway/datasets.ts';
import { collectionRules } from '../gateway/fallback.ts';
import type { Model } from '../model/entity.ts';
import { type CommandContext, ExitCode, UsageError } from './command.ts';
import { openSource } from './dataset-source.ts';
import { configuredModel } from './sdl.ts';
import { table } from './table.ts';

/** Documents of each collection that are looked at, unless `--sample` says otherwise. */
const SAMPLE = 1_000;

interface TierShare {
  readonly tier: 'LIVE' | 'SNAPSHOT';
  /** Queries of the recorded ones that it answers, and those that it answers when it has the document. 0 to 1. */
  readonly yes: number;
  readonly perhaps: number;
}

/** `holdfast fallback check`: exit 3 when the database has drifted from the schema, or the newest dataset cannot be used. */
export async function fallbackCheck({ config: load, options, terminal }: CommandContext): Promise<ExitCode> {
  const { config } = await load('primary');
  const model = configuredModel(config);
  const report = await driftOf(config, model, options);
  const dataset = await datasetOf(config, model);
  const shapes = recordedShapes(config);
  const shares = shapes === undefined ? null : sharesOf(shapes, model, dataset.manifest);
  const result = { ...report, dataset: { at: dataset.manifest?.capturedAt ?? null, problem: dataset.problem }, shares };
  terminal.result(result, textOf(report, dataset, shares));
  return report.drifts.length > 0 || dataset.problem !== null ? ExitCode.DEGRADED : ExitCode.OK;
}

async function driftOf(config: Config, model: Model, options: CommandContext['options']): Promise<DriftReport> {
  const url = (options.from as string | undefined) ?? databaseUrl(config) ?? `sqlite:${dataDirectory(config)}`;
  const sample = options.sample === undefined ? SAMPLE : Number(options.sample);
  if (!Number.isSafeInteger(sample) || sample < 1)
    throw new UsageError('--sample takes a number of documents, at least 1');
  await using opened = await openSource(url, model);
  return findDrift({ source: opened.source, model, sample, indexesOf: opened.indexesOf });
}

/** The newest dataset; none at all is no problem. */
async function datasetOf(config: Config, model: Model) {
  const { dir, maxAgeHours } = config.fallback.datasets;
  if (!existsSync(dir)) return { manifest: undefined, problem: null };
  let problem: string | null = null;
  const maxAgeMs = maxAgeHours === undefined ? undefined : maxAgeHours * 3_600_000;
  try {
    await using opened = await openDataset(dir, {
      ...{ model, maxAgeMs },
      onRefused: (error) => {
        problem ??= error.message;
      },
    });
    return { manifest: opened.manifest, problem };
  } catch (error) {
    if (!isHoldfastError(error, 'DATASET_REFUSED')) throw error;
    return { manifest: undefined, problem: error.message };
  }
}

function recordedShapes(config: Config): RecordedShapes | undefined {
  const file = shapesFileOf(config);
  return existsSync(file) ? parseShapes(readFileSync(file, 'utf8')) : undefined;
}

function sharesOf(
  { shapes, others }: RecordedShapes,
  model: Model,
  manifest: DatasetManifest | undefined,
): TierShare[] {
  const rules = new Map(model.entities.map((entity) => [entity.collection, collectionRules(entity, model)]));
  const total = shapes.reduce((sum, { times }) => sum + times, others);
  const share = (
    tier: TierShare['tier'],
    copyOf: (collection: string) => Parameters<typeof answerable>[1],
  ): TierShare => {
    const counts = { YES: 0, PERHAPS: 0, NO: 0 };
    for (const shape of shapes) {
      const own = rules.get(shape.collection);
      if (own !== undefined) counts[answerable(shape, copyOf(shape.collection), own)] += shape.times;
    }
    return { tier, yes: counts.YES / Math.max(1, total), perhaps: counts.PERHAPS / Math.max(1, total) };
  };
  return [
    share('LIVE', () => ({ complete: true, masked: [] })),
    share('SNAPSHOT', (collection) => manifest?.collections[collection]),
  ];
}

function textOf(
  { drifts, sampled }: DriftReport,
  dataset: { readonly manifest: DatasetManifest | undefined; readonly problem: string | null },
  shares: readonly TierShare[] | null,
): string {
  const count = Object.values(sampled).reduce((sum, each) => sum + each, 0);
  const rows = drifts.map(({ collection, kind, path, documents }) => [
    ...[collection, kind.toLowerCase(), path],
    documents === null ? '-' : `${documents} of ${sampled[collection]}`,
  ]);
  const percent = (share: number) => `${(share * 100).toFixed(1)} %`;
  return [
    drifts.length === 0
      ? `${count} documents fit the schema`
      : table(['collection', 'drift', 'path', 'documents'], rows),
    dataset.problem ??
      (dataset.manifest === undefined ? 'no dataset yet' : `newest dataset of ${dataset.manifest.capturedAt}`),
    ...(shares ?? []).map(
      ({ tier, yes, perhaps }) =>
        `${tier}: answers ${percent(yes)} of the queries recorded, ${percent(perhaps)} if it has the document`,
    ),
  ].join('\n');
}
