import { randomBytes } from 'node:crypto';
import { AtpAgent } from '@atproto/api';
import { IdResolver } from '@atproto/identity';
import { verifyRepoCar } from '@atproto/repo';
import { expect } from 'vitest';
import { memberHostFetch } from '../../../../infra/local/atproto/member-fetch.ts';
import type { Pds } from '../../../../infra/local/atproto/pds.ts';
import { type Plc, startPlc } from '../../../../infra/local/atproto/plc.ts';
import { verifyMember } from '../../../../lib/audit/verify.ts';
import { connect, type Sql } from '../../../../lib/db/connect.ts';
import { cancelChange } from '../../../../lib/lifecycle/changes/cancel.ts';
import { requestChange } from '../../../../lib/lifecycle/changes/request.ts';
import { performWork } from '../../../../lib/provisioning/work.ts';
import { type Bench, DOMAIN, identityOf, openBench, type QueueRow, rowOf } from '../../provisioning/stage.ts';
import { memberOf, openTwoPds, remoteId, type TwoPds } from '../../provisioning/two-pds.ts';
import { opened } from '../../provisioning/working-identity.ts';

/** Of a lexicon that nobody knows. */
export const NOTES = 'test.moving.note';

export type Shipyard = { directory: Plc; two: TwoPds; close(): Promise<void> };

/** Two real PDSs that keep preferences, and a real PLC directory. */
export async function openShipyard(): Promise<Shipyard> {
  const directory = await startPlc();
  const two = await openTwoPds({ plcUrl: directory.url, appView: true });
  return {
    directory,
    two,
    async close() {
      await two.close();
      await directory.stop();
    },
  };
}

export type Voyage = Awaited<ReturnType<typeof openVoyage>>;

/** A database with members who live at `local`, and a clock that skips whatever work waits for. */
export async function openVoyage({ two, directory }: Shipyard) {
  let skipped = 0;
  const now = () => new Date(Date.now() + skipped);
  const bench: Bench = await openBench(two, { now, providers: await two.providers() });
  const api: Sql = connect(bench.database.apiUrl, { max: 2 });
  const there = remoteId(two);

  const passwordOf = async (userId: string) =>
    opened(bench, await identityOf(bench, userId), 'account_password_sealed');

  const voyage = {
    bench,
    there,
    skip: (ms: number) => {
      skipped += ms;
    },
    /** A member with an account at `local`; returns his id. */
    async member(didMethod: 'web' | 'plc' = 'web'): Promise<string> {
      bench.deps.naming = { ...bench.deps.naming, didMethod };
      const { userId, queueId } = await memberOf(bench, 'local');
      expect(await performWork(bench.deps, queueId)).toBe('done');
      return userId;
    },
    /** The member's own client, logged in at the PDS where he lives now, or with a password that he had. */
    async clientOf(userId: string, pds?: Pds, password?: string): Promise<AtpAgent> {
      const { pds_did, pds_endpoint } = await identityOf(bench, userId);
      const agent = new AtpAgent({ service: pds?.url ?? pds_endpoint ?? '' });
      await agent.login({ identifier: pds_did ?? '', password: password ?? (await passwordOf(userId)) });
      return agent;
    },
    passwordOf,
    async request(userId: string, provider = there): Promise<{ changeId: number; queueId: string }> {
      const { changeId, queued } = await api.begin((tx) =>
        requestChange(tx, { userId, kind: 'move', wish: { provider }, by: userId, now: now() }),
      );
      return { changeId, queueId: queued ?? '' };
    },
    cancel: (userId: string, changeId: number) =>
      cancelChange({ sql: api }, { userId, changeId, by: userId }),
    perform: (queueId: string, changes: Partial<Bench['deps']> = {}) =>
      performWork({ ...bench.deps, ...changes }, queueId),
    /** Works on a row whenever it is due; what it waits for is skipped. `meanwhile`: before each run. */
    async workOn(queueId: string, meanwhile: (row: QueueRow) => unknown = () => {}): Promise<QueueRow> {
      for (let run = 0; run < 20; run += 1) {
        const row = await rowOf(bench, queueId);
        if (row.status === 'completed' || row.status === 'failed') return row;
        await meanwhile(row);
        skipped += Math.max(0, row.next_retry.getTime() - now().getTime());
        await performWork(bench.deps, queueId);
      }
      throw new Error(`never over: ${JSON.stringify(await rowOf(bench, queueId))}`);
    },
    async move(userId: string, provider = there) {
      const { changeId, queueId } = await voyage.request(userId, provider);
      await voyage.workOn(queueId);
      return voyage.changeOf(changeId);
    },
    async changeOf(changeId: number) {
      const [change] = await bench.sql<
        {
          step: string;
          outcome: string | null;
          error_code: string | null;
          error_message: string | null;
          progress: Record<string, unknown>;
        }[]
      >`SELECT step, outcome, error_code, error_message, progress FROM pds_changes WHERE id = ${changeId}`;
      return change;
    },
    orphansOf: (userId: string) => bench.sql`
      SELECT provider_id, state, moved_at, look_at FROM pds_possible_orphans WHERE user_id = ${userId} ORDER BY id`,
    /** What stands at one PDS, seen by anybody. */
    async statusAt(pds: Pds, did: string): Promise<string> {
      const answer = await fetch(`${pds.url}/xrpc/com.atproto.sync.getRepoStatus?did=${did}`);
      const { active, status, error } = (await answer.json()) as Record<string, unknown>;
      return active === true ? 'active' : String(status ?? error);
    },
    /** Everything that a reader can prove who knows nothing but the DID. */
    async proveAt(userId: string, pds: Pds) {
      const identity = await identityOf(bench, userId);
      const did = identity.pds_did ?? '';
      expect(identity).toMatchObject({ status: 'active', lease_until: null, pds_endpoint: pds.url });
      const outside = memberHostFetch({ domain: DOMAIN, gatewayUrl: two.gateway.url, fetch });
      const resolver = new IdResolver({ fetch: outside as typeof fetch, plcUrl: directory.url });
      const atproto = await resolver.did.resolveAtprotoData(did, true);
      expect(atproto).toMatchObject({ pds: pds.url, handle: identity.pds_handle });
      expect(await resolver.handle.resolve(identity.pds_handle ?? '')).toBe(did);
      const car = await new AtpAgent({ service: atproto.pds }).com.atproto.sync.getRepo({ did });
      const repo = await verifyRepoCar(car.data, did, atproto.signingKey);
      const agent = await voyage.clientOf(userId);
      const { data: status } = await agent.com.atproto.server.checkAccountStatus();
      expect(status).toMatchObject({ activated: true, validDid: true });
      await fetchRefreshed(bench, userId, atproto.pds);
      expect(await verifyMember(bench.sql, identity.pnptv_uuid)).toMatchObject({ intact: true });
      const other = pds.url === two.pds.url ? two.remote : two.pds;
      expect(await voyage.statusAt(other, did)).not.toBe('active');
      return { identity, repo, status, agent, did };
    },
    async close() {
      await api.end();
      await bench.close();
    },
  };
  return voyage;
}

/** The stored session is the account's. */
async function fetchRefreshed(bench: Bench, userId: string, endpoint: string): Promise<void> {
  const refreshJwt = await opened(bench, await identityOf(bench, userId), 'pds_refresh_token');
  const answer = await fetch(`${endpoint}/xrpc/com.atproto.server.refreshSession`, {
    method: 'POST',
    headers: { authorization: `Bearer ${refreshJwt}` },
  });
  expect(answer.status).toBe(200);
}

/** Writes so many notes, up to 200 at once. */
export async function writeNotes(agent: AtpAgent, many: number, text = 'note'): Promise<void> {
  const repo = agent.assertDid;
  for (let done = 0; done < many; done += 200) {
    const writes = Array.from({ length: Math.min(200, many - done) }, (_, index) => ({
      $type: 'com.atproto.repo.applyWrites#create' as const,
      collection: NOTES,
      value: { $type: NOTES, text: `${text} ${done + index}`, createdAt: new Date().toISOString() },
    }));
    await agent.com.atproto.repo.applyWrites({ repo, writes, validate: false });
  }
}

/** Writes a note with a picture of its own, and says by which CID it is known. */
export async function writePicture(
  agent: AtpAgent,
  bytes = 20_000,
): Promise<{ cid: string; data: Buffer; uri: string }> {
  // Said to be a picture, and by its first bytes one.
  const data = Buffer.concat([Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex'), randomBytes(bytes)]);
  const { data: uploaded } = await agent.com.atproto.repo.uploadBlob(data, { encoding: 'image/png' });
  const { data: written } = await agent.com.atproto.repo.createRecord({
    repo: agent.assertDid,
    collection: NOTES,
    record: { $type: NOTES, picture: uploaded.blob, createdAt: new Date().toISOString() },
    validate: false,
  });
  return { cid: uploaded.blob.ref.toString(), data, uri: written.uri };
}
