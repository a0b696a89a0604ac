import { Command, Option } from 'commander';
import { packageVersion } from '../util/package-version.ts';
import { type CommandContext, type CommandDefinition, ExitCode } from './command.ts';
import { COMMANDS, GROUPS } from './commands.ts';
import { createTerminal, type TerminalStreams } from './terminal.ts';

/** Runs the command line and resolves with the exit code; a server command resolves when it has stopped. */
export async function main(args: readonly string[], streams: TerminalStreams = process): Promise<ExitCode> {
  // What is on the command line can be seen by every user of the machine.
  if (args.some((arg) => /^--token(=|$)/.test(arg))) process.title = ['holdfast', ...masked(args)].join(' ');
  const outcome = { code: ExitCode.OK as ExitCode };
  const program = buildProgram(streams, (code) => {
    outcome.code = code;
  });
  try {
    await program.parseAsync(args, { from: 'user' });
    return outcome.code;
  } catch (error) {
    const { report } = await import('./report.ts');
    return report(error, createTerminal(args.includes('--json'), streams));
  }
}

/** The arguments without tokens. */
function masked(args: readonly string[]): string[] {
  return args.map((arg, i) => (args[i - 1] === '--token' ? '***' : arg.replace(/^--token=.*/, '--token=***')));
}

function buildProgram(streams: TerminalStreams, end: (code: ExitCode) => void): Command {
  const program = new Command('holdfast')
    .description('A GraphQL gateway that holds when its database does not.')
    .version(packageVersion(), '--version')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void streams.stdout.write(text),
      writeErr: (text) => void streams.stderr.write(text),
    })
    .showHelpAfterError('(--help shows what there is)')
    .addHelpText('after', '\nExit codes: 0 ok, 1 failed, 2 usage or configuration, 3 works but something is wrong.');
  const groups = new Map<string, Command>([['', program]]);
  for (const definition of COMMANDS) addCommand(groups, definition, streams, end);
  return program;
}

function addCommand(
  groups: Map<string, Command>,
  definition: CommandDefinition,
  streams: TerminalStreams,
  end: (code: ExitCode) => void,
): void {
  const words = definition.name.split(' ');
  const last = words.pop() as string;
  const command = groupOf(groups, words.join(' ')).command(last);
  groups.set(definition.name, command);
  if (definition.arguments !== undefined) command.arguments(definition.arguments);
  command
    .description(definition.summary)
    .option('--config <file>', 'configuration file (default: holdfast.config.{yaml,json,ts})')
    .option('--json', 'write one JSON document to stdout')
    .addHelpText('after', `\nExample:\n  ${definition.example}`);
  for (const { flags, description, default: initial, conflicts } of definition.options) {
    const option = new Option(flags, description);
    if (initial !== undefined) option.default(initial);
    if (conflicts !== undefined) option.conflicts(conflicts);
    command.addOption(option);
  }
  command.action(async () => {
    const run = await definition.load();
    end(await run(contextOf(definition, command, streams)));
  });
}

function groupOf(groups: Map<string, Command>, name: string): Command {
  const known = groups.get(name);
  if (known !== undefined) return known;
  const group = (groups.get('') as Command).command(name).description(GROUPS[name] ?? '');
  groups.set(name, group);
  return group;
}

function contextOf(definition: CommandDefinition, command: Command, streams: TerminalStreams): CommandContext {
  // A command with subcommands shares --json and --config with them: commander gives the value to the outer one.
  const options = command.optsWithGlobals<Record<string, unknown>>();
  return {
    arguments: command.processedArgs,
    options,
    terminal: createTerminal(options.json === true, streams),
    async config(role) {
      const { loadConfig } = await import('../config.ts');
      const flags = definition.options.flatMap(({ flags, sets = {} }) => {
        const { name, long } = nameOf(flags);
        const given = options[name];
        if (typeof given !== 'string') return [];
        return Object.entries(sets).map(([path, value]) => ({ path, value: value(given), flag: long }));
      });
      return loadConfig({ file: options.config as string | undefined, role, flags });
    },
  };
}

function nameOf(flags: string): { name: string; long: string } {
  const option = new Option(flags);
  return { name: option.attributeName(), long: option.long as string };
}
