import { isHoldfastError } from '../../errors.ts';
import { systemClock } from '../../util/clock.ts';
import { DatasetTier } from '../dataset/dataset-tier.ts';
import { versionsOf } from '../dataset/directory.ts';
import { openDataset } from '../dataset/open-dataset.ts';
import type { CollectionRules } from '../question.ts';
import type { Tier } from '../tiers.ts';
import { openGivenTier } from './given-datasets.ts';
import { atHome, type Home } from './home.ts';
import { checkSettings, described, type FallbackSettings } from './settings.ts';

/** How often it is looked whether there is a newer snapshot, in ms. */
const LOOK_MS = 60_000;

/** What answers in the database's place. */
export interface Copies extends AsyncDisposable {
  /** In the order they are asked; they know collections by namespace. */
  readonly tiers: readonly Tier[];
  readonly rules: (namespace: string) => CollectionRules;
}

/** Opens the snapshots and hand-written documents of a client. @throws CONFIG_INVALID */
export async function openCopies(settings: FallbackSettings, home: Home): Promise<Copies> {
  checkSettings(settings);
  await using parts = new AsyncDisposableStack();
  const { snapshots, datasets = {} } = settings;
  const tiers: Tier[] = [];
  if (snapshots !== undefined) tiers.push(parts.use(await openSnapshots(snapshots, settings)).tier);
  const given = Object.entries(datasets).map(([collection, dataset]) => [collection, described(dataset)] as const);
  if (given.length > 0) tiers.push(parts.use(await openGivenTier(Object.fromEntries(given))));
  const uniquePaths = new Map(given.map(([collection, { unique = [] }]) => [collection, unique]));
  const owned = parts.move();
  return {
    tiers: tiers.map((tier) => atHome(tier, home)),
    rules: (namespace) => ({
      entity: namespace,
      uniquePaths: uniquePaths.get(home.collectionOf(namespace) ?? '') ?? [],
      ...{ requiredPaths: [], lists: 'REFUSE', masked: 'NULL' },
    }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

interface Snapshots extends AsyncDisposable {
  readonly tier: DatasetTier;
}

/** The newest dataset of a directory, and whichever comes later. That there is none that can be used is told to the logger, no more. */
async function openSnapshots(
  directory: string,
  { logger, clock = systemClock }: Pick<FallbackSettings, 'logger' | 'clock'>,
): Promise<Snapshots> {
  const tier = new DatasetTier();
  let seen: string | undefined;
  let looking = Promise.resolve();
  const look = async (): Promise<void> => {
    const [newest] = versionsOf(directory);
    if (newest !== undefined && newest === seen) return;
    try {
      const before = tier.dataset;
      const onRefused = (err: Error): void => logger?.warn({ err }, 'a dataset is not used');
      tier.use(await openDataset(directory, { onRefused }));
      await before?.[Symbol.asyncDispose]();
    } catch (err) {
      if (!isHoldfastError(err)) throw err;
      if (newest === undefined) logger?.warn({ err }, 'there are no snapshots to answer from');
    }
    seen = newest;
  };
  await look();
  const end = clock.every(LOOK_MS, () => {
    looking = looking.then(look).catch((err: unknown) => logger?.error({ err }, 'snapshots cannot be read'));
  });
  return {
    tier,
    async [Symbol.asyncDispose]() {
      end();
      await looking;
      await tier.dataset?.[Symbol.asyncDispose]();
    },
  };
}
