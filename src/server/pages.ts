import type { FastifyInstance, FastifyRequest } from 'fastify';
import { isHoldfastError } from '../errors.ts';
import type { MetricsRegistry } from '../telemetry/metrics.ts';
import { addGraphiqlRoutes, secure } from './graphiql.ts';
import type { Explorable, Health } from './options.ts';

export interface OpsPagesOptions {
  readonly health: () => Health;
  readonly metrics: MetricsRegistry;
  readonly apis: readonly Explorable[];
  readonly path: string;
  /** Rejects with UNAUTHENTICATED or FORBIDDEN when the asker may not see metrics and components. Default: everybody may. */
  readonly authorize?: ((request: FastifyRequest) => Promise<void>) | undefined;
}

/**
 * What the ops port shows beside its API: health for balancers, metrics for Prometheus, the explorer for people. Health is for
 * everybody, its components only for those who may; the explorer is an empty page until a token is typed in there.
 */
export function addOpsPages(fastify: FastifyInstance, options: OpsPagesOptions): void {
  const { health, metrics, apis, path, authorize } = options;
  fastify.get('/health/live', (_request, reply) => {
    const { live } = health();
    return reply
      .code(live ? 200 : 503)
      .header('cache-control', 'no-store')
      .send({ live });
  });
  fastify.get<{ Querystring: { strict?: string } }>('/health/ready', async (request, reply) => {
    const { ready, degraded, components } = health();
    const strict = request.query.strict !== undefined && request.query.strict !== 'false';
    const good = ready && !(strict && degraded);
    const status = !ready ? 'not ready' : degraded ? 'degraded' : 'ready';
    return reply
      .code(good ? 200 : 503)
      .header('cache-control', 'no-store')
      .send((await mayLook(request, authorize)) ? { status, components } : { status });
  });
  fastify.get('/metrics', async (request, reply) => {
    await authorize?.(request);
    return reply.header('content-type', metrics.contentType).send(await metrics.metrics());
  });
  addGraphiqlRoutes(fastify, apis);
  addIndexPage(fastify, [path, '/graphiql', '/health/live', '/health/ready', '/metrics']);
}

async function mayLook(request: FastifyRequest, authorize: OpsPagesOptions['authorize']): Promise<boolean> {
  try {
    await authorize?.(request);
    return true;
  } catch (error) {
    if (isHoldfastError(error, 'UNAUTHENTICATED') || isHoldfastError(error, 'FORBIDDEN')) return false;
    throw error;
  }
}

/** A page at `/` that lists what is here. */
export function addIndexPage(fastify: FastifyInstance, paths: readonly string[]): void {
  const items = paths.map((path) => `<li><a href="${path}">${path}</a></li>`).join('');
  const html = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Holdfast</title><style>body{font:16px/1.6 system-ui,sans-serif;margin:3em}</style><h1>Holdfast</h1><ul>${items}</ul></html>\n`;
  fastify.get('/', (_request, reply) => secure(reply).header('content-type', 'text/html; charset=utf-8').send(html));
}
