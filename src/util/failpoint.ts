let armed: { readonly name: string; left: number } | undefined;

/**
 * Arms one failpoint: `name` or `name:N` kills this process with SIGKILL when the N-th (default first) call of
 * {@link failpoint} with that name is reached. For tests of crash safety; null disarms.
 */
export function armFailpoint(spec: string | null): void {
  if (spec === null) {
    armed = undefined;
    return;
  }
  const [name = '', count = '1'] = spec.split(':');
  armed = { name, left: Number(count) };
}

/** A named place between two steps that must survive a crash. Free unless it is armed. */
export function failpoint(name: string): void {
  if (armed === undefined || armed.name !== name) return;
  armed.left -= 1;
  if (armed.left <= 0) process.kill(process.pid, 'SIGKILL');
}
