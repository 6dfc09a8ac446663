import { createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exportLog } from '../../../lib/audit/api.ts';
import { appendAudit } from '../../../lib/audit/append.ts';
import { type LogExport, verifyExport } from '../../../lib/audit/export.ts';
import { storeRoot } from '../../../lib/audit/inclusion.ts';
import { type SealedRoot, type Signer, sealRoot } from '../../../lib/audit/root.ts';
import { connect, type Sql } from '../../../lib/db/connect.ts';
import type { ApiHandler } from '../../../lib/http/route.ts';
import { freshDatabase, type TestDatabase } from '../../setup/database.ts';
import { call, logIn, newcomer, setEnvironment } from '../http/app.ts';
import { auditVerify } from './audit-verify.ts';
import { entry, type LoggedMember } from './harness.ts';
import { tamper } from './tampering.ts';

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const publicKey = createPublicKey(privateKey).export({ format: 'der', type: 'spki' }).toString('base64');
const signer: Signer = async (message) => ({
  key: 'arn:aws:kms:eu-central-1:111122223333:key/1',
  public_key: publicKey,
  algorithm: 'ECDSA_SHA_256',
  value: sign('sha256', message, privateKey).toString('base64'),
});
const MEMBERS = 11;
const BLOCK = 4;

let database: TestDatabase;
let superuser: Sql;
let worker: Sql;
let download: ApiHandler;
let folder: string;
const members: (LoggedMember & { cookie: string })[] = [];

beforeAll(async () => {
  database = await freshDatabase();
  superuser = connect(database.superuserUrl);
  worker = connect(database.workerUrl);
  folder = await mkdtemp(path.join(tmpdir(), 'audit-inclusion-'));
  setEnvironment(database);
  download = (await import('../../../functions/audit/export-log.ts')).handler;
  for (let n = 0; n < MEMBERS; n += 1) members.push(await loggedIn(2 + n));
});
afterAll(async () => {
  await Promise.all([superuser.end(), worker.end()]);
  await database.drop();
  await rm(folder, { recursive: true });
});

async function loggedIn(entries: number) {
  const user = newcomer();
  const cookie = await logIn(user);
  const userId = String(user.id);
  const [mapping] = await superuser<[{ pnptv_uuid: string }]>`
    SELECT pnptv_uuid FROM user_pds_mapping WHERE user_id = ${userId}`;
  const member = { userId, pnptvUuid: mapping.pnptv_uuid, cookie };
  for (let n = 0; n < entries; n += 1) await superuser.begin((tx) => appendAudit(tx, entry(member)));
  return member;
}

async function seal(): Promise<SealedRoot> {
  const root = await sealRoot({ sql: worker, sign: signer, now: () => new Date() }, 'test');
  await worker.begin((tx) => storeRoot(tx, root, BLOCK));
  return root;
}
const downloaded = async (cookie: string) =>
  (await call(download, exportLog, { cookie })).data as LogExport & { root: NonNullable<LogExport['root']> };

async function verdictOn(content: unknown) {
  const file = path.join(folder, 'audit-log.json');
  await writeFile(file, JSON.stringify(content));
  return auditVerify(file);
}

describe('the download of a log', () => {
  it('proves for every member that his chain is under the newest root, with the file alone', async () => {
    const { heads: _, signature, ...statement } = await seal();
    for (const [n, { cookie }] of members.entries()) {
      const { root, entries } = await downloaded(cookie);
      expect(root).toMatchObject({ statement, seq: 2 + n, path: expect.any(Array) });
      expect(root.signature).toEqual({
        public_key: publicKey,
        algorithm: 'ECDSA_SHA_256',
        value: signature.value,
      });
      expect(verifyExport(await downloaded(cookie))).toEqual({
        members: 1,
        entries: entries.length,
        broken: null,
      });
    }
    const { code, output } = await verdictOn(await downloaded(members[0]?.cookie ?? ''));
    expect([code, output]).toEqual([
      0,
      expect.stringMatching(
        /^Root of \S+: \d+ entries of 11 members\n {2}public key \(SHA-256\): [0-9a-f]{64}\nIntact: 2 entries of 1 member\.\n$/,
      ),
    ]);
  });

  it('proves it also when the log has grown since, and names nobody else', async () => {
    const [one, ...others] = members as [(typeof members)[0], ...typeof members];
    await seal();
    await superuser.begin((tx) => appendAudit(tx, entry(one)));
    const data = await downloaded(one.cookie);
    expect(data.root.seq).toBe(data.entries.length - 1);
    expect(verifyExport(data).broken).toBeNull();
    for (const { pnptvUuid, userId } of others) {
      expect(JSON.stringify(data)).not.toContain(pnptvUuid);
      expect(JSON.stringify(data)).not.toContain(userId);
    }
    expect(JSON.stringify(data)).not.toContain('arn:aws');
  });

  it('has no root yet for whoever came after it, and only the newest is kept', async () => {
    await seal();
    const { cookie } = await loggedIn(1);
    const { root } = await downloaded(cookie);
    expect(root).toBeNull();
    const [kept] = await superuser`
      SELECT (SELECT count(*) FROM audit_roots) AS roots, (SELECT count(*) FROM audit_root_blocks) AS blocks`;
    expect(kept).toEqual({ roots: 1, blocks: Math.ceil(MEMBERS / BLOCK) });
  });

  it('shows a chain that was cut off, and one that was written anew', async () => {
    const { cookie, pnptvUuid, userId } = await loggedIn(3);
    await seal();
    await superuser.begin((tx) =>
      tamper(tx, 'DELETE FROM pds_provisioning_log WHERE pnptv_uuid = :member AND seq = 3', {
        pnptvUuid,
        userId,
      }),
    );
    expect(await verdictOn(await downloaded(cookie))).toEqual({
      code: 1,
      output: expect.stringContaining(`BROKEN at entry 3 of ${pnptvUuid}: it is not there`),
    });
    await superuser.begin((tx) => appendAudit(tx, entry({ pnptvUuid, userId }, { details: { other: 1 } })));
    const rewritten = await downloaded(cookie);
    expect(await verdictOn(rewritten)).toEqual({
      code: 1,
      output: expect.stringMatching(/BROKEN at entry 3 \(id \d+\) of \S+: it is another one than under the/),
    });
    // Without the root nothing shows it.
    expect(verifyExport({ ...rewritten, root: null }).broken).toBeNull();
  });

  it('is refused when its root was changed', async () => {
    await seal();
    const data = await downloaded(members[5]?.cookie ?? '');
    const { root } = data;
    const forged = (change: object) => ({ ...data, root: { ...root, ...change } });
    for (const [name, value] of Object.entries({ members: 1, root: 'ab'.repeat(32), environment: 'other' }))
      expect(await verdictOn(forged({ statement: { ...root.statement, [name]: value } }))).toEqual({
        code: 2,
        output: 'The sealed root does not bear the signature of its key.\n',
      });
    for (const change of [
      { path: root.path.slice(1) },
      { path: root.path.toReversed() },
      { leaf_index: root.leaf_index + 1 },
      { leaf_index: 2 ** 40 },
      { seq: root.seq - 1 },
    ])
      expect(verifyExport(forged(change) as LogExport).broken).toMatchObject({ fault: 'head' });
    expect(await verdictOn(forged({ leaf_index: -1 }))).toMatchObject({ code: 2 });
  });
});
