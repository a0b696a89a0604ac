import type { Writable } from 'node:stream';

/** Where a command writes. Results go to stdout, everything else to stderr. */
export interface Terminal {
  /** `--json`: stdout carries exactly one JSON document. */
  readonly json: boolean;
  /** Someone watches stderr: progress may be drawn over. */
  readonly interactive: boolean;
  /** Writes the command's result: `text`, or `value` with `--json`. Called once. */
  result(value: unknown, text: string): void;
  /** Writes a line for people to stderr. */
  note(text: string): void;
  /** Draws over the last line of stderr; only when interactive. */
  redraw(text: string): void;
}

export interface TerminalStreams {
  readonly stdout: Writable;
  readonly stderr: Writable & { readonly isTTY?: boolean };
}

/** A terminal over the process's own streams, or others. */
export function createTerminal(json: boolean, streams: TerminalStreams = process): Terminal {
  const { stdout, stderr } = streams;
  const interactive = stderr.isTTY === true;
  let drawn = false;
  const clear = () => {
    if (drawn) stderr.write('\r\u001b[K');
    drawn = false;
  };
  return {
    json,
    interactive,
    result(value, text) {
      clear();
      stdout.write(json ? `${JSON.stringify(value)}\n` : text === '' || text.endsWith('\n') ? text : `${text}\n`);
    },
    note(text) {
      clear();
      stderr.write(`${text}\n`);
    },
    redraw(text) {
      if (!interactive) return;
      clear();
      stderr.write(text);
      drawn = true;
    },
  };
}
