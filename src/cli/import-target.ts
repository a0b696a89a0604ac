import { z } from 'zod';
import type { Config } from '../config.ts';
import type { Model } from '../model/entity.ts';
import { loadModel } from '../model/load.ts';
import { ask } from './ask.ts';
import type { CommandContext } from './command.ts';
import { DEFAULT_ENDPOINTS, endpointOf } from './endpoint.ts';

/** Where documents go. */
export interface Target extends AsyncDisposable {
  readonly url: string;
  readonly model: Model;
}

const HELLO = z.object({ syncHello: z.object({ sdl: z.string() }) });

/**
 * The running gateway at `--to`; or, with `--data`, one of our own over that directory, on ports that only we know.
 * @throws PRIMARY_UNREACHABLE, DATA_LOCKED while another process uses the directory
 */
export async function openTarget({ config, options }: CommandContext): Promise<Target> {
  if (options.data === undefined)
    return connected(endpointOf(options.to, DEFAULT_ENDPOINTS.data), async () => undefined);
  const [loaded, { createGateway }] = await Promise.all([config('primary'), import('../gateway.ts')]);
  const gateway = await createGateway(privately(loaded.config));
  return connected(gateway.url, () => gateway.stop());
}

async function connected(url: string, close: () => Promise<void>): Promise<Target> {
  try {
    const { syncHello } = await ask(url, { query: '{ syncHello { sdl } }', shape: HELLO });
    return { url, model: loadModel([{ file: url, text: syncHello.sdl }]), [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

function privately(config: Config): Config {
  return {
    ...config,
    server: { ...config.server, port: 0, opsPort: 0 },
    telemetry: { ...config.telemetry, level: 'warn' },
  };
}
