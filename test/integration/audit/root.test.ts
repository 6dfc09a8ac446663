import { createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { CreateKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startKms } from '../../../infra/local/aws/kms.ts';
import { startS3 } from '../../../infra/local/aws/s3/s3.ts';
import { appendAudit } from '../../../lib/audit/append.ts';
import { canonicalJson } from '../../../lib/audit/canonical.ts';
import { eraseMember } from '../../../lib/audit/erase.ts';
import { openRoot, type SealedRoot, type Signer, sealRoot } from '../../../lib/audit/root.ts';
import { connect, type Sql } from '../../../lib/db/connect.ts';
import { freshDatabase, type TestDatabase } from '../../setup/database.ts';
import { auditVerify } from './audit-verify.ts';
import { entry, type LoggedMember, newMember } from './harness.ts';
import { loggedMember, tamper } from './tampering.ts';

const BUCKET = 'audit-roots';
let folder: string;
let kms: Awaited<ReturnType<typeof startKms>>;
let s3: Awaited<ReturnType<typeof startS3>>;
let database: TestDatabase;
let superuser: Sql;
let member: LoggedMember;
let handler: () => Promise<{ key: string; members: number; entries: number }>;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'audit-roots-'));
  [kms, s3, database] = await Promise.all([startKms(), startS3(folder), freshDatabase()]);
  s3.addBucket({ name: BUCKET, locked: true });
  superuser = connect(database.superuserUrl);
  member = await loggedMember(superuser);
  const other = await newMember(superuser);
  await superuser.begin((tx) => appendAudit(tx, entry(other)));
  const environment = {
    AWS_REGION: 'eu-central-1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    AWS_ENDPOINT_URL_KMS: kms.url,
    AWS_ENDPOINT_URL_S3: s3.url,
    DATABASE_URL: database.workerUrl,
    PDS_ENVIRONMENT: 'test',
    AUDIT_ROOTS_BUCKET: BUCKET,
    POWERTOOLS_LOG_LEVEL: 'SILENT',
  };
  Object.assign(process.env, environment);
  const created = await new KMSClient({}).send(
    new CreateKeyCommand({ KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' }),
  );
  process.env.AUDIT_SIGNING_KEY_ID = created.KeyMetadata?.Arn;
  ({ handler } = await import('../../../functions/audit/seal-root.ts'));
});
afterAll(async () => {
  await superuser.end();
  await Promise.all([kms.stop(), s3.stop(), database.drop()]);
  await rm(folder, { recursive: true });
});

/** Seals a root as the schedule does and returns the file that it became. */
async function seal(): Promise<string> {
  const { key } = await handler();
  return path.join(folder, BUCKET, key);
}
const read = async (file: string): Promise<SealedRoot> => JSON.parse(await readFile(file, 'utf8'));
const verifyAgainst = (root: string) => auditVerify('--database', database.apiUrl, '--root', root);

describe('the daily root', () => {
  it('holds every head, signed by KMS, in a file that is written once', async () => {
    const file = await seal();
    const root = openRoot(await read(file));
    expect(root).toMatchObject({ environment: 'test', members: 2, entries: 5 });
    expect(root.heads.at(-1)).toEqual([member.pnptvUuid, 4, expect.stringMatching(/^[0-9a-f]{64}$/)]);
    const { heads, signature, ...statement } = root;
    expect(await superuser`SELECT statement, signature, heads FROM audit_roots, audit_root_blocks`).toEqual([
      { statement, signature, heads },
    ]);
    await seal();
    expect(await readdir(path.dirname(file))).toHaveLength(2);
    const again = await fetch(`${s3.url}/${BUCKET}/${path.relative(path.join(folder, BUCKET), file)}`, {
      method: 'PUT',
      headers: { 'if-none-match': '*', authorization: 'AWS4-HMAC-SHA256' },
      body: '{}',
    });
    expect([again.status, await again.text()]).toEqual([412, expect.stringContaining('PreconditionFailed')]);
    expect(openRoot(await read(file))).toEqual(root);
  });

  it('has minutes to read all heads, whatever other statements of its role may take', async () => {
    const worker = connect(database.workerUrl);
    await worker`SET statement_timeout = '50ms'`;
    const sign: Signer = async () => ({
      key: 'k',
      public_key: 'cA==',
      algorithm: 'ECDSA_SHA_256',
      value: 'cA==',
    });
    // As long as somebody holds the log, reading it takes.
    const { promise: held, resolve: isHeld } = Promise.withResolvers<void>();
    const holding = superuser.begin(async (tx) => {
      await tx`LOCK TABLE pds_provisioning_log IN ACCESS EXCLUSIVE MODE`;
      isHeld();
      await tx`SELECT pg_sleep(0.3)`;
    });
    await held;
    const root = await sealRoot({ sql: worker, sign, now: () => new Date() }, 'test');
    expect(root.members).toBe(2);
    await holding;
    const [{ statement_timeout: after } = {}] = await worker`SHOW statement_timeout`;
    expect(after).toBe('50ms');
    await worker.end();
  });

  it('is refused when anything in it was changed', async () => {
    const root = await read(await seal());
    const [[uuid, seq] = ['', 0]] = root.heads;
    for (const change of [
      { created_at: '2020-01-01T00:00:00.000Z' },
      { members: 1 },
      { entries: 4 },
      { environment: 'production' },
      { root: 'ab'.repeat(32) },
      { heads: root.heads.slice(1) },
      { heads: root.heads.with(0, [uuid, seq, 'ab'.repeat(32)]) },
      { heads: root.heads.toReversed() },
      { signature: { ...root.signature, value: Buffer.from('none').toString('base64') } },
      { signature: { ...root.signature, public_key: Buffer.from('none').toString('base64') } },
      { note: 'slipped in' },
    ])
      expect(() => openRoot({ ...root, ...change })).toThrow('The sealed root');
  });

  it('shows whose key has signed it', async () => {
    const file = await seal();
    const root = await read(file);
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const { heads, signature, ...statement } = root;
    const forged = {
      ...statement,
      heads,
      signature: {
        ...signature,
        public_key: createPublicKey(privateKey).export({ format: 'der', type: 'spki' }).toString('base64'),
        value: sign('sha256', Buffer.from(canonicalJson(statement)), privateKey).toString('base64'),
      },
    };
    const other = path.join(folder, 'forged.json');
    await writeFile(other, JSON.stringify(forged));
    const keyIn = (output: string) => /public key \(SHA-256\): ([0-9a-f]{64})/.exec(output)?.[1];
    const [ours, theirs] = [await verifyAgainst(file), await verifyAgainst(other)];
    expect([ours.code, theirs.code]).toEqual([0, 0]);
    expect(keyIn(theirs.output)).not.toBe(keyIn(ours.output));
  });
});

describe('audit:verify --root', () => {
  it('accepts a log that has grown, and one whose member was erased', async () => {
    const file = await seal();
    const erased = await newMember(superuser);
    await superuser.begin(async (tx) => {
      await appendAudit(tx, entry(erased));
      await appendAudit(tx, entry(member));
    });
    const between = await seal();
    await superuser.begin((tx) => eraseMember(tx, { ...erased, createdBy: 'system' }));
    for (const root of [file, between]) {
      const { code, output } = await verifyAgainst(root);
      expect([code, output]).toEqual([0, expect.stringContaining('Intact: 8 entries of 3 members.')]);
    }
  });

  it.each([
    [
      'whose end was cut off',
      'DELETE FROM pds_provisioning_log WHERE pnptv_uuid = :member AND seq = 5',
      /BROKEN at entry 5 of fffffffe\S+: it is not there/,
    ],
    [
      'from which a member vanished, key and all',
      `WITH gone AS (DELETE FROM pds_erasure_keys WHERE pnptv_uuid = :member)
       DELETE FROM pds_provisioning_log WHERE pnptv_uuid = :member`,
      /BROKEN at entry 5 of fffffffe\S+: it is not there/,
    ],
  ])('finds a chain %s, which the log itself does not show', async (_, statement, broken) => {
    const [{ copy }] = await superuser<[{ copy: string }]>`
      SELECT count(*)::text AS copy FROM pds_provisioning_log WHERE pnptv_uuid = ${member.pnptvUuid}`;
    expect(copy).toBe('5');
    const file = await seal();
    await superuser`CREATE TABLE kept_log AS SELECT * FROM pds_provisioning_log WHERE pnptv_uuid = ${member.pnptvUuid}`;
    await superuser`CREATE TABLE kept_keys AS SELECT * FROM pds_erasure_keys WHERE pnptv_uuid = ${member.pnptvUuid}`;
    await superuser.begin((tx) => tamper(tx, statement, member));
    expect((await auditVerify('--database', database.apiUrl)).code).toBe(0);
    const { code, output } = await verifyAgainst(file);
    expect([code, output]).toEqual([1, expect.stringMatching(broken)]);
    const restore = `WITH keys AS (INSERT INTO pds_erasure_keys SELECT * FROM kept_keys ON CONFLICT DO NOTHING)
      INSERT INTO pds_provisioning_log SELECT * FROM kept_log ON CONFLICT DO NOTHING`;
    await superuser.begin((tx) => tamper(tx, restore, member));
    await superuser`DROP TABLE kept_log, kept_keys`;
  });

  it('finds a chain that was written anew, which the log itself does not show', async () => {
    const file = await seal();
    await superuser.begin(async (tx) => {
      await tamper(tx, 'DELETE FROM pds_provisioning_log WHERE pnptv_uuid = :member', member);
    });
    await superuser.begin(async (tx) => {
      for (let n = 0; n < 6; n += 1) await appendAudit(tx, entry(member, { details: { rewritten: n } }));
    });
    expect((await auditVerify('--database', database.apiUrl)).code).toBe(0);
    expect(await verifyAgainst(file)).toEqual({
      code: 1,
      output: expect.stringMatching(/BROKEN at entry 5 \(id \d+\) of fffffffe\S+: it is another one/),
    });
  });

  it('ends with 2 when the root is none', async () => {
    const file = path.join(folder, 'none.json');
    await writeFile(file, '{}');
    expect(await verifyAgainst(file)).toEqual({ code: 2, output: 'The sealed root is none.\n' });
  });
});
