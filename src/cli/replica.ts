import { createReplica } from '../../replica/server.ts';
import { type CommandContext, ExitCode } from './command.ts';
import { untilStopped } from './lifetime.ts';
import { addressesOf, announce } from './ready.ts';

/** `holdfast replica`: follows and serves until it is told to stop. The ready line comes when it first serves. */
export async function replica({ config, terminal }: CommandContext): Promise<ExitCode> {
  const loaded = await config('replica');
  await using follower = await createReplica(loaded.config);
  const stopped = untilStopped(follower, terminal.note);
  // A replica that can never serve ends here, with the reason.
  await Promise.race([follower.ready.then(() => announce(addressesOf(follower), terminal)), stopped]);
  await stopped;
  return ExitCode.OK;
}
