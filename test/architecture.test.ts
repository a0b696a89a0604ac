import { globSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = resolve(import.meta.dirname, '..');

/** The layers, and what each may import besides itself. Roots join the parts: they may import anything, nothing imports them. */
const BASE = ['errors', 'util', 'config', 'telemetry', 'model'];
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  util: ['errors'],
  config: ['errors', 'util'],
  telemetry: ['errors', 'util'],
  sql: ['errors', 'util'],
  sqlite: ['errors', 'util'],
  model: ['errors', 'util'],
  protocol: BASE,
  mask: BASE,
  store: [...BASE, 'sqlite', 'protocol', 'mask'],
  changelog: [...BASE, 'sqlite', 'protocol', 'store', 'pubsub'],
  pubsub: BASE,
  fallback: [...BASE, 'sqlite', 'mask', 'store'],
  'fallback/live': [
    ...[...BASE, 'sqlite', 'protocol', 'store', 'changelog', 'pubsub'],
    ...['fallback', 'replication', 'service', 'replica'],
  ],
  'fallback/client': [...BASE, 'sqlite', 'store', 'service', 'fallback', 'fallback/live'],
  replication: [...BASE, 'protocol', 'store', 'changelog', 'pubsub'],
  service: [...BASE, 'sqlite', 'protocol', 'store', 'changelog', 'pubsub', 'fallback', 'replication'],
  api: [...BASE, 'protocol', 'store', 'service'],
  resolvers: [...BASE, 'protocol', 'store', 'service', 'api'],
  server: [...BASE, 'service', 'api'],
  'dr/graph': BASE,
  'dr/archive': [...BASE, 'dr/graph'],
  'dr/plan': [...BASE, 'sql', 'dr/graph', 'dr/archive'],
  'dr/dialect': [...BASE, 'sql', 'mask', 'dr/graph', 'dr/archive', 'dr/plan'],
  'dr/scheduler': [...BASE, 'dr/graph', 'dr/archive'],
  'dr/worker': [...BASE, 'sql', 'dr/graph', 'dr/plan', 'dr/archive', 'dr/dialect', 'dr/scheduler'],
  dr: [
    ...[...BASE, 'sql', 'mask'],
    ...['dr/graph', 'dr/plan', 'dr/archive', 'dr/dialect', 'dr/scheduler', 'dr/worker'],
  ],
  'dr/jobs': [...BASE, 'sql', 'dr', 'dr/graph', 'dr/archive', 'dr/dialect'],
  replica: [...BASE, 'sqlite', 'protocol', 'store', 'changelog', 'service'],
  roots: [],
};

const ROOT_FILES =
  /^(src\/(gateway|main|index|fallback\/index)\.ts|src\/gateway\/.+\.ts|src\/cli\/.+\.ts|replica\/(server|main)\.ts)$/;

/** Packages with a home: the only files that may import them. */
const HOMES: Readonly<Record<string, RegExp>> = {
  '@aws-sdk/client-s3': /^src\/dr\/archive\/s3-[a-z-]+\.ts$/,
  '@aws-sdk/lib-storage': /^src\/dr\/archive\/s3-[a-z-]+\.ts$/,
  'graphql-redis-subscriptions': /^src\/pubsub\/redis-[a-z-]+\.ts$/,
  ioredis: /^src\/(pubsub|changelog)\/redis-[a-z-]+\.ts$/,
  mongodb: /^src\/((store|changelog|fallback\/client)\/mongo-[a-z-]+|fallback\/index)\.ts$/,
  mysql2: /^src\/(sql|dr\/dialect)\/(mariadb|mysql)-[a-z-]+\.ts$/,
  pg: /^src\/(sql|dr\/dialect)\/postgres-[a-z-]+\.ts$/,
  sequelize: /^src\/sql\//,
  'node:sqlite': /^src\/sqlite\/(database|checkpoint-worker)\.ts$/,
  commander: /^src\/cli\//,
  dataloader: /^src\/(api|service)\//,
  fastify: /^src\/server\//,
  '@apollo/server': /^src\/server\//,
  '@as-integrations/fastify': /^src\/server\//,
  '@graphql-yoga/render-graphiql': /^src\/server\//,
  'graphql-jit': /^src\/server\//,
  'graphql-ws': /^(src\/server\/|replica\/client\.ts|src\/cli\/)/,
  ws: /^(src\/server\/|replica\/client\.ts|src\/cli\/)/,
  pino: /^src\/telemetry\/logger\.ts$/,
  'pino-pretty': /^src\/telemetry\/logger\.ts$/,
  pluralize: /^src\/model\/naming\.ts$/,
  'prom-client': /^src\/telemetry\/metrics\.ts$/,
  yaml: /^src\/config\/file\.ts$/,
};

const files = globSync(['src/**/*.ts', 'resolvers/**/*.ts', 'replica/**/*.ts'], { cwd: ROOT }).sort();
const imports = new Map(files.map((file) => [file, importsOf(file)]));

function importsOf(file: string): string[] {
  const text = readFileSync(join(ROOT, file), 'utf8');
  const found = text.matchAll(
    /^\s*(?:import|export)\b[^;'"]*?from\s+['"]([^'"]+)['"]|^import\s+['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/gm,
  );
  return [...found].map((match) => {
    const specifier = match[1] ?? match[2] ?? match[3] ?? '';
    return specifier.startsWith('.') ? join(dirname(file), specifier) : specifier;
  });
}

function layerOf(file: string): string | undefined {
  if (ROOT_FILES.test(file)) return 'roots';
  const part = /^src\/((?:dr|fallback)\/[a-z]+)\//.exec(file)?.[1];
  if (part !== undefined && part in LAYERS) return part;
  if (part?.startsWith('dr/')) return undefined;
  const name = /^(?:src\/)?([a-z]+)(?:\/|\.ts$)/.exec(file)?.[1] ?? '';
  return name in LAYERS ? name : undefined;
}

function packageOf(specifier: string): string {
  if (specifier.startsWith('node:')) return specifier;
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

/** Every edge between two files of the project. */
const edges = [...imports].flatMap(([from, targets]) =>
  targets.filter((to) => imports.has(to)).map((to) => ({ from, to })),
);

describe('architecture', () => {
  it('sees the files and their imports', () => {
    expect(files).toContain('src/errors.ts');
    expect(edges).toContainEqual({ from: 'src/config.ts', to: 'src/config/file.ts' });
    expect(imports.get('src/cli/commands.ts')).toContain('src/cli/start.ts');
  });

  it('puts every file into a layer', () => {
    expect(files.filter((file) => layerOf(file) === undefined)).toEqual([]);
  });

  it('imports only downwards', () => {
    const wrong = edges.filter(({ from, to }) => {
      const [source, target] = [layerOf(from) as string, layerOf(to) as string];
      return source !== target && source !== 'roots' && !(LAYERS[source] ?? []).includes(target);
    });
    expect(wrong.map(({ from, to }) => `${from} imports ${to}`)).toEqual([]);
  });

  it('imports files that exist', () => {
    const missing = [...imports].flatMap(([from, targets]) =>
      targets.filter((to) => to.endsWith('.ts') && !imports.has(to)).map((to) => `${from} imports ${to}`),
    );
    expect(missing).toEqual([]);
  });

  it('has no cycles between files', () => {
    expect(cycles()).toEqual([]);
  });

  it('never imports an index.ts inside the tree', () => {
    expect(edges.filter(({ to }) => /(^|\/)index\.ts$/.test(to))).toEqual([]);
  });

  it('imports a package only in its home', () => {
    const strangers = [...imports].flatMap(([file, targets]) =>
      targets.filter((to) => !(HOMES[packageOf(to)]?.test(file) ?? true)).map((to) => `${file} imports ${to}`),
    );
    expect(strangers).toEqual([]);
  });

  it('declares every package it imports as a dependency', () => {
    const { dependencies, peerDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>;
      peerDependencies: Record<string, string>;
    };
    const packages = [...imports.values()].flat().filter((to) => !to.endsWith('.ts') && !to.startsWith('node:'));
    const undeclared = packages.map(packageOf).filter((name) => !(name in dependencies || name in peerDependencies));
    expect([...new Set(undeclared)]).toEqual([]);
  });

  it('reads the environment only in src/config.ts', () => {
    const readers = files.filter((file) => /\bprocess\s*\.\s*env\b/.test(readFileSync(join(ROOT, file), 'utf8')));
    expect(readers).toEqual(['src/config.ts']);
  });
});

/** Cycles as lists of files, found depth first. */
function cycles(): string[][] {
  const done = new Set<string>();
  const found: string[][] = [];
  const visit = (file: string, path: string[]): void => {
    const start = path.indexOf(file);
    if (start >= 0) found.push([...path.slice(start), file]);
    if (start >= 0 || done.has(file)) return;
    for (const target of imports.get(file) ?? []) if (imports.has(target)) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
  return found;
}
