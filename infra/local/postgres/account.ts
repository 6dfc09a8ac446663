import { accessSync, constants, statSync } from 'node:fs';
import path from 'node:path';
import { startError } from '../process/child.ts';

/**
 * Under which account PostgreSQL runs, and how a command is started under it.
 * PostgreSQL refuses to run as root, so root lends it `nobody`; anybody else runs it himself.
 */
export type Account = {
  /** Numeric id (user and group) that must own the data directory; absent: our own. */
  owner?: number;
  /** The same id, when the child is to be started under it by `spawn`. */
  spawnAs?: { uid: number; gid: number };
  /** Words to put before the command. */
  prefix: string[];
};

const NOBODY = 65534;
const SETPRIV = '/usr/bin/setpriv';

/**
 * Chooses the account for processes that must reach `paths`. Directories like `/root` (mode 0700) keep `nobody`
 * out: there the processes keep one capability, to pass directories, if util-linux is installed.
 */
export function chooseAccount(paths: string[]): Account {
  if (process.getuid?.() !== 0) return { prefix: [] };
  const closed = paths.map(closedAncestor).find((ancestor) => ancestor !== undefined);
  if (closed === undefined) return { owner: NOBODY, spawnAs: { uid: NOBODY, gid: NOBODY }, prefix: [] };
  try {
    accessSync(SETPRIV, constants.X_OK);
  } catch (cause) {
    throw startError(
      'PostgreSQL',
      `it cannot run as root, and the account "nobody" may not enter ${closed}; ` +
        `move the project to a directory that everybody may enter, or run as an ordinary user`,
      cause,
    );
  }
  const ids = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];
  // Containers grant dac_override by default, the narrower dac_read_search they do not. Without the secure bit the
  // kernel ignores capabilities in access(2), by which initdb looks for its sibling binaries.
  const capability = [
    '--inh-caps=+dac_override',
    '--ambient-caps=+dac_override',
    '--securebits=+no_setuid_fixup',
  ];
  return { owner: NOBODY, prefix: [SETPRIV, ...ids, ...capability, '--'] };
}

function closedAncestor(target: string): string | undefined {
  const parts = path.resolve(target).split(path.sep).slice(0, -1);
  const ancestors = parts.map((_, i) => parts.slice(0, i + 1).join(path.sep) || '/');
  return ancestors.find((dir) => {
    const stat = statSync(dir, { throwIfNoEntry: false });
    return stat !== undefined && (stat.mode & 0o001) === 0 && stat.uid !== NOBODY;
  });
}
