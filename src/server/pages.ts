import type { FastifyInstance } from 'fastify';
import type { MetricsRegistry } from '../telemetry/metrics.ts';
import { addGraphiqlRoutes, secure } from './graphiql.ts';
import type { Explorable, Health } from './options.ts';

export interface OpsPagesOptions {
  readonly health: () => Health;
  readonly metrics: MetricsRegistry;
  readonly apis: readonly Explorable[];
  readonly path: string;
}

/** What the ops port shows beside its API: health for balancers, metrics for Prometheus, the explorer for people. */
export function addOpsPages(fastify: FastifyInstance, { health, metrics, apis, path }: OpsPagesOptions): void {
  fastify.get('/health/live', (_request, reply) => {
    const { live } = health();
    return reply
      .code(live ? 200 : 503)
      .header('cache-control', 'no-store')
      .send({ live });
  });
  fastify.get<{ Querystring: { strict?: string } }>('/health/ready', (request, reply) => {
    const { ready, degraded, components } = health();
    const strict = request.query.strict !== undefined && request.query.strict !== 'false';
    const good = ready && !(strict && degraded);
    const status = !ready ? 'not ready' : degraded ? 'degraded' : 'ready';
    return reply
      .code(good ? 200 : 503)
      .header('cache-control', 'no-store')
      .send({ status, components });
  });
  fastify.get('/metrics', async (_request, reply) => {
    return reply.header('content-type', metrics.contentType).send(await metrics.metrics());
  });
  addGraphiqlRoutes(fastify, apis);
  addIndexPage(fastify, [path, '/graphiql', '/health/live', '/health/ready', '/metrics']);
}

/** A page at `/` that lists what is here. */
export function addIndexPage(fastify: FastifyInstance, paths: readonly string[]): void {
  const items = paths.map((path) => `<li><a href="${path}">${path}</a></li>`).join('');
  const html = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Holdfast</title><style>body{font:16px/1.6 system-ui,sans-serif;margin:3em}</style><h1>Holdfast</h1><ul>${items}</ul></html>\n`;
  fastify.get('/', (_request, reply) => secure(reply).header('content-type', 'text/html; charset=utf-8').send(html));
}
