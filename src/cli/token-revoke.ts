import { type CommandContext, ExitCode } from './command.ts';
import { openTokenAdmin } from './token-admin.ts';

/** `holdfast token revoke ID`. */
export async function tokenRevoke(context: CommandContext): Promise<ExitCode> {
  const [id] = context.arguments as [string];
  const token = await (await openTokenAdmin(context)).revoke(id);
  context.terminal.result(token, `token ${token.id} of ${token.name} is revoked since ${token.revokedAt}`);
  return ExitCode.OK;
}
