import { createGateway } from '../gateway.ts';
import { type CommandContext, ExitCode } from './command.ts';
import { Lifetime } from './lifetime.ts';
import { addressesOf, announce } from './ready.ts';

/** `holdfast start`: serves until it is told to stop. */
export async function start({ config, terminal }: CommandContext): Promise<ExitCode> {
  using lifetime = new Lifetime(terminal.note);
  const loaded = await config('primary');
  await using gateway = await createGateway(loaded.config);
  announce(addressesOf(gateway), terminal);
  await lifetime.over;
  return ExitCode.OK;
}
