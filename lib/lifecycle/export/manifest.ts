import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import * as z from 'zod/mini';
import { canonicalJson } from '../../audit/canonical.ts';
import { publicMemberKey, signK256 } from '../../identity/keys.ts';
import { decodeMultikey } from '../../identity/multikey.ts';
import { isSignedBy } from '../../identity/plc/signature.ts';

const timestamp = z.iso.datetime();
const cid = z.string();

/** What the last file of an archive says about all the others. */
const manifestFields = {
  format: z.literal('pds-export/1'),
  did: z.string(),
  handle: z.string(),
  created_at: timestamp,
  contents: z.enum(['data', 'data_and_keys']),
  /** The commit that `repo.car` holds; null: it is not in here. */
  repository: z.nullable(z.strictObject({ root: cid, rev: z.string() })),
  /** All files before this one, in order. */
  entries: z.array(z.strictObject({ name: z.string(), size: z.int().check(z.gte(0)), sha256: z.string() })),
  left_out: z.array(z.strictObject({ what: z.string(), why: z.string() })),
  /** Blobs that records name and the PDS did not have. */
  missing_blobs: z.array(cid),
};
export const manifest = z.strictObject({
  ...manifestFields,
  /** Over the SHA-256 (k256) or the very bytes (Ed25519) of the RFC 8785 form of all but this field. */
  signature: z.nullable(
    z.strictObject({ key_id: z.string(), public_key_multibase: z.string(), value: z.string() }),
  ),
});
export type Manifest = z.output<typeof manifest>;
export type Statement = Omit<Manifest, 'signature'>;

/** A key by which an archive is signed. `privateKey`: the seed of an Ed25519 key, or the scalar of a k256 key. */
export type Signer = {
  algorithm: 'ed25519' | 'k256';
  /** As the DID document, or the PLC log, names it. */
  keyId: string;
  publicKey: string;
  privateKey: Uint8Array;
};

/** Signs what an archive holds; without a signer it stays unsigned, and says so. */
export function signManifest(statement: Statement, signer: Signer | undefined): string {
  const bytes = Buffer.from(canonicalJson(statement));
  if (!signer) return canonicalJson({ ...statement, signature: null });
  const { algorithm, keyId, publicKey, privateKey } = signer;
  const value =
    algorithm === 'ed25519' ? signEd25519(privateKey, bytes) : signK256(privateKey, Uint8Array.from(bytes));
  const signature = {
    key_id: keyId,
    public_key_multibase: publicKey,
    value: Buffer.from(value).toString('base64url'),
  };
  return canonicalJson({ ...statement, signature });
}

/** Whether the signature of a manifest is by the key that it names. */
export function isManifestSigned({ signature, ...statement }: Manifest): boolean {
  if (!signature) return false;
  const bytes = Buffer.from(canonicalJson(statement));
  const { public_key_multibase: key, value } = signature;
  const { algorithm, bytes: publicKey } = decodeMultikey(key);
  if (algorithm !== 'ed25519') return isSignedBy(`did:key:${key}`, Uint8Array.from(bytes), value);
  const signed = Buffer.from(value, 'base64url');
  const x = Buffer.from(publicKey).toString('base64url');
  const jwk = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  return signed.toString('base64url') === value && verify(null, bytes, jwk, signed);
}

function signEd25519(seed: Uint8Array, bytes: Uint8Array): Uint8Array {
  const { bytes: publicKey } = decodeMultikey(publicMemberKey(seed));
  const jwk = {
    kty: 'OKP',
    crv: 'Ed25519',
    x: Buffer.from(publicKey).toString('base64url'),
    d: Buffer.from(seed).toString('base64url'),
  };
  return sign(null, bytes, createPrivateKey({ key: jwk, format: 'jwk' }));
}
