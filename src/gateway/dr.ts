import type { DrService } from '../service/dr-service.ts';
import type { DisasterRecovery, DisasterRecoveryOptions } from './recovery.ts';

/** Disaster recovery of a gateway. */
export interface GatewayDr extends AsyncDisposable {
  readonly service: DrService;
}

/**
 * Disaster recovery, loaded when it is first asked for: it brings drivers of databases that most gateways never speak to. Where
 * databases are configured it is loaded at once, beside the start, to take up what an earlier process left.
 */
export function openDr(options: DisasterRecoveryOptions): GatewayDr {
  let loading: Promise<DisasterRecovery> | undefined;
  const load = async (): Promise<DisasterRecovery> => {
    const { DisasterRecovery } = await import('./recovery.ts');
    const loaded = new DisasterRecovery(options);
    loaded.run();
    return loaded;
  };
  const dr = (): Promise<DisasterRecovery> => {
    loading ??= load();
    return loading;
  };
  const { config, logger } = options;
  if (Object.keys(config.dr.sources).length > 0) {
    dr().catch((error) => logger.error({ err: error }, 'disaster recovery cannot be loaded'));
  }
  const service: DrService = {
    sources: async () => (await dr()).sources(),
    backups: async (signal) => (await dr()).backups(signal),
    jobs: async (first) => (await dr()).jobs(first),
    job: async (id) => (await dr()).job(id),
    graph: async (source) => (await dr()).graph(source),
    start: async (order, by, signal) => (await dr()).start(order, by, signal),
    cancel: async (id) => (await dr()).cancel(id),
    resume: async (id, signal) => (await dr()).resume(id, signal),
    delete: async (backup) => (await dr()).delete(backup),
    async *progress(id, signal) {
      yield* (await dr()).progress(id, signal);
    },
  };
  return {
    service,
    async [Symbol.asyncDispose]() {
      await (await loading?.catch(() => undefined))?.[Symbol.asyncDispose]();
    },
  };
}
