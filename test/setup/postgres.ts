import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import postgres from 'postgres';
import type { TestProject } from 'vitest/node';
import { startPostgres } from '../../infra/local/postgres/postgres.ts';
import { migrate } from '../../lib/db/migrate.ts';

/** What the tests need to make databases of their own: the server, the template, the roles' passwords. */
export type TestServer = {
  superuserUrl: string;
  template: string;
  passwords: { owner: string; api: string; worker: string };
};

declare module 'vitest' {
  interface ProvidedContext {
    testServer: TestServer;
  }
}

/**
 * Vitest's global set-up: one PostgreSQL without fsync for the whole run, and a template database with every
 * migration applied, owned by a role that, as in production, is no superuser.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const parent = await mkdtemp(path.join(tmpdir(), 'pds-test-'));
  // PostgreSQL refuses to run as root, so it may run as somebody else, who has to get here.
  await chmod(parent, 0o755);
  const server = await startPostgres({ dir: path.join(parent, 'data'), durable: false });
  const testServer: TestServer = {
    superuserUrl: server.url,
    template: 'pds_template',
    passwords: { owner: secret(), api: secret(), worker: secret() },
  };
  try {
    await makeTemplate(testServer);
  } catch (error) {
    await server.stop();
    throw error;
  }
  project.provide('testServer', testServer);
  return async () => {
    await server.stop();
    await rm(parent, { recursive: true, force: true });
  };
}

async function makeTemplate({ superuserUrl, template, passwords }: TestServer): Promise<void> {
  const superuser = postgres(superuserUrl, { max: 1, onnotice: () => {} });
  await superuser.unsafe(`CREATE ROLE pds_owner LOGIN CREATEROLE PASSWORD '${passwords.owner}'`);
  await superuser.unsafe(`CREATE DATABASE ${template} OWNER pds_owner`);
  const ownerUrl = new URL(superuserUrl);
  Object.assign(ownerUrl, { username: 'pds_owner', password: passwords.owner, pathname: `/${template}` });
  await migrate({
    ownerUrl: ownerUrl.href,
    directory: path.resolve(import.meta.dirname, '../../migrations'),
    rolePasswords: passwords,
  });
  await superuser.end();
}

function secret(): string {
  return randomBytes(18).toString('base64url');
}
