import { createHash } from 'node:crypto';
import { base32 } from 'multiformats/bases/base32';
import * as z from 'zod/mini';
import type { Did } from '../../brands.ts';
import { signK256 } from '../keys.ts';
import { encodeDagCbor } from './dag-cbor.ts';
import { type PlcData, plcData } from './data.ts';
import { isSignedBy } from './signature.ts';

const plcOperation = z.strictObject({
  ...plcData.shape,
  type: z.literal('plc_operation'),
  prev: z.nullable(z.string()),
  sig: z.string(),
});
const tombstone = z.strictObject({ type: z.literal('plc_tombstone'), prev: z.string(), sig: z.string() });
/** The form of the first years, which only genesis operations have. */
const legacyCreate = z.strictObject({
  type: z.literal('create'),
  signingKey: z.string(),
  recoveryKey: z.string(),
  handle: z.string(),
  service: z.string(),
  prev: z.null(),
  sig: z.string(),
});

/** Any operation that the log of a did:plc may hold. https://web.plc.directory/spec/v0.1/did-plc */
export const anyOperation = z.discriminatedUnion('type', [plcOperation, tombstone, legacyCreate]);
export type AnyOperation = z.output<typeof anyOperation>;
export type PlcOperation = z.output<typeof plcOperation>;
export type Tombstone = z.output<typeof tombstone>;

/** dag-cbor, sha-256 of 32 bytes: https://github.com/multiformats/cid#cidv1 */
const CID_PREFIX = [0x01, 0x71, 0x12, 0x20];
const DID_CHARACTERS = 24;

/** The CID of a signed operation, by which the next one names it. */
export function cidOf(operation: AnyOperation): string {
  return base32.encode(Uint8Array.of(...CID_PREFIX, ...digest(operation)));
}

/** The DID that a signed genesis operation makes. */
export function didOf(genesis: AnyOperation): Did {
  return `did:plc:${base32.baseEncode(digest(genesis)).slice(0, DID_CHARACTERS)}` as Did;
}

export function isDidPlc(did: string): did is Did {
  return /^did:plc:[a-z2-7]{24}$/.test(did);
}

/** The operation that puts `data` in the place of what `prev` (a CID) said, signed by a k256 rotation key. */
export function signOperation(data: PlcData, prev: string, privateKey: Uint8Array): PlcOperation {
  const { rotationKeys, verificationMethods, alsoKnownAs, services } = data;
  const unsigned = {
    type: 'plc_operation' as const,
    rotationKeys,
    verificationMethods,
    alsoKnownAs,
    services,
    prev,
  };
  const signature = signK256(privateKey, encodeDagCbor(unsigned));
  return { ...unsigned, sig: Buffer.from(signature).toString('base64url') };
}

/** The operation that ends a DID for good, put after `prev` (a CID), signed by a k256 rotation key. */
export function signTombstone(prev: string, privateKey: Uint8Array): Tombstone {
  const unsigned = { type: 'plc_tombstone' as const, prev };
  const signature = signK256(privateKey, encodeDagCbor(unsigned));
  return { ...unsigned, sig: Buffer.from(signature).toString('base64url') };
}

/** Which of these did:keys has signed the operation; undefined if none. */
export function signerOf({ sig, ...unsigned }: AnyOperation, didKeys: readonly string[]): string | undefined {
  const bytes = encodeDagCbor(unsigned);
  return didKeys.find((didKey) => isSignedBy(didKey, bytes, sig));
}

/** What an operation says; undefined for a tombstone. */
export function dataOf(operation: AnyOperation): PlcData | undefined {
  if (operation.type === 'plc_tombstone') return undefined;
  if (operation.type === 'plc_operation') return operation;
  const { signingKey, recoveryKey, handle, service } = operation;
  return {
    rotationKeys: [recoveryKey, signingKey],
    verificationMethods: { atproto: signingKey },
    alsoKnownAs: [`at://${handle}`],
    services: { atproto_pds: { type: 'AtprotoPersonalDataServer', endpoint: service } },
  };
}

function digest(operation: AnyOperation): Uint8Array {
  return createHash('sha256').update(encodeDagCbor(operation)).digest();
}
