import { spawnSync } from 'node:child_process';

export const NOBODY = 65534;

/** For `spawn`: somebody whom file modes bind. */
export const ordinaryUser = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};

/** False where root has the project in a folder of his own. */
export const ordinaryUserGetsHere =
  spawnSync(process.execPath, ['-e', 'fs.accessSync(process.argv[1])', import.meta.filename], ordinaryUser)
    .status === 0;
