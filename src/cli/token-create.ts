import { ACCESS_ROLES, type AccessRole } from '../config.ts';
import { drawToken, tokenHash, tokenId } from '../service/token.ts';
import { type CommandContext, ExitCode, UsageError } from './command.ts';
import { openTokenAdmin } from './token-admin.ts';

const UNITS_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `holdfast token create`: the token is the only thing on stdout, and is told only now. */
export async function tokenCreate(context: CommandContext): Promise<ExitCode> {
  const { options, terminal } = context;
  const { name } = options;
  if (typeof name !== 'string') throw new UsageError('name who will hold the token: --name NAME');
  const roles = rolesOf(options.role);
  const expiresAt = options.expires === undefined ? null : momentOf(String(options.expires), Date.now());
  if (options.entry === true) {
    const secret = drawToken();
    const hash = tokenHash(secret);
    const entry = { name, hash, roles, ...(expiresAt === null ? {} : { expiresAt }) };
    terminal.note(`nothing was stored; an entry for auth.tokens:\n${JSON.stringify(entry)}`);
    terminal.result({ secret, id: tokenId(hash), entry }, secret);
    return ExitCode.OK;
  }
  const admin = await openTokenAdmin(context);
  const { token, secret } = await admin.create({ name, roles, expiresAt });
  const until = token.expiresAt === null ? 'does not expire' : `until ${token.expiresAt}`;
  terminal.note(`token ${token.id} for ${token.name} (${token.roles.join(', ')}), ${until}; it is shown only now:`);
  terminal.result({ secret, ...token }, secret);
  return ExitCode.OK;
}

function rolesOf(given: unknown): readonly AccessRole[] {
  if (!Array.isArray(given)) throw new UsageError(`say what it may: --role ${ACCESS_ROLES.join('|')}`);
  return given.map((text) => {
    const role = ACCESS_ROLES.find((known) => known === text);
    if (role === undefined) throw new UsageError(`${text} is no role; there are ${ACCESS_ROLES.join(', ')}`);
    return role;
  });
}

/** `30d`, or a date, as ISO 8601. */
function momentOf(text: string, nowMs: number): string {
  const [, count, unit = ''] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const atMs = count === undefined ? Date.parse(text) : nowMs + Number(count) * (UNITS_MS[unit] ?? 0);
  if (!Number.isFinite(atMs)) throw new UsageError(`${text} is no time: write 30d, 12h, or a date like 2030-01-31`);
  if (atMs <= nowMs) throw new UsageError(`--expires ${text} is not in the future`);
  return new Date(atMs).toISOString();
}
