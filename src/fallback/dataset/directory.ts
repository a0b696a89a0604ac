import { namesIn } from '../../util/directory.ts';

const VERSION = /^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}Z$/;
const DRAFT = /^\.draft-(\d+)-/;

/** Names of the datasets in a directory, the newest first; none when there is no such directory. */
export function versionsOf(directory: string): string[] {
  return namesIn(directory)
    .filter((name) => VERSION.test(name))
    .sort()
    .reverse();
}

/** The name of the dataset that was captured at an ISO 8601 time. */
export function versionNameOf(capturedAt: string): string {
  return capturedAt.replaceAll(':', '-');
}

/** The name under which this process makes it. */
export function draftNameOf(capturedAt: string): string {
  return `.draft-${process.pid}-${versionNameOf(capturedAt)}`;
}

/** Names of the drafts that processes left which are no more. */
export function abandonedDrafts(directory: string): string[] {
  return namesIn(directory).filter((name) => {
    const pid = Number(DRAFT.exec(name)?.[1] ?? process.pid);
    return pid !== process.pid && !isAlive(pid);
  });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
