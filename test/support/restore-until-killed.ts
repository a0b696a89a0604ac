import { restore } from '../../src/dr/restore.ts';
import { armFailpoint } from '../../src/util/failpoint.ts';

/** Arguments: archive, target, mode, failpoint. Resumes a restore in a process of its own, which the failpoint kills. */
const [from = '', target = '', mode = 'full', spec = ''] = process.argv.slice(2);
armFailpoint(spec);
await restore({ from, target, mode: mode === 'data' ? 'data' : 'full', resume: true });
