import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { AtpAgent } from '@atproto/api';
import { IdResolver } from '@atproto/identity';
import { verifyRepoCar } from '@atproto/repo';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { memberHostFetch } from '../../../../infra/local/atproto/member-fetch.ts';
import { keepPdsSecrets } from '../../../../infra/local/atproto/pds-secrets.ts';
import { type Plc, startPlc } from '../../../../infra/local/atproto/plc.ts';
import { verifyMember } from '../../../../lib/audit/verify.ts';
import type { Did } from '../../../../lib/brands.ts';
import { CHANGES } from '../../../../lib/lifecycle/changes/kinds.ts';
import { requestChange } from '../../../../lib/lifecycle/changes/request.ts';
import { prepareRepoKey, publishRepoKey } from '../../../../lib/lifecycle/rotate/repo-key.ts';
import { retireKeys } from '../../../../lib/lifecycle/rotate/retire.ts';
import { performWork } from '../../../../lib/provisioning/work.ts';
import { ENCRYPTION_KEY } from '../../http/app.ts';
import { DOMAIN, identityOf, openStage, type Stage } from '../../provisioning/stage.ts';
import { expectWorkingIdentity, opened } from '../../provisioning/working-identity.ts';
import { type Custody, openCustody } from '../custody/custody.ts';

const LOCAL = path.resolve(import.meta.dirname, '../../../../infra/local');
const execute = promisify(execFile);

let directory: Plc;
let stage: Stage;
let custody: Custody;

beforeAll(async () => {
  directory = await startPlc();
  stage = await openStage({ plcUrl: directory.url });
  custody = await openCustody(stage, ENCRYPTION_KEY);
});
afterAll(async () => {
  await custody.close();
  await stage.close();
  await directory.stop();
});

type Ended = { code: number; output: string };
async function run(script: string, args: readonly string[], env: Record<string, string>): Promise<Ended> {
  const hosts = new URLSearchParams({ domain: DOMAIN, gateway: stage.gateway.url });
  const preload = `file://${path.join(LOCAL, 'lambda/member-hosts.ts')}?${hosts}`;
  return execute(process.execPath, ['--import', preload, path.join(LOCAL, script), ...args], {
    env: { PATH: process.env.PATH, ...env },
  }).then(
    ({ stdout, stderr }) => ({ code: 0, output: stdout + stderr }),
    ({ code, stdout, stderr }) => ({ code, output: stdout + stderr }),
  );
}

const repoKey = (step: string, did: string) =>
  run('repo-key.ts', [step, did, '--database', custody.bench.database.ownerUrl], {
    PDS_ENVIRONMENT: 'test',
    PDS_ENCRYPTION_KEY: ENCRYPTION_KEY,
    PDS_PLC_URL: directory.url,
  });

/** On the PDS's machine, in its environment, while it runs. */
function rotateKeys(did: string): Promise<Ended> {
  const dir = path.resolve(stage.pdsDir);
  const secrets = keepPdsSecrets(path.join(dir, 'secrets.json'));
  return run('atproto/rotate-repo-keys.mjs', [did], {
    PDS_HOSTNAME: 'localhost',
    PDS_PORT: String(stage.pds.port),
    PDS_SERVICE_DID: stage.pds.did,
    PDS_SERVICE_HANDLE_DOMAINS: '.hosted.test',
    PDS_DATA_DIRECTORY: dir,
    PDS_BLOBSTORE_DISK_LOCATION: path.join(dir, 'blobs'),
    // By name: a PDS resolves at no bare IP address.
    PDS_DID_PLC_URL: stage.plcUrl.replace('127.0.0.1', 'localhost'),
    PDS_JWT_SECRET: secrets.jwtSecret,
    PDS_ADMIN_PASSWORD: secrets.adminPassword,
    PDS_PLC_ROTATION_KEY_K256_PRIVATE_KEY_HEX: secrets.plcRotationKey,
    PDS_DISABLE_SSRF_PROTECTION: 'true',
    PDS_DEV_MODE: 'true',
  });
}

const keyFile = (did: string) =>
  path.join(stage.pdsDir, 'actors', createHash('sha256').update(did).digest('hex').slice(0, 2), did, 'key');

async function memberWith(method: 'web' | 'plc') {
  const { bench } = custody;
  bench.deps.naming = { ...bench.deps.naming, didMethod: method };
  const userId = await custody.member();
  const identity = await identityOf(bench, userId);
  const agent = new AtpAgent({ service: stage.pds.url });
  const did = identity.pds_did ?? '';
  await agent.login({ identifier: did, password: await opened(bench, identity, 'account_password_sealed') });
  const post = () =>
    agent.com.atproto.repo.createRecord({
      repo: did,
      collection: 'app.bsky.feed.post',
      record: { text: 'hello', createdAt: new Date().toISOString() },
    });
  await post();
  return { userId, did, post, published: identity.atproto_public_key ?? '' };
}
const settlesAt = async (userId: string) => (await identityOf(custody.bench, userId)).document_settles_at;

/** Reads document and repository as anybody does, with clients that are not ours. */
async function isSigned(did: string): Promise<boolean> {
  const fetch = memberHostFetch({
    domain: DOMAIN,
    gatewayUrl: stage.gateway.url,
    fetch: globalThis.fetch,
  });
  const resolver = new IdResolver({ fetch, plcUrl: directory.url });
  const { pds, signingKey } = await resolver.did.resolveAtprotoData(did, true);
  const { data } = await new AtpAgent({ service: pds }).com.atproto.sync.getRepo({ did });
  return verifyRepoCar(data, did, signingKey).then(
    () => true,
    () => false,
  );
}
const publish = (did: string) => publishRepoKey({ ...custody.deps, sql: custody.db }, did as Did);

describe('the key of a repository', { timeout: 90_000 }, () => {
  it('is replaced on a PDS of one’s own: did:web, as the README has it', async () => {
    const { userId, did, post, published } = await memberWith('web');
    expect(await repoKey('verify', did)).toEqual({ code: 0, output: expect.stringContaining(published) });
    expect((await repoKey('prepare', did)).code).toBe(0);
    expect(await settlesAt(userId)).toBeNull();
    expect(readFileSync(keyFile(did))).toHaveLength(32);
    writeFileSync(keyFile(did), randomBytes(32));
    const publishing = await repoKey('publish', did);
    expect([publishing.code, publishing.output]).toEqual([0, expect.stringContaining(published)]);
    const { atproto_public_key: after } = await identityOf(custody.bench, userId);
    expect(after).not.toBe(published);
    expect((await settlesAt(userId))?.getTime()).toBeGreaterThan(Date.now());
    // What was signed by the old key is not by the new one.
    const early = await repoKey('verify', did);
    expect([early.code, early.output]).toEqual([1, expect.stringContaining('has not signed it')]);

    expect(await rotateKeys(did)).toEqual({ code: 0, output: 'DONE\n' });
    expect(await repoKey('verify', did)).toEqual({ code: 0, output: expect.stringContaining(after ?? '') });
    await post();
    expect(await isSigned(did)).toBe(true);
    await expectWorkingIdentity(stage, custody.bench, userId);
    expect(await publish(did)).toEqual({ before: after, after });
    const log = await custody.db<{ pnptv_uuid: string; details: object }[]>`
      SELECT pnptv_uuid, details FROM pds_provisioning_log
      WHERE user_id = ${userId} AND action = 'updated' AND created_by = 'operator'`;
    expect(log).toMatchObject([{ details: { atproto_public_key: after, replaces: published } }]);
    expect(await verifyMember(custody.db, log[0]?.pnptv_uuid ?? '')).toMatchObject({ intact: true });
  });

  it('can be put back by the same steps', async () => {
    const { did, post } = await memberWith('web');
    const old = readFileSync(keyFile(did));
    writeFileSync(keyFile(did), randomBytes(32));
    // It signs with another key now, and nobody believes it.
    await post();
    expect(await isSigned(did)).toBe(false);
    writeFileSync(keyFile(did), old);
    await publish(did);
    await post();
    expect(await isSigned(did)).toBe(true);
  });

  it('of a did:plc is published by the PDS itself', async () => {
    const { userId, did, post } = await memberWith('plc');
    writeFileSync(keyFile(did), randomBytes(32));
    expect(await rotateKeys(did)).toEqual({ code: 0, output: 'DONE\n' });
    expect(await isSigned(did)).toBe(true);
    const { before, after } = await publish(did);
    expect(after).not.toBe(before);
    await post();
    expect(await isSigned(did)).toBe(true);
    await expectWorkingIdentity(stage, custody.bench, userId);
  });

  it('is not put into the document of a member who has moved meanwhile', async () => {
    const { userId, did } = await memberWith('web');
    writeFileSync(keyFile(did), randomBytes(32));
    const moved = { atproto_public_key: 'zOfTheOther', pds_endpoint: 'https://other.test' };
    const fetch: typeof globalThis.fetch = async (input, init) => {
      const answer = await globalThis.fetch(input, init);
      if (String(input).includes('getRecommendedDidCredentials'))
        await custody.db`UPDATE user_pds_mapping SET ${custody.db(moved)} WHERE user_id = ${userId}`;
      return answer;
    };
    await expect(
      publishRepoKey({ ...custody.deps, fetch, sql: custody.db }, did as Did),
    ).rejects.toMatchObject({ code: 'CHANGE_IN_PROGRESS' });
    expect(await identityOf(custody.bench, userId)).toMatchObject(moved);
  });

  it('is in no store until it is published, whatever else the document shows meanwhile', async () => {
    const { userId, did } = await memberWith('web');
    const { bench } = custody;
    await prepareRepoKey(custody.db, did as Did);
    const { queued = '' } = await bench.sql.begin((tx) =>
      requestChange(tx, { userId, kind: 'rotate_keys', by: userId, now: new Date() }),
    );
    expect(await performWork({ ...bench.deps, actions: CHANGES }, queued)).toBe('done');
    expect(await settlesAt(userId)).toBeNull();
    await custody.db`UPDATE pds_verification_keys SET retire_at = now() WHERE user_id = ${userId} AND state = 'retiring'`;
    expect(await retireKeys(bench.deps, new Date(Date.now() + 60_000))).toBe(1);
    expect(await settlesAt(userId)).toBeNull();
    await publish(did);
    expect(await settlesAt(userId)).not.toBeNull();
  });

  it('stays as it is beside a change, while the PDS is away, and for whom we do not know', async () => {
    const { userId, did, published } = await memberWith('web');
    const { sql } = custody.deps;
    const unknown = await repoKey('publish', 'did:web:nobody.pnptv.test');
    expect([unknown.code, unknown.output]).toEqual([1, expect.stringContaining('No member has')]);
    await sql.begin((tx) =>
      requestChange(tx, { userId, kind: 'rename', wish: {}, by: userId, now: new Date() }),
    );
    await expect(prepareRepoKey(custody.db, did as Did)).rejects.toThrow('Another change');
    await expect(publish(did)).rejects.toThrow('Another change');
    await custody.db`UPDATE pds_changes SET ended_at = now(), outcome = 'cancelled' WHERE user_id = ${userId}`;
    await stage.pds.stop();
    const away = await repoKey('publish', did).finally(() => stage.restartPds());
    expect([away.code, away.output]).toEqual([1, expect.stringContaining('The PDS did not do it')]);
    expect(await identityOf(custody.bench, userId)).toMatchObject({ atproto_public_key: published });
  });
});
