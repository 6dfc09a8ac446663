import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { startError } from '../process/child.ts';
import type { Account } from './account.ts';

export const SUPERUSER = 'postgres';

/** Where the superuser's password lies: beside the data directory, for its owner's eyes only. */
export const passwordFile = (dir: string): string => `${dir}.password`;

/** True when a first start came to its end here. Fails when something lies here that it cannot use. */
export function clusterExists(dir: string): boolean {
  if (!existsSync(dir) || readdirSync(dir).length === 0) return false;
  if (!existsSync(path.join(dir, 'PG_VERSION'))) {
    throw startError('PostgreSQL', `${dir} holds something else than a database; choose another directory`);
  }
  if (!existsSync(passwordFile(dir))) {
    throw startError('PostgreSQL', `${passwordFile(dir)} is missing, and with it the password of ${dir}`);
  }
  return true;
}

/**
 * Makes the data directory with `initdb` and a new superuser password. It gets its name only when it is complete,
 * so an interrupted first start leaves nothing that looks like a database.
 */
export function createCluster(
  { initdb, account }: { initdb: string; account: Account },
  { dir, durable }: { dir: string; durable: boolean },
): void {
  const unfinished = `${dir}.unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { mode: 0o700 });
  rmSync(passwordFile(dir), { force: true });
  writeFileSync(passwordFile(dir), randomBytes(24).toString('base64url'), { mode: 0o600 });
  if (account.owner !== undefined) {
    for (const file of [unfinished, passwordFile(dir)]) chownSync(file, account.owner, account.owner);
  }

  const [command = initdb, ...args] = [
    ...account.prefix,
    ...[initdb, '-D', unfinished, '-U', SUPERUSER, `--pwfile=${passwordFile(dir)}`, '--auth=scram-sha-256'],
    ...['--encoding=UTF8', '--locale=C.UTF-8', '--no-instructions', ...(durable ? [] : ['--no-sync'])],
  ];
  const made = spawnSync(command, args, {
    ...account.spawnAs,
    cwd: '/',
    env: { LC_ALL: 'C.UTF-8', TZ: 'UTC' },
    encoding: 'utf8',
  });
  if (made.status !== 0) {
    const words = made.error?.message ?? made.stderr.trim().split('\n').at(-1);
    throw startError('PostgreSQL', `cannot make its data directory ${dir}: ${words}`, made.error);
  }
  renameSync(unfinished, dir);
}
