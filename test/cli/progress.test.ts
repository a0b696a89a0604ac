import { expect, it } from 'vitest';
import { Progress } from '../../src/cli/progress.ts';
import type { Terminal } from '../../src/cli/terminal.ts';

function progress(interactive: boolean) {
  const lines: string[] = [];
  const clock = { now: 0 };
  const terminal: Terminal = {
    json: false,
    interactive,
    result: () => undefined,
    note: (text) => lines.push(text),
    redraw: (text) => lines.push(`~${text}`),
  };
  const shown = new Progress(terminal, () => clock.now);
  return {
    lines,
    at: (ms: number, done: number) => {
      clock.now = ms;
      shown.show(done, `${done} done`);
    },
  };
}

it('shows nothing of short work', () => {
  const { lines, at } = progress(true);
  at(0, 0);
  at(1_999, 0.9);
  expect(lines).toEqual([]);
});

it('draws a bar on a terminal, at most ten times a second', () => {
  const { lines, at } = progress(true);
  at(2_000, 0.5);
  at(2_050, 0.51);
  at(2_100, 1);
  expect(lines).toEqual([`~[${'#'.repeat(15)}${' '.repeat(15)}] 50 %  0.5 done`, `~[${'#'.repeat(30)}] 100 %  1 done`]);
});

it('writes a plain line every five seconds elsewhere', () => {
  const { lines, at } = progress(false);
  for (let ms = 0; ms <= 12_500; ms += 500) at(ms, ms / 20_000);
  expect(lines).toEqual(['10 %  0.1 done', '35 %  0.35 done', '60 %  0.6 done']);
});
