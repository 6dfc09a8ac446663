import { AtpAgent } from '@atproto/api';
import { Secp256k1Keypair } from '@atproto/crypto';
import { IdResolver } from '@atproto/identity';
import { verifyRepoCar } from '@atproto/repo';
import { plc } from '../unit/identity/plc/judge.ts';

/** Every statement that the demo makes about an identity; all must be true. */
export type Checks = Readonly<Record<string, boolean>>;

/** What we keep sealed for the member, opened by the operator of this machine. */
export type Credentials = {
  accessJwt: string;
  refreshJwt: string;
  password: string;
  memberPublicKey: string;
  /** Of a did:plc: our rotation key, 32 bytes. */
  rotationKey: Uint8Array | undefined;
};

/**
 * Proves an identity with independent atproto clients alone: handle → DID → document → PDS, the stored session
 * and password, one record written and read back, and the repo's signature under the published key.
 */
export async function proveIdentity(
  { fetch, plcUrl }: { fetch: typeof globalThis.fetch; plcUrl: string },
  { did, handle, endpoint }: { did: string; handle: string; endpoint: string },
  credentials: Credentials,
): Promise<{ checks: Checks; notApplicable: string[]; recordUri: string }> {
  const resolver = new IdResolver({ fetch, plcUrl });
  const resolvedDid = await resolver.handle.resolve(handle);
  const atproto = await resolver.did.resolveAtprotoData(did, true);
  const document = await resolver.did.ensureResolve(did);

  const agent = new AtpAgent({ service: atproto.pds });
  await agent.resumeSession({
    did,
    handle,
    active: true,
    accessJwt: credentials.accessJwt,
    refreshJwt: credentials.refreshJwt,
  });
  const session = await agent.com.atproto.server.getSession();

  const text = `Hello from ${handle}`;
  const record = { $type: 'app.bsky.feed.post', text, createdAt: new Date().toISOString() };
  const written = await agent.com.atproto.repo.createRecord({
    repo: did,
    collection: 'app.bsky.feed.post',
    record,
  });
  const reader = new AtpAgent({ service: atproto.pds });
  const rkey = written.data.uri.split('/').at(-1) ?? '';
  const read = await reader.com.atproto.repo.getRecord({
    repo: handle,
    collection: 'app.bsky.feed.post',
    rkey,
  });

  const password = new AtpAgent({ service: atproto.pds });
  const login = await password.login({ identifier: handle, password: credentials.password });

  const car = await reader.com.atproto.sync.getRepo({ did });
  const repo = await verifyRepoCar(car.data, did, atproto.signingKey);

  const { rotationKey, memberPublicKey } = credentials;
  const isPublished = (document.verificationMethod ?? []).some(
    (method) => method.publicKeyMultibase === memberPublicKey,
  );
  // The directory of this machine refuses Ed25519 keys: lib/provisioning/plc/member-key.ts.
  const isRefused = rotationKey !== undefined && !isPublished;
  return {
    recordUri: written.data.uri,
    notApplicable: isRefused ? ['member_key_is_published'] : [],
    checks: {
      handle_resolves_to_did: resolvedDid === did,
      document_names_the_handle: atproto.handle === handle && session.data.handle === handle,
      document_names_the_pds: atproto.pds === endpoint,
      ...(!isRefused && { member_key_is_published: isPublished }),
      ...(rotationKey && { sealed_rotation_key_comes_first: await comesFirst(plcUrl, did, rotationKey) }),
      stored_session_is_valid: session.data.did === did && session.data.active === true,
      stored_password_logs_in: login.data.did === did,
      record_reads_back: read.data.cid === written.data.cid && read.data.value.text === text,
      repo_signature_verifies: repo.creates.some((create) => create.rkey === rkey),
    },
  };
}

/** Whether nobody stands above this key in the PLC directory. */
async function comesFirst(plcUrl: string, did: string, rotationKey: Uint8Array): Promise<boolean> {
  const { rotationKeys } = await new plc.Client(plcUrl).getDocumentData(did);
  return rotationKeys[0] === (await Secp256k1Keypair.import(rotationKey)).did();
}
