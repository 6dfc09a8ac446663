import { type FileHandle, open } from 'node:fs/promises';
import * as z from 'zod/mini';
import { AppError } from '../../../lib/app-error.ts';
import { logExport } from '../../../lib/audit/api.ts';
import { verifyExport } from '../../../lib/audit/export.ts';
import { decryptKeys, type ExportedKeys } from '../../../lib/lifecycle/export/keys.ts';
import type { Manifest } from '../../../lib/lifecycle/export/manifest.ts';
import { Broken, expectThat } from './broken.ts';
import { findManifest, MANIFEST, read } from './find-manifest.ts';
import { type Place, type Places, verifyFiles } from './verify-files.ts';
import { expectPublished, type PublishedKeys, readKeys } from './verify-identity.ts';
import { type RepositoryFigures, verifyRepository } from './verify-repository.ts';

export type VerifyOptions = {
  /** The Multikey that must have signed it. */
  key?: string | undefined;
  /** Opens `keys.jwe`. */
  code?: string | undefined;
  /** An archive without a signature is taken, too. */
  unsigned?: boolean | undefined;
  /** Asks for the keys that the DID publishes now. */
  live?: ((did: string) => Promise<PublishedKeys>) | undefined;
};
export type Verified = {
  manifest: Manifest;
  files: number;
  repository: RepositoryFigures;
  logEntries: number;
  logUnderRoot: boolean;
  keys: ExportedKeys | undefined;
};

/** Verifies an archive with nothing but itself, and what is given. Throws Broken, which names the file at fault. */
export async function verifyArchive(name: string, options: VerifyOptions = {}): Promise<Verified> {
  const file = await open(name, 'r');
  try {
    if ((await file.stat()).isDirectory()) throw new AppError('NOT_A_FILE', `${name} is a folder.`);
    const { offset, content: manifest } = await findManifest(file);
    const { key, code, unsigned = false, live } = options;
    const isTaken = manifest.signature !== null || (unsigned && key === undefined);
    expectThat(isTaken, MANIFEST, 'nobody has signed it: whoever had the file could have written it anew');
    const places = await verifyFiles(file, manifest, offset);
    const document = places.has('plc-log.json') ? 'plc-log.json' : 'did.json';
    const keys = readKeys(manifest.did, await readJson(file, places, document), document);
    expectPublished(manifest, { keys, key, live: live && (await live(manifest.did)) });
    const atproto = keys.get(`${manifest.did}#atproto`);
    const hasKey = atproto !== undefined || manifest.repository === null;
    expectThat(hasKey, document, 'it has no #atproto key');
    const signingKey = `did:key:${atproto}`;
    const repository = await verifyRepository(file, places, { manifest, signingKey });
    const log = await verifyLog(file, places, await readAccount(file, places, manifest.did));
    const opened = code === undefined ? undefined : await openKeys(file, places, code);
    return { manifest, files: places.size + 1, repository, ...log, keys: opened };
  } finally {
    await file.close();
  }
}

const LOG = 'audit-log.json';

const ACCOUNT = 'account.json';
const account = z.object({ did: z.string(), pnptv_uuid: z.string() });

async function readAccount(file: FileHandle, places: Places, did: string): Promise<string> {
  const { success, data } = account.safeParse(await readJson(file, places, ACCOUNT));
  expectThat(success && data.did === did, ACCOUNT, 'it names nobody, or somebody else');
  return data.pnptv_uuid;
}

async function verifyLog(file: FileHandle, places: Places, pnptvUuid: string) {
  const { success, data } = logExport.safeParse(await readJson(file, places, LOG));
  expectThat(success, LOG, 'it is no exported log');
  expectThat(data.pnptv_uuid === pnptvUuid, LOG, 'it is the log of somebody else');
  const { entries, broken } = verdictOn(data);
  const where =
    broken && `entry ${broken.seq} does not hold (${broken.fault}); npm run audit:verify says more`;
  expectThat(!broken, LOG, where ?? '');
  return { logEntries: entries, logUnderRoot: data.root !== null };
}

function verdictOn(data: Parameters<typeof verifyExport>[0]) {
  try {
    return verifyExport(data);
  } catch (error) {
    throw new Broken(LOG, (error as Error).message);
  }
}

async function openKeys(file: FileHandle, places: Places, code: string): Promise<ExportedKeys> {
  const place = places.get('keys.jwe');
  expectThat(place !== undefined, 'keys.jwe', 'there are no keys in this archive');
  const jwe = await readText(file, place, 'keys.jwe');
  try {
    return await decryptKeys(jwe, code);
  } catch {
    throw new Broken('keys.jwe', 'this code does not open it');
  }
}

async function readJson(file: FileHandle, places: Places, name: string): Promise<unknown> {
  const text = await readText(file, places.get(name) ?? { offset: 0, size: 0 }, name);
  try {
    return JSON.parse(text);
  } catch {
    throw new Broken(name, 'it is no JSON');
  }
}

/** Far more than any has, and what a string can hold. */
const LARGEST_TEXT = 384 * 1024 * 1024;

async function readText(file: FileHandle, { offset, size }: Place, name: string): Promise<string> {
  expectThat(size <= LARGEST_TEXT, name, 'it is larger than any that we make');
  return (await read(file, offset, size)).toString('utf8');
}
