import { AtpAgent } from '@atproto/api';
import { Secp256k1Keypair } from '@atproto/crypto';
import { IdResolver } from '@atproto/identity';
import { verifyRepoCar } from '@atproto/repo';
import { pdsAdmin } from '../../../../infra/local/atproto/pds.ts';
import type { Did } from '../../../../lib/brands.ts';
import { newK256Key } from '../../../../lib/identity/keys.ts';
import type { Destination } from '../../../../lib/lifecycle/recovery-key/words.ts';
import { createInviteCode } from '../../../../lib/pds/client/admin.ts';
import { performWork } from '../../../../lib/provisioning/work.ts';
import { type Bench, identityOf, type Stage } from '../../provisioning/stage.ts';
import type { TwoPds } from '../../provisioning/two-pds.ts';
import { opened } from '../../provisioning/working-identity.ts';

export type Leaver = { userId: string; did: Did; handle: string; password: string };

/** A member whose identity works, and what he knows after a `reveal`. */
export async function newLeaver(bench: Bench): Promise<Leaver> {
  const { userId, queueId } = await bench.member();
  await performWork(bench.deps, queueId);
  const identity = await identityOf(bench, userId);
  if (identity.pds_did === null || identity.pds_handle === null) throw new Error('no identity');
  const password = await opened(bench, identity, 'account_password_sealed');
  return { userId, did: identity.pds_did, handle: identity.pds_handle, password };
}

export async function loggedIn(service: string, { did, password }: Pick<Leaver, 'did' | 'password'>) {
  const agent = new AtpAgent({ service });
  await agent.login({ identifier: did, password });
  return agent;
}

export const write = (agent: AtpAgent, did: string, record: Record<string, unknown>) =>
  agent.com.atproto.repo.createRecord({
    repo: did,
    collection: 'app.bsky.feed.post',
    record: { $type: 'app.bsky.feed.post', createdAt: new Date().toISOString(), ...record },
  });

/** Opens an account of his own DID at another PDS, as any migration tool does: nobody's help but the old PDS's. */
export async function openAccountAt(two: TwoPds, leaver: Leaver) {
  const { remote, pds } = two;
  const old = await loggedIn(pds.url, leaver);
  const { token } = (
    await old.com.atproto.server.getServiceAuth({
      aud: remote.did,
      lxm: 'com.atproto.server.createAccount',
    })
  ).data;
  const agent = new AtpAgent({ service: remote.url });
  const inviteCode = await createInviteCode(pdsAdmin(remote), { uses: 1 });
  const { did, handle, password } = leaver;
  const email = `${did.slice(8, 14)}${Math.floor(Math.random() * 1e9)}@mail.example`;
  await agent.com.atproto.server.createAccount(
    { did, handle, email, password, inviteCode },
    { headers: { authorization: `Bearer ${token}` }, encoding: 'application/json' },
  );
  await agent.login({ identifier: did, password });
  const { data } = await agent.com.atproto.identity.getRecommendedDidCredentials();
  const { atproto } = data.verificationMethods as { atproto: string };
  return { agent, key: atproto, rotationKeys: data.rotationKeys ?? [] };
}

/** What the world sees of an identity, with software of others alone. */
export async function seenByTheWorld(bench: Bench, stage: Stage, did: string) {
  const resolver = new IdResolver({ fetch: bench.deps.outside.fetch, plcUrl: stage.plcUrl });
  const { pds, signingKey, handle } = await resolver.did.resolveAtprotoData(did, true);
  return { pds, signingKey, handle, resolvedHandle: await resolver.handle.resolve(handle) };
}

/** How many records the repository at its PDS has, once its signature verifies with the published key. */
export async function verifiedRecords({ pds, signingKey }: { pds: string; signingKey: string }, did: string) {
  const car = await new AtpAgent({ service: pds }).com.atproto.sync.getRepo({ did });
  return (await verifyRepoCar(car.data, did, signingKey)).creates.length;
}

/** A recovery key, and what its holder signs. */
export async function newRecoveryKey() {
  const { privateKey, publicKeyMultibase } = newK256Key();
  const pair = await Secp256k1Keypair.import(privateKey);
  return {
    did: `did:key:${publicKeyMultibase}`,
    async sign(text: string) {
      return Buffer.from(await pair.sign(new TextEncoder().encode(text))).toString('base64url');
    },
  };
}
export type RecoveryKeyPair = Awaited<ReturnType<typeof newRecoveryKey>>;

export const bodyOf = ({ endpoint, atprotoKey, handle, rotationKeys }: Destination) => ({
  endpoint,
  atproto_key: atprotoKey,
  ...(handle !== null && { handle }),
  ...(rotationKeys.length > 0 && { rotation_keys: rotationKeys }),
});
