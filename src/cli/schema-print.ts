import { printSchema } from 'graphql';
import { buildSchema } from '../api/schema.ts';
import { printModel } from '../model/print.ts';
import { type CommandContext, ExitCode } from './command.ts';
import { configuredModel } from './sdl.ts';

/** `holdfast schema print`: the API as clients see it, or the SDL it comes from. */
export async function schemaPrint({ config, options, terminal }: CommandContext): Promise<ExitCode> {
  const model = configuredModel((await config()).config);
  const text = options.source === true ? printModel(model) : printSchema(buildSchema(model));
  terminal.result({ schema: text }, text);
  return ExitCode.OK;
}
