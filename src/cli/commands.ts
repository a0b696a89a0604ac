import type { CommandDefinition } from './command.ts';

/** Every command. Its code is imported when it runs, so that `--help` answers at once. */
export const COMMANDS: readonly CommandDefinition[] = [
  {
    name: 'config print',
    summary: 'print the configuration with the origin of each value',
    options: [{ flags: '--role <role>', key: 'role', description: 'primary or replica' }],
    example: 'HOLDFAST_SERVER_PORT=5000 holdfast config print',
    load: async () => (await import('./config-print.ts')).configPrint,
  },
  {
    name: 'config validate',
    summary: 'check the configuration',
    options: [{ flags: '--role <role>', key: 'role', description: 'primary or replica' }],
    example: 'holdfast config validate --config holdfast.config.yaml',
    load: async () => (await import('./config-validate.ts')).configValidate,
  },
];

/** What a group of commands is about. */
export const GROUPS: Readonly<Record<string, string>> = {
  schema: 'work with SDL',
  config: 'look at the configuration',
};
