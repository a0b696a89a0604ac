import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Explorable } from './options.ts';

/** Where the page, its script, style and workers are. */
const ROOT = '/graphiql';

/** Starts the explorer with what the page says; a file of its own, since inline scripts are forbidden. */
const START = `
const worker = (name) => '${ROOT}/' + name + '.js';
self.MonacoEnvironment = {
  globalAPI: false,
  getWorkerUrl: (_module, label) => worker(label === 'json' || label === 'graphql' ? label : 'editorWorkerService'),
};
const root = document.querySelector('#root');
const endpoint = new URL(root.dataset.url, location.href).href;
YogaGraphiQL.renderYogaGraphiQL(root, {
  endpoint,
  subscriptionsEndpoint: endpoint.replace(/^http/, 'ws'),
  subscriptionsProtocol: 'WS',
  title: document.title,
  defaultQuery: '{ __typename }',
  shouldPersistHeaders: false,
});
`;

const STYLE = `
html, body { height: 100%; margin: 0; }
body { display: flex; flex-direction: column; overflow: hidden; }
#root { flex: 1; min-height: 0; }
#root > * { height: 100%; width: 100%; }
nav { font: 14px system-ui, sans-serif; padding: 6px 12px; display: flex; gap: 12px; }
nav [aria-current] { font-weight: 600; color: inherit; text-decoration: none; }
`;

interface Asset {
  readonly type: string;
  readonly gzipped: Buffer;
  readonly plain: Buffer;
  readonly etag: string;
}

/** GraphiQL at `/graphiql`: from this package, without the network, under a strict content security policy. */
export function addGraphiqlRoutes(fastify: FastifyInstance, apis: readonly Explorable[]): void {
  let assets: Promise<ReadonlyMap<string, Asset>> | undefined;

  fastify.get(ROOT, (request, reply) => {
    const wanted = new URL(request.url, 'http://localhost').searchParams.get('api');
    const current = apis.find(({ name }) => name === wanted) ?? apis[0];
    secure(reply, contentSecurityPolicy(apis)).header('content-type', 'text/html; charset=utf-8');
    return reply.send(current === undefined ? '' : page(apis, current));
  });
  fastify.get<{ Params: { file: string } }>(`${ROOT}/:file`, async (request, reply) => {
    assets ??= loadAssets();
    const asset = (await assets).get(request.params.file);
    if (asset === undefined) return reply.callNotFound();
    return sendAsset(secure(reply), request, asset);
  });
}

/** Headers of every page and file for browsers. */
export function secure(reply: FastifyReply, policy = "default-src 'none'; style-src 'unsafe-inline'"): FastifyReply {
  return reply
    .header('content-security-policy', `${policy}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`)
    .header('x-content-type-options', 'nosniff')
    .header('referrer-policy', 'no-referrer');
}

function contentSecurityPolicy(apis: readonly Explorable[]): string {
  const elsewhere = apis.flatMap(({ url }) => {
    const parsed = URL.parse(url);
    return parsed === null ? [] : [parsed.origin, parsed.origin.replace(/^http/, 'ws')];
  });
  const connect = ["'self'", ...new Set(elsewhere)].join(' ');
  // The editor writes its colours and positions into style attributes and elements.
  return (
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self' 'unsafe-inline'; " +
    `img-src 'self' data:; font-src data:; connect-src ${connect}`
  );
}

function page(apis: readonly Explorable[], current: Explorable): string {
  const links = apis.map(({ name }) => {
    const here = name === current.name ? ' aria-current="page"' : '';
    return `<a href="${ROOT}?api=${encodeURIComponent(name)}"${here}>${escapeHtml(name)}</a>`;
  });
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Holdfast: ${escapeHtml(current.name)}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${ROOT}/style.css">
</head>
<body>
<nav><span>Holdfast</span>${links.join('')}</nav>
<div id="root" data-url="${escapeHtml(current.url)}"></div>
<noscript>The explorer needs JavaScript.</noscript>
<script src="${ROOT}/graphiql.js"></script>
<script src="${ROOT}/start.js"></script>
</body>
</html>
`;
}

/** Nine megabytes, read and compressed when somebody first opens the page. */
async function loadAssets(): Promise<ReadonlyMap<string, Asset>> {
  const bundle = await import('@graphql-yoga/render-graphiql/graphiql');
  const script = 'text/javascript; charset=utf-8';
  const texts: [string, string, string][] = [
    ['graphiql.js', script, bundle.js],
    ['start.js', script, START],
    ['style.css', 'text/css; charset=utf-8', bundle.css + STYLE],
    ['editorWorkerService.js', script, bundle.editorWorkerService],
    ['json.js', script, bundle.jsonWorker],
    ['graphql.js', script, bundle.graphqlWorker],
  ];
  const assets = texts.map(async ([name, type, text]): Promise<[string, Asset]> => {
    const plain = Buffer.from(text);
    const etag = `"${createHash('sha256').update(plain).digest('base64url').slice(0, 22)}"`;
    return [name, { type, plain, gzipped: await promisify(gzip)(plain), etag }];
  });
  return new Map(await Promise.all(assets));
}

function sendAsset(reply: FastifyReply, request: FastifyRequest, { type, plain, gzipped, etag }: Asset): FastifyReply {
  reply.headers({ 'cache-control': 'no-cache', etag, vary: 'accept-encoding' });
  if (request.headers['if-none-match'] === etag) return reply.code(304).send();
  reply.header('content-type', type);
  if (!/\bgzip\b/.test(request.headers['accept-encoding'] ?? '')) return reply.send(plain);
  return reply.header('content-encoding', 'gzip').send(gzipped);
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
