import { clientToken } from '../config.ts';
import { secretOf } from '../util/secrets.ts';

/**
 * The token a command shows to a running process: `--token`, else `HOLDFAST_TOKEN`; both may say `file:PATH`.
 * @throws CONFIG_INVALID when that file cannot be read
 */
export function clientTokenOf({ token }: Readonly<Record<string, unknown>>): string | undefined {
  if (typeof token === 'string') return secretOf('--token', token);
  const setting = clientToken();
  return setting && secretOf('HOLDFAST_TOKEN', setting);
}
