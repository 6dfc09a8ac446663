import { AtpAgent } from '@atproto/api';
import { IdResolver } from '@atproto/identity';
import { verifyRepoCar } from '@atproto/repo';

/** Every statement that the demo makes about an identity; all must be true. */
export type Checks = {
  handle_resolves_to_did: boolean;
  document_names_the_handle: boolean;
  document_names_the_pds: boolean;
  member_key_is_published: boolean;
  stored_session_is_valid: boolean;
  stored_password_logs_in: boolean;
  record_reads_back: boolean;
  repo_signature_verifies: boolean;
};

/** What we keep sealed for the member, opened by the operator of this machine. */
export type Credentials = {
  accessJwt: string;
  refreshJwt: string;
  password: string;
  memberPublicKey: string;
};

/**
 * Proves an identity with independent atproto clients alone: handle → DID → document → PDS, the stored session
 * and password, one record written and read back, and the repo's signature under the published key.
 */
export async function proveIdentity(
  { fetch }: { fetch: typeof globalThis.fetch },
  { did, handle, endpoint }: { did: string; handle: string; endpoint: string },
  credentials: Credentials,
): Promise<{ checks: Checks; recordUri: string }> {
  const resolver = new IdResolver({ fetch });
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

  return {
    recordUri: written.data.uri,
    checks: {
      handle_resolves_to_did: resolvedDid === did,
      document_names_the_handle: atproto.handle === handle && session.data.handle === handle,
      document_names_the_pds: atproto.pds === endpoint,
      member_key_is_published: (document.verificationMethod ?? []).some(
        (method) => method.publicKeyMultibase === credentials.memberPublicKey,
      ),
      stored_session_is_valid: session.data.did === did && session.data.active === true,
      stored_password_logs_in: login.data.did === did,
      record_reads_back: read.data.cid === written.data.cid && read.data.value.text === text,
      repo_signature_verifies: repo.creates.some((create) => create.rkey === rkey),
    },
  };
}
