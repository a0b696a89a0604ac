import type { CommandDefinition, CommandOption } from './command.ts';

const text = (given: string) => given;

const FROM: CommandOption = { flags: '--from <place>', description: 'the archive: a directory or s3://bucket/prefix' };
const DIR: CommandOption = {
  flags: '--dir <place>',
  sets: { 'dr.dir': text },
  description: 'where the archives lie: a directory or s3://bucket/prefix (default: dr.dir)',
};
const WORKERS: CommandOption = {
  flags: '--workers <number>',
  sets: { 'dr.workers': text },
  description: 'how much is done at once (default: dr.workers, or the number of processors)',
};
const KEY_FILE: CommandOption = {
  flags: '--key-file <file>',
  sets: { 'dr.keyFile': text },
  description: 'file with the key of encrypted archives: 32 bytes, hexadecimal or base64',
};
const SOURCE: CommandOption = {
  flags: '--source <url>',
  description: 'the database, e.g. postgres://user@host/database, or a name of dr.sources',
};
const TARGET: CommandOption = {
  flags: '--target <url>',
  description: 'the database to write, e.g. postgres://user@host/database, or a name of dr.sources',
};
const TABLES: CommandOption = {
  flags: '--tables <names>',
  description: 'only these tables, by comma, with those they depend on',
};

/** The commands `holdfast dr …`. */
export const DR_COMMANDS: readonly CommandDefinition[] = [
  {
    name: 'dr backup',
    summary: 'back up a database with several workers, in one consistent snapshot',
    options: [
      SOURCE,
      { flags: '--out <place>', description: 'the new archive: an empty or absent directory, or s3://bucket/prefix' },
      WORKERS,
      {
        flags: '--suffix <table=sql...>',
        description: "rows to select: 'users=WHERE t.id = 1'; the table is t, INNER JOIN may come first",
      },
      { flags: '--closure', description: 'with a suffix: only selected rows and every row they refer to' },
      TABLES,
      { flags: '--compress <method>', description: 'none, zstd or zstd:LEVEL', default: 'zstd' },
      { flags: '--format <format>', description: 'of rows on PostgreSQL: auto, text or binary', default: 'auto' },
      { flags: '--allow-unsupported', description: 'leave out objects that cannot be kept, instead of failing' },
      KEY_FILE,
    ],
    example: 'holdfast dr backup --source postgres://app@127.0.0.1/shop --out ./backups/monday --workers 4',
    load: async () => (await import('./dr-backup.ts')).drBackup,
  },
  {
    name: 'dr restore',
    summary: 'restore a backup; nothing is ever dropped or overwritten',
    options: [
      FROM,
      TARGET,
      WORKERS,
      {
        flags: '--mode <mode>',
        description: 'full: into a database without objects; data: rows into tables that exist and are empty',
        default: 'full',
      },
      TABLES,
      {
        flags: '--confirm <database>',
        description: "the target database's name, as a check; with --mode data rows may then be appended",
      },
      { flags: '--resume', description: 'go on with an interrupted restore of the same backup' },
      KEY_FILE,
    ],
    example: 'holdfast dr restore --from ./backups/monday --target postgres://app@127.0.0.1/shop_copy --workers 4',
    load: async () => (await import('./dr-restore.ts')).drRestore,
  },
  {
    name: 'dr verify',
    summary: 'prove that an archive can be relied on; the report is kept in it',
    options: [
      FROM,
      {
        flags: '--level <level>',
        description: 'quick: every file; deep: every row besides; drill: restore into a scratch database and compare',
        default: 'deep',
      },
      {
        ...TARGET,
        description: 'for a drill: a database of the server to restore on; the scratch database lies beside it',
      },
      WORKERS,
      KEY_FILE,
    ],
    example: 'holdfast dr verify --from ./backups/monday --level deep',
    load: async () => (await import('./dr-verify.ts')).drVerify,
  },
  {
    name: 'dr list',
    summary: 'list the archives in a place',
    options: [DIR],
    example: 'holdfast dr list --dir ./backups',
    load: async () => (await import('./dr-list.ts')).drList,
  },
  {
    name: 'dr show',
    summary: 'show what an archive holds, table by table',
    options: [FROM, KEY_FILE],
    example: 'holdfast dr show --from ./backups/monday',
    load: async () => (await import('./dr-show.ts')).drShow,
  },
  {
    name: 'dr graph',
    summary: 'show how the tables of a database depend on each other',
    options: [SOURCE, { flags: '--format <format>', description: 'text, json or dot (Graphviz)', default: 'text' }],
    example: 'holdfast dr graph --source postgres://app@127.0.0.1/shop --format dot',
    load: async () => (await import('./dr-graph.ts')).drGraph,
  },
  {
    name: 'dr prune',
    summary: 'remove old archives; of each database, and of each selection from it, the newest stay',
    options: [
      DIR,
      { flags: '--keep <number>', description: 'how many of each stay' },
      { flags: '--dry-run', description: 'only tell what would be removed' },
    ],
    example: 'holdfast dr prune --dir ./backups --keep 7 --dry-run',
    load: async () => (await import('./dr-prune.ts')).drPrune,
  },
];
