import { type CommandContext, ExitCode } from './command.ts';
import { configuredModel } from './sdl.ts';

/** `holdfast schema check`: every mistake in the SDL is in the error. */
export async function schemaCheck({ config, terminal }: CommandContext): Promise<ExitCode> {
  const model = configuredModel((await config()).config);
  const names = model.entities.map((entity) => entity.name);
  const value = { valid: true, entities: names, sdlHash: model.sdlHash };
  terminal.result(value, `valid: ${names.length} ${names.length === 1 ? 'entity' : 'entities'} (${names.join(', ')})`);
  return ExitCode.OK;
}
