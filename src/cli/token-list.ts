import type { TokenInfo } from '../service/access.ts';
import { type CommandContext, ExitCode } from './command.ts';
import { table } from './table.ts';
import { openTokenAdmin } from './token-admin.ts';

/** `holdfast token list`: what is known of each token; never the token itself. */
export async function tokenList(context: CommandContext): Promise<ExitCode> {
  const tokens = await (await openTokenAdmin(context)).list();
  const rows = tokens.map((token) => {
    const { id, name, roles, origin, createdAt, lastUsedAt } = token;
    return [id, name, roles.join(','), stateOf(token), createdAt ?? '-', lastUsedAt ?? '-', origin.toLowerCase()];
  });
  const headings = ['id', 'name', 'roles', 'state', 'created', 'last used here', 'made'];
  context.terminal.result({ tokens }, rows.length === 0 ? 'no tokens' : table(headings, rows));
  return ExitCode.OK;
}

function stateOf({ expiresAt, revokedAt }: TokenInfo): string {
  if (revokedAt !== null) return `revoked ${revokedAt}`;
  if (expiresAt === null) return 'valid';
  return `${Date.parse(expiresAt) > Date.now() ? 'valid until' : 'expired'} ${expiresAt}`;
}
