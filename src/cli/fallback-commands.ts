import type { CommandDefinition, CommandOption } from './command.ts';

const text = (given: string) => given;

const FROM: CommandOption = {
  flags: '--from <url>',
  description: 'the database: mongodb://… or sqlite:DIRECTORY (default: store.url, or the embedded store)',
};
const SCHEMA: CommandOption = {
  flags: '--schema <dir>',
  sets: { schema: text },
  description: 'directory of SDL files',
};
const DIR: CommandOption = {
  flags: '--out <dir>',
  sets: { 'fallback.datasets.dir': text },
  description: 'where datasets lie; each is a directory inside (default: ./datasets)',
};

const DATA: CommandOption = {
  flags: '--data <dir>',
  sets: { 'store.data': text },
  description: 'data directory of the gateway, with its embedded store and the key of its datasets',
};

/** The commands on datasets: masked samples that answer while the database is away, or that tests are made of. */
export const FALLBACK_DATASET_COMMANDS: readonly CommandDefinition[] = [
  {
    name: 'fallback refresh',
    summary: 'make a masked dataset of a database; exit 3 when documents were left out',
    options: [
      FROM,
      { flags: '--url <url>', description: 'ask this running process instead, e.g. http://127.0.0.1:4001/graphql' },
      { flags: '--token <token>', description: 'API token for it, or file:PATH (default: HOLDFAST_TOKEN)' },
      DIR,
      {
        flags: '--key-file <file>',
        sets: { 'fallback.datasets.keyFile': text },
        description: 'key that fakes are drawn with; made when missing',
      },
      DATA,
      {
        flags: '--ids <file>',
        description:
          'ids that must be in it, e.g. those read most: a JSON object of lists by entity, {"Teacher": ["t1"]}',
      },
      { flags: '--documents <number>', sets: { 'fallback.datasets.documents': text }, description: 'documents, about' },
      { flags: '--bytes <number>', sets: { 'fallback.datasets.bytes': text }, description: 'their size, about' },
      SCHEMA,
    ],
    example: 'holdfast fallback refresh --from mongodb://127.0.0.1:27017/school --schema ./schema --out ./datasets',
    load: async () => (await import('./fallback-refresh.ts')).fallbackRefresh,
  },
  {
    name: 'fallback check',
    summary:
      'compare a database with the schema, and the queries recorded with what copies answer; exit 3 when it drifted',
    options: [
      FROM,
      { ...DIR, flags: '--datasets <dir>' },
      { flags: '--sample <number>', description: 'documents of each collection to look at (default: 1000)' },
      DATA,
      SCHEMA,
    ],
    example: 'holdfast fallback check --from mongodb://127.0.0.1:27017/school --schema ./schema',
    load: async () => (await import('./fallback-check.ts')).fallbackCheck,
  },
];
