import { type CommandContext, ExitCode } from './command.ts';

/** `holdfast config validate`. */
export async function configValidate({ config, terminal }: CommandContext): Promise<ExitCode> {
  const { file } = await config();
  terminal.result(
    { valid: true, file: file ?? null },
    `valid${file === undefined ? ' (no file: defaults, environment)' : `: ${file}`}`,
  );
  return ExitCode.OK;
}
