import { loadConfig } from '../../config.ts';
import { createLogger } from '../../telemetry/logger.ts';
import type { FallbackSettings, GivenDataset } from './settings.ts';

/**
 * What the configuration file of the working directory and the environment say of the fallback, so that a service needs no more than the
 * import. Without either there are no copies: reads and writes are refused at once while the database is away.
 * @throws CONFIG_INVALID
 */
export async function configuredSettings(): Promise<FallbackSettings> {
  const { config } = await loadConfig();
  const { tiers, datasets, deadlineMs, breaker } = config.fallback;
  const files = Object.entries(datasets.files).map(([collection, given]): [string, GivenDataset] => [
    collection,
    typeof given === 'string' ? given : { from: given.file, complete: given.complete },
  ]);
  return {
    ...(tiers.includes('DATASET') && { datasets: Object.fromEntries(files) }),
    ...(tiers.includes('SNAPSHOT') && { snapshots: datasets.dir }),
    ...{ deadlineMs, breaker, logger: createLogger({ level: config.telemetry.level }) },
  };
}
