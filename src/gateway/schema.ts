import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { IResolvers } from '@graphql-tools/utils';
import type { GraphQLSchema } from 'graphql';
import { buildSyncSchema } from '../../resolvers/sync.ts';
import { buildSchema } from '../api/schema.ts';
import type { ChangeLog } from '../changelog/change-log.ts';
import { HoldfastError } from '../errors.ts';
import type { Model } from '../model/entity.ts';
import { loadModel } from '../model/load.ts';
import type { SdlSource } from '../model/parse.ts';
import type { SyncSource } from '../protocol/sync-source.ts';
import type { PrimarySource } from '../replication/source.ts';
import type { Access } from '../service/access.ts';
import type { DecideConflict } from '../service/conflict-policies.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { PlainGauge } from '../telemetry/metrics.ts';
import { lasting } from '../util/lasting.ts';

/** What the file of hand-written code beside the SDL exports. */
export interface HandWritten {
  readonly resolvers?: IResolvers;
  /** For `@conflict(policy: CUSTOM)`: a function by the name of the entity. */
  readonly conflicts?: Readonly<Record<string, DecideConflict>>;
}

/** `resolvers.ts` or `.js` beside the SDL files, when there is one: it exports `resolvers`, `conflicts`, or both. */
export async function handWrittenFiles(directory: string): Promise<HandWritten> {
  const file = ['resolvers.ts', 'resolvers.js', 'resolvers.mjs']
    .map((name) => resolve(directory, name))
    .find((path) => existsSync(path));
  if (file === undefined) return {};
  const loaded = (await import(pathToFileURL(file).href)) as HandWritten;
  if (loaded.resolvers === undefined && loaded.conflicts === undefined)
    throw new HoldfastError('SCHEMA_INVALID', `${file} does not export "resolvers"`, { details: { mistakes: [] } });
  return loaded;
}

/** Gauges of a node's log and of those who follow it. */
export function logGauges(
  log: () => ChangeLog,
  source: () => PrimarySource | undefined,
): Partial<Record<PlainGauge, () => number>> {
  const followers = () => source()?.followers.list() ?? [];
  return {
    holdfast_log_head_sequence: () => log().head().sequence,
    holdfast_log_floor_sequence: () => log().floor(),
    holdfast_followers: () => followers().length,
    holdfast_follower_lag_changes: () => Math.max(0, ...followers().map(({ lagChanges }) => lagChanges)),
  };
}

/** What the SDL of a node says. @throws SCHEMA_INVALID */
export function modelOf(sources: readonly SdlSource[]): Model {
  return lasting(() => loadModel(sources));
}

/** The data API of a model, with the sync fields of the node that serves it. */
export function dataSchema(options: {
  readonly model: Model;
  readonly resolvers?: IResolvers | undefined;
  readonly source: SyncSource;
  /** Its tokens are told to those who follow. */
  readonly access: Access;
  readonly logger: Logger;
}): GraphQLSchema {
  const { model, resolvers, source, access, logger } = options;
  return lasting(() =>
    buildSchema(model, {
      resolvers,
      parts: [buildSyncSchema({ source, tokens: (signal) => access.changes(signal) })],
      onOverride: (field) => logger.info({ field }, 'a hand-written field takes the place of the generated one'),
    }),
  );
}
