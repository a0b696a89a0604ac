import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, dataDirectory } from '../config.ts';
import type { DatasetSource } from '../fallback/dataset/gather.ts';
import { DatasetKeeper } from '../fallback/dataset/keeper.ts';
import { datasetKey } from '../fallback/dataset/key-file.ts';
import { openStaticTier } from '../fallback/dataset/static-dataset.ts';
import { parseShapes, ShapeRecorder } from '../fallback/shapes.ts';
import type { Tier } from '../fallback/tiers.ts';
import type { Model } from '../model/entity.ts';
import type { Logger } from '../telemetry/logger.ts';
import { replaceFile } from '../util/atomic-file.ts';
import { systemClock } from '../util/clock.ts';

const HOUR_MS = 3_600_000;
/** How often the shapes of queries are written down. */
const KEEP_SHAPES_MS = 60_000;

/** The datasets of a process. */
export interface Datasets extends AsyncDisposable {
  readonly keeper: DatasetKeeper;
  /** Masked datasets and hand-written documents, as far as the configuration names them as tiers. */
  readonly tiers: readonly Tier[];
}

export interface OpenDatasetsOptions {
  readonly config: Config;
  readonly model: Model;
  readonly logger: Logger;
  /** The database; undefined while it cannot be read. */
  readonly source: () => DatasetSource | undefined;
}

/** Opens what the configuration names, and makes new datasets on its schedule. @throws CONFIG_INVALID */
export async function openDatasets({ config, model, logger, source }: OpenDatasetsOptions): Promise<Datasets> {
  await using parts = new AsyncDisposableStack();
  const { datasets, tiers: named } = config.fallback;
  const { dir, documents, bytes, everyHours, maxAgeHours, files } = datasets;
  const keeper = parts.use(
    new DatasetKeeper({
      ...{ model, out: dir, source, budget: { documents, bytes } },
      key: () => datasetKey(keyFileOf(config)),
      ...{ everyMs: milliseconds(everyHours), maxAgeMs: milliseconds(maxAgeHours) },
      onError: (error) => logger.error({ err: error }, 'a dataset cannot be made or used'),
      onRefreshed: ({ directory, maskedValues }) => logger.info({ directory, maskedValues }, 'a new dataset'),
    }),
  );
  if (named.includes('SNAPSHOT') || everyHours !== undefined) await keeper.run();
  const tiers: Tier[] = named.includes('SNAPSHOT') ? [keeper.tier] : [];
  if (named.includes('DATASET')) {
    const given = Object.entries(files).map(
      ([collection, file]) => [collection, typeof file === 'string' ? { file } : file] as const,
    );
    tiers.push(parts.use(await openStaticTier(model, Object.fromEntries(given))));
  }
  const owned = parts.move();
  return { keeper, tiers, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Shapes of queries that are written down now and then, and at the end. */
export interface KeptShapes extends Disposable {
  record: ShapeRecorder['record'];
}

/** Records shapes of queries for `holdfast fallback check`, on top of those recorded before. What cannot be written is logged, no more. */
export function keepShapes(config: Config, logger: Logger): KeptShapes {
  const file = shapesFileOf(config);
  const recorder = new ShapeRecorder();
  const before = existsSync(file) ? parseShapes(readFileSync(file, 'utf8')) : undefined;
  if (before !== undefined) recorder.restore(before);
  let changed = false;
  const write = (): void => {
    if (!changed) return;
    changed = false;
    try {
      replaceFile(file, JSON.stringify(recorder.list()));
    } catch (error) {
      logger.warn({ err: error }, 'the shapes of queries cannot be written down');
    }
  };
  const end = systemClock.every(KEEP_SHAPES_MS, write);
  return {
    record(question) {
      changed = true;
      recorder.record(question);
    },
    [Symbol.dispose]() {
      end();
      write();
    },
  };
}

/** Where a gateway keeps the shapes of its queries. */
export function shapesFileOf(config: Config): string {
  return join(dataDirectory(config), 'query-shapes.json');
}

/** The file with the key of datasets: the configured one, else that in the data directory. */
export function keyFileOf(config: Config): string {
  return config.fallback.datasets.keyFile ?? join(dataDirectory(config), 'dataset.key');
}

function milliseconds(hours: number | undefined): number | undefined {
  return hours === undefined ? undefined : hours * HOUR_MS;
}
