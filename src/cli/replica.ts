import { createReplica } from '../../replica/server.ts';
import { type CommandContext, ExitCode } from './command.ts';
import { Lifetime } from './lifetime.ts';
import { addressesOf, announce } from './ready.ts';

/** `holdfast replica`: follows and serves until it is told to stop. The ready line comes when it first serves. */
export async function replica({ config, terminal }: CommandContext): Promise<ExitCode> {
  using lifetime = new Lifetime(terminal.note);
  const loaded = await config('replica');
  await using follower = await createReplica(loaded.config);
  const announced = follower.ready.then(() => announce(addressesOf(follower), terminal));
  // A replica that can never serve ends here, with the reason.
  await Promise.race([announced.then(() => lifetime.over), lifetime.over]);
  return ExitCode.OK;
}
