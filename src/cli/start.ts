import { createGateway } from '../gateway.ts';
import { type CommandContext, ExitCode } from './command.ts';
import { untilStopped } from './lifetime.ts';
import { addressesOf, announce } from './ready.ts';

/** `holdfast start`: serves until it is told to stop. */
export async function start({ config, terminal }: CommandContext): Promise<ExitCode> {
  const loaded = await config('primary');
  const gateway = await createGateway(loaded.config);
  announce(addressesOf(gateway), terminal);
  await untilStopped(gateway, terminal.note);
  return ExitCode.OK;
}
