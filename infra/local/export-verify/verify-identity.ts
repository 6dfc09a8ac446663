import * as z from 'zod/mini';
import type { Did } from '../../../lib/brands.ts';
import { auditLog, followLog } from '../../../lib/identity/plc/log.ts';
import type { Manifest } from '../../../lib/lifecycle/export/manifest.ts';
import { Broken, expectThat } from './broken.ts';
import { MANIFEST } from './find-manifest.ts';

/** The keys that a DID publishes, as Multikeys, by their names. */
export type PublishedKeys = ReadonlyMap<string, string>;

const document = z.object({
  id: z.string(),
  verificationMethod: z.array(z.object({ id: z.string(), publicKeyMultibase: z.string() })),
});

/**
 * The keys of the DID document (of a did:web), or what the log of a did:plc comes to, which proves itself from the
 * operation that made the DID. `entry` is the file that it came from. Throws Broken.
 */
export function readKeys(did: string, content: unknown, entry: string): PublishedKeys {
  if (did.startsWith('did:plc:')) return readLogKeys(did as Did, content, entry);
  const parsed = document.safeParse(content);
  expectThat(parsed.success && parsed.data.id === did, entry, 'it is not the document of this DID');
  return new Map(
    parsed.data.verificationMethod.map(({ id, publicKeyMultibase }) => [
      id.startsWith('#') ? did + id : id,
      publicKeyMultibase,
    ]),
  );
}

function readLogKeys(did: Did, content: unknown, entry: string): PublishedKeys {
  const entries = auditLog.safeParse(content);
  expectThat(entries.success, entry, 'it is no log of the PLC directory');
  try {
    const { data } = followLog(did, entries.data);
    const multikey = (didKey: string) => didKey.replace(/^did:key:/, '');
    return new Map([
      ...Object.entries(data?.verificationMethods ?? {}).map(
        ([id, key]) => [`${did}#${id}`, multikey(key)] as const,
      ),
      ...(data?.rotationKeys ?? []).map((key) => [key, multikey(key)] as const),
    ]);
  } catch (error) {
    throw new Broken(entry, (error as Error).message);
  }
}

/** The manifest is signed by a key that is published, by that name, in what the archive holds and, if asked, now. */
export function expectPublished(
  { did, signature }: Manifest,
  { keys, key, live }: { keys: PublishedKeys; key: string | undefined; live: PublishedKeys | undefined },
): void {
  if (!signature) return;
  const { key_id, public_key_multibase } = signature;
  expectThat(key_id !== `${did}#atproto`, MANIFEST, 'it is signed by the key of the PDS, not of the member');
  const isIn = (published: PublishedKeys) => published.get(key_id) === public_key_multibase;
  expectThat(isIn(keys), MANIFEST, `${key_id}, which signed it, is no key of the DID in this archive`);
  const isRight = key === undefined || key.replace(/^did:key:/, '') === public_key_multibase;
  expectThat(isRight, MANIFEST, `it is signed by ${public_key_multibase}, not by the key that you gave`);
  const isLive = live === undefined || isIn(live);
  expectThat(
    isLive,
    MANIFEST,
    `${key_id}, which signed it, is no key that the DID publishes now. Of an archive that is older than the member’s present keys that is to be expected: compare its key with --key`,
  );
}
