import type { CommandDefinition, CommandOption } from './command.ts';
import { DR_COMMANDS } from './dr-commands.ts';
import { FALLBACK_DATASET_COMMANDS } from './fallback-commands.ts';

const text = (given: string) => given;

const PORT: CommandOption = {
  flags: '--port <number>',
  sets: { 'server.port': text },
  description: 'data port; 0 for any free one',
};
const OPS_PORT: CommandOption = {
  flags: '--ops-port <number>',
  sets: { 'server.opsPort': text },
  description: 'ops port; 0 for any free one',
};
const SCHEMA: CommandOption = {
  flags: '--schema <dir>',
  sets: { schema: text },
  description: 'directory of SDL files',
};
const PRIMARY: CommandOption = {
  flags: '--primary <urls>',
  sets: { 'replica.primary': text },
  description: 'websocket URL of the primary, or several of one database, by comma',
};
const PRIMARY_DATA: CommandOption = {
  flags: '--data <dir>',
  sets: { 'store.data': text },
  description: 'directory of the embedded store, or of the copy of a database server',
};
const REPLICA_DATA: CommandOption = {
  flags: '--data <dir>',
  sets: { 'replica.data': text },
  description: 'directory of the copy',
};
const OPS_URL: CommandOption = {
  flags: '--url <url>',
  description: 'ops endpoint of the running process (default: http://127.0.0.1:4001/graphql)',
};
const REPLICA_OPS_URL: CommandOption = {
  flags: '--url <url>',
  description: 'ops endpoint of the replica (default: http://127.0.0.1:4011/graphql)',
};

const TOKEN: CommandOption = {
  flags: '--token <token>',
  description: 'API token, or file:PATH (default: HOLDFAST_TOKEN)',
};
/** Where tokens are: the directory of a node, or a running one. */
const TOKEN_PLACE: readonly CommandOption[] = [
  {
    flags: '--data <dir>',
    sets: { 'store.data': text, 'replica.data': text },
    conflicts: 'url',
    description: 'data directory of the node, which may be running',
  },
  { flags: '--url <url>', description: 'ops endpoint of the running node, e.g. http://127.0.0.1:4001/graphql' },
  TOKEN,
];

/** Every command. Its code is imported when it runs, so that `--help` answers at once. */
export const COMMANDS: readonly CommandDefinition[] = [
  {
    name: 'start',
    summary: 'serve the data as a primary',
    options: [
      PORT,
      OPS_PORT,
      PRIMARY_DATA,
      {
        flags: '--store <url>',
        sets: { 'store.url': text },
        description: 'database, e.g. mongodb://127.0.0.1:27017/school',
      },
      {
        flags: '--redis <url>',
        sets: { 'changeLog.redis': text },
        description: 'Redis that spares the database its readers, e.g. redis://127.0.0.1:6379',
      },
      SCHEMA,
    ],
    example: 'holdfast start --schema ./schema --data ./data',
    load: async () => (await import('./start.ts')).start,
  },
  {
    name: 'replica',
    summary: 'follow a primary and serve its data',
    options: [
      PRIMARY,
      {
        flags: '--token <token>',
        sets: { 'replica.token': text },
        description: 'API token of role replica, or file:PATH (also HOLDFAST_REPLICA_TOKEN)',
      },
      ...[PORT, OPS_PORT, REPLICA_DATA, SCHEMA],
    ],
    example: 'holdfast replica --primary ws://127.0.0.1:4000/graphql --data ./data-replica',
    load: async () => (await import('./replica.ts')).replica,
  },
  {
    name: 'fallback status',
    summary: 'what answers in place of the database, and past outages; exit 3 while the database is away',
    options: [OPS_URL, TOKEN],
    example: 'holdfast fallback status --url http://127.0.0.1:4001/graphql',
    load: async () => (await import('./fallback-status.ts')).fallbackStatus,
  },
  {
    name: 'fallback force',
    arguments: '[scope]',
    summary: 'keep everything, a collection or things:READ from the database, for maintenance or a drill',
    options: [OPS_URL, TOKEN, { flags: '--closed', description: 'send it to the database instead, whatever happens' }],
    example: 'holdfast fallback force things:READ',
    load: async () => (await import('./fallback-status.ts')).fallbackForce,
  },
  {
    name: 'fallback release',
    arguments: '[scope]',
    summary: 'let a scope that was forced decide itself again',
    options: [OPS_URL, TOKEN],
    example: 'holdfast fallback release things:READ',
    load: async () => (await import('./fallback-status.ts')).fallbackRelease,
  },
  {
    name: 'journal list',
    summary: 'writes that wait for the database, or for somebody to decide; exit 3 when there are any of the latter',
    options: [
      ...[OPS_URL, TOKEN],
      { flags: '--state <state>', description: 'only these: waiting, replayed, conflict, held or discarded' },
      { flags: '--first <number>', description: 'at most so many (default: 100)' },
      { flags: '--after <id>', description: 'only those after this one' },
    ],
    example: 'holdfast journal list --state conflict',
    load: async () => (await import('./journal.ts')).journalList,
  },
  {
    name: 'journal replay',
    arguments: '[id]',
    summary: 'replay an entry that is held or in conflict; without an id all that are held',
    options: [OPS_URL, TOKEN],
    example: 'holdfast journal replay 17',
    load: async () => (await import('./journal.ts')).journalReplay,
  },
  {
    name: 'journal discard',
    arguments: '<id>',
    summary: 'give an entry up for good: what it would have written is lost, and shown',
    options: [OPS_URL, TOKEN],
    example: 'holdfast journal discard 17',
    load: async () => (await import('./journal.ts')).journalDiscard,
  },
  {
    name: 'replica verify',
    summary: 'compare a replica with its primary; exit 3 when they differ',
    options: [
      REPLICA_OPS_URL,
      TOKEN,
      { flags: '--deep', description: 'read every document again instead of trusting digests' },
    ],
    example: 'holdfast replica verify --url http://127.0.0.1:4011/graphql',
    load: async () => (await import('./replica-verify.ts')).replicaVerify,
  },
  {
    name: 'replica resync',
    summary: 'repair a replica document by document',
    options: [
      REPLICA_OPS_URL,
      TOKEN,
      { flags: '--force', description: 'also after a fork: changes that only the replica has are given up' },
    ],
    example: 'holdfast replica resync --url http://127.0.0.1:4011/graphql',
    load: async () => (await import('./replica-resync.ts')).replicaResync,
  },
  {
    name: 'replica promote',
    summary: 'make a replica the primary; the former one takes no more writes once it hears of it',
    options: [
      REPLICA_OPS_URL,
      TOKEN,
      { flags: '--force', description: 'also when documents may be missing, or a fork is undecided' },
    ],
    example: 'holdfast replica promote --url http://127.0.0.1:4011/graphql',
    load: async () => (await import('./replica-promote.ts')).replicaPromote,
  },
  {
    name: 'demo',
    summary: 'run a primary and a replica with example data',
    options: [
      PORT,
      OPS_PORT,
      PRIMARY_DATA,
      { flags: '--replica-port <number>', description: 'data port of the replica', default: '4010' },
      { flags: '--replica-ops-port <number>', description: 'ops port of the replica', default: '4011' },
      { flags: '--replica-data <dir>', sets: { 'replica.data': text }, description: 'directory of the copy' },
    ],
    example: 'holdfast demo',
    load: async () => (await import('./demo.ts')).demo,
  },
  {
    name: 'import',
    summary: 'read documents from JSON, JSON Lines or MongoDB extended JSON; exit 3 when lines were refused',
    arguments: '<entity> <file>',
    options: [
      {
        flags: '--to <url>',
        description: 'GraphQL endpoint of a running gateway (default: http://127.0.0.1:4000/graphql)',
      },
      {
        ...PRIMARY_DATA,
        conflicts: 'to',
        description: 'write into this directory instead; no process may be using it',
      },
      TOKEN,
      SCHEMA,
    ],
    example: 'holdfast import Teacher teachers.jsonl --to http://127.0.0.1:4000/graphql',
    load: async () => (await import('./import.ts')).importDocuments,
  },
  {
    name: 'schema infer',
    summary: 'write the SDL that documents suggest',
    options: [
      { flags: '--from <source...>', description: 'files of documents, one per collection, or a mongodb:// URL' },
      { flags: '--sample <count>', description: 'documents of a collection of a database to look at (default: 10000)' },
    ],
    example: 'holdfast schema infer --from teachers.jsonl > schema/teachers.graphql',
    load: async () => (await import('./schema-infer.ts')).schemaInfer,
  },
  {
    name: 'schema print',
    summary: 'print the GraphQL API that the SDL gives',
    options: [SCHEMA, { flags: '--source', description: 'print the SDL it comes from, in one layout' }],
    example: 'holdfast schema print --schema ./schema',
    load: async () => (await import('./schema-print.ts')).schemaPrint,
  },
  {
    name: 'schema check',
    summary: 'list every mistake in the SDL',
    options: [SCHEMA],
    example: 'holdfast schema check --schema ./schema',
    load: async () => (await import('./schema-check.ts')).schemaCheck,
  },
  {
    name: 'schema diff',
    summary: 'list what changes for documents and clients; exit 3 when something breaks them',
    arguments: '<old> [new]',
    options: [SCHEMA],
    example: 'holdfast schema diff ./schema-before ./schema',
    load: async () => (await import('./schema-diff.ts')).schemaDiff,
  },
  {
    name: 'token create',
    summary: 'make an API token; it is shown only once',
    options: [
      { flags: '--name <name>', description: 'who will hold it' },
      { flags: '--role <role...>', description: 'reader, writer, replica, operator or admin; several may be given' },
      { flags: '--expires <time>', description: 'until when it is accepted: 30d, 12h, or a date (default: for ever)' },
      { flags: '--entry', description: 'store nothing; print an entry for auth.tokens of the configuration' },
      ...TOKEN_PLACE,
    ],
    example: 'holdfast token create --name reports --role reader --expires 30d --data ./data',
    load: async () => (await import('./token-create.ts')).tokenCreate,
  },
  {
    name: 'token list',
    summary: 'list the tokens that a node knows',
    options: TOKEN_PLACE,
    example: 'holdfast token list --data ./data',
    load: async () => (await import('./token-list.ts')).tokenList,
  },
  {
    name: 'token revoke',
    summary: 'take a token back',
    arguments: '<id>',
    options: TOKEN_PLACE,
    example: 'holdfast token revoke 9f86d081884c7d65 --data ./data',
    load: async () => (await import('./token-revoke.ts')).tokenRevoke,
  },
  ...DR_COMMANDS,
  ...FALLBACK_DATASET_COMMANDS,
  {
    name: 'config print',
    summary: 'print the configuration with the origin of each value',
    options: [{ flags: '--role <role>', sets: { role: text }, description: 'primary or replica' }],
    example: 'HOLDFAST_SERVER_PORT=5000 holdfast config print',
    load: async () => (await import('./config-print.ts')).configPrint,
  },
  {
    name: 'config validate',
    summary: 'check the configuration',
    options: [{ flags: '--role <role>', sets: { role: text }, description: 'primary or replica' }],
    example: 'holdfast config validate --config holdfast.config.yaml',
    load: async () => (await import('./config-validate.ts')).configValidate,
  },
  {
    name: 'status',
    summary: 'ask a running process how it is; exit 3 when degraded',
    options: [OPS_URL, TOKEN],
    example: 'holdfast status --url http://127.0.0.1:4001/graphql',
    load: async () => (await import('./status.ts')).status,
  },
  {
    name: 'doctor',
    summary: 'look for what would keep Holdfast from working here',
    options: [
      { flags: '--role <role>', sets: { role: text }, description: 'primary or replica' },
      PRIMARY,
      PORT,
      OPS_PORT,
      { flags: '--data <dir>', sets: { 'store.data': text, 'replica.data': text }, description: 'data directory' },
      SCHEMA,
      {
        flags: '--drill <fault>',
        description:
          'for staging: a proxy that lets MongoDB fail: refuse, hang-before, hang-after, reset, drip[:ms], delay[:ms], drop, error[:code]',
      },
      { flags: '--store <url>', sets: { 'store.url': text }, description: 'of a drill: the server behind the proxy' },
      { flags: '--listen <port>', description: 'of a drill: port of the proxy (default: any free one)' },
      { flags: '--for <seconds>', description: 'of a drill: when it ends by itself (default: 60, at most 3600)' },
      { flags: '--collections <names>', description: 'of a drill: only these, by comma' },
      { flags: '--commands <names>', description: 'of a drill: only these commands, by comma, e.g. find,update' },
    ],
    example: 'holdfast doctor',
    load: async () => (await import('./doctor.ts')).doctor,
  },
];

/** What a group of commands is about. */
export const GROUPS: Readonly<Record<string, string>> = {
  schema: 'work with SDL',
  token: 'give and take API tokens',
  dr: 'back up and restore relational databases',
  fallback: 'what answers while the database is away',
  journal: 'writes that wait while the database is away',
  config: 'look at the configuration',
};
