import { z } from 'zod';
import type { Config } from '../config.ts';
import { HoldfastError, isHoldfastError } from '../errors.ts';
import type { Model } from '../model/entity.ts';
import { loadModel, readSchemaDirectory } from '../model/load.ts';
import { ask } from './ask.ts';
import { clientTokenOf } from './client-token.ts';
import type { CommandContext } from './command.ts';
import { DEFAULT_ENDPOINTS, endpointOf } from './endpoint.ts';

/** Where documents go. */
export interface Target extends AsyncDisposable {
  readonly url: string;
  /** API token for it. */
  readonly token: string | undefined;
  readonly model: Model;
}

const HELLO = z.object({ syncHello: z.object({ sdl: z.string() }) });

/**
 * The running gateway at `--to`; or, with `--data`, one of our own over that directory, on ports that only we know.
 * @throws PRIMARY_UNREACHABLE, UNAUTHENTICATED, FORBIDDEN; DATA_LOCKED while another process uses the directory
 */
export async function openTarget({ config, options }: CommandContext): Promise<Target> {
  if (options.data !== undefined) {
    const [loaded, { createGateway }] = await Promise.all([config('primary'), import('../gateway.ts')]);
    const gateway = await createGateway(privately(loaded.config));
    const close = () => gateway.stop();
    try {
      return { url: gateway.url, token: undefined, model: await modelAt(gateway.url), [Symbol.asyncDispose]: close };
    } catch (error) {
      await close();
      throw error;
    }
  }
  const url = endpointOf(options.to, DEFAULT_ENDPOINTS.data);
  const token = clientTokenOf(options);
  const model = await modelAt(url, token).catch(async (error) => {
    if (!isHoldfastError(error, 'FORBIDDEN')) throw error;
    const { schema } = (await config()).config;
    if (schema !== undefined) return loadModel(readSchemaDirectory(schema));
    const message = `${url} tells its SDL only to role replica: give --schema, or a token with that role as well`;
    throw new HoldfastError('FORBIDDEN', message, { cause: error });
  });
  return { url, token, model, [Symbol.asyncDispose]: async () => undefined };
}

async function modelAt(url: string, token?: string | undefined): Promise<Model> {
  const { syncHello } = await ask(url, { query: '{ syncHello { sdl } }', shape: HELLO, token });
  return loadModel([{ file: url, text: syncHello.sdl }]);
}

/** On loopback and without tokens, so that every run is the same caller: a second one is known by its idempotency keys. */
function privately(config: Config): Config {
  return {
    ...config,
    server: { ...config.server, host: '127.0.0.1', port: 0, opsPort: 0 },
    auth: { ...config.auth, mode: 'none' },
    limits: { ...config.limits, rate: undefined },
    telemetry: { ...config.telemetry, level: 'warn' },
  };
}
