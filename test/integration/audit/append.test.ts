import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appendAudit } from '../../../lib/audit/append.ts';
import { eraseMember } from '../../../lib/audit/erase.ts';
import { readChain, verifyMember } from '../../../lib/audit/verify.ts';
import { connect, type Sql } from '../../../lib/db/connect.ts';
import { freshDatabase, type TestDatabase } from '../../setup/database.ts';
import { entry, newMember, readEntries } from './harness.ts';

let database: TestDatabase;
let api: Sql;
let worker: Sql;
beforeAll(async () => {
  database = await freshDatabase();
  api = connect(database.apiUrl, { max: 5 });
  worker = connect(database.workerUrl, { max: 5 });
});
afterAll(async () => {
  await Promise.all([api.end(), worker.end()]);
  await database.drop();
});

describe('appendAudit', () => {
  it('writes what happened, and the member reads it', async () => {
    const member = await newMember(api);
    const details = { pds_did: 'did:web:alice-a1b2c3.pnptv.app', pds_handle: 'alice.pnptv.app' };
    await api.begin((tx) => appendAudit(tx, entry(member, { action: 'created', details })));
    await api.begin((tx) =>
      appendAudit(
        tx,
        entry(member, {
          action: 'error',
          status: 'failed',
          errorCode: 'PDS_DOWN',
          errorMessage: 'No answer',
        }),
      ),
    );
    expect(await readEntries(api, member)).toEqual([
      {
        action: 'created',
        status: 'success',
        details,
        error_code: null,
        error_message: null,
        created_by: 'system',
      },
      {
        action: 'error',
        status: 'failed',
        details: null,
        error_code: 'PDS_DOWN',
        error_message: 'No answer',
        created_by: 'system',
      },
    ]);
    expect(await verifyMember(api, member.pnptvUuid)).toMatchObject({ intact: true, rows: 2 });
  });

  it('makes one chain without gap or fork of 50 appends at once over ten connections', async () => {
    const member = await newMember(api);
    await Promise.all(
      Array.from({ length: 50 }, (_, n) =>
        (n % 2 ? api : worker).begin((tx) => appendAudit(tx, entry(member, { details: { n } }))),
      ),
    );
    const { rows } = await readChain(api, member.pnptvUuid);
    expect(rows.map(({ seq }) => seq)).toEqual(Array.from({ length: 50 }, (_, index) => index + 1));
    expect(new Set(rows.map(({ details }) => (details as { n: number }).n)).size).toBe(50);
    expect(await verifyMember(api, member.pnptvUuid)).toMatchObject({ intact: true, rows: 50 });
  });

  it('leaves no gap when transactions roll back, even the one that made the chain', async () => {
    const member = await newMember(api);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 30 }, (_, n) =>
        api.begin(async (tx) => {
          await appendAudit(tx, entry(member, { details: { n } }));
          if (n % 3 === 0) throw new Error('rolled back');
        }),
      ),
    );
    expect(outcomes.filter(({ status }) => status === 'rejected')).toHaveLength(10);
    expect(await verifyMember(api, member.pnptvUuid)).toMatchObject({ intact: true, rows: 20 });
  });

  it('does not let members wait for each other', async () => {
    const [slow, quick] = [await newMember(api), await newMember(api)];
    await worker.begin(async (tx) => {
      await appendAudit(tx, entry(slow));
      await api.begin((other) => appendAudit(other, entry(quick)));
    });
    expect(await verifyMember(api, quick.pnptvUuid)).toMatchObject({ intact: true, rows: 1 });
  });

  it('fails rather than forks under a snapshot from before the wait', async () => {
    const member = await newMember(api);
    await api.begin((tx) => appendAudit(tx, entry(member)));
    const late = worker.begin('isolation level repeatable read', async (tx) => {
      await tx`SELECT count(*) FROM pds_provisioning_log`;
      await api.begin((other) => appendAudit(other, entry(member)));
      await appendAudit(tx, entry(member));
    });
    await expect(late).rejects.toThrow();
    expect(await verifyMember(api, member.pnptvUuid)).toMatchObject({ intact: true, rows: 2 });
  });

  it('verifies whatever JSON the details are, after jsonb has rewritten it', async () => {
    const member = await newMember(api);
    const anyDetails = fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue({ stringUnit: 'binary' }));
    const many = fc.sample(anyDetails, 150);
    many.push({ numbers: [1e300, 5e-324, -0, 0.1 + 0.2, 2 ** 53, 1e21, 1e-7] }, { '': { '': [] } });
    await api.begin(async (tx) => {
      for (const details of many) await appendAudit(tx, entry(member, { details }));
    });
    expect(await verifyMember(api, member.pnptvUuid)).toMatchObject({ intact: true, rows: many.length });
  });

  it('takes a message that PostgreSQL would refuse', async () => {
    const member = await newMember(api);
    await api.begin((tx) => appendAudit(tx, entry(member, { errorMessage: 'half \ud800, nothing \0' })));
    expect(await readEntries(api, member)).toMatchObject([{ error_message: 'half \ufffd, nothing \ufffd' }]);
  });
});

describe('eraseMember', () => {
  it('removes the personal data and leaves a chain that verifies', async () => {
    const member = await newMember(api);
    await api.begin(async (tx) => {
      await appendAudit(tx, entry(member, { action: 'created', details: { pds_handle: 'alice.pnptv.app' } }));
      await appendAudit(tx, entry(member, { createdBy: member.userId, errorMessage: 'alice is not there' }));
      await appendAudit(tx, entry(member, { createdBy: '777', action: 'retry' }));
    });
    expect(await worker.begin((tx) => eraseMember(tx, { ...member, createdBy: member.userId }))).toBe(4);

    const stored =
      await api`SELECT * FROM pds_provisioning_log WHERE pnptv_uuid = ${member.pnptvUuid} ORDER BY seq`;
    const text = JSON.stringify(stored);
    expect(text).not.toContain('alice');
    expect(text).not.toContain(member.userId);
    expect(stored.map((row) => [row.action, row.created_by])).toEqual([
      ['created', 'system'],
      ['verified', null],
      ['retry', '777'],
      ['erased', null],
    ]);
    expect(
      await api`SELECT erasure_key FROM pds_erasure_keys WHERE pnptv_uuid = ${member.pnptvUuid}`,
    ).toEqual([{ erasure_key: null }]);
    expect(await verifyMember(api, member.pnptvUuid)).toMatchObject({ intact: true, rows: 4 });
    expect(await readEntries(api, member)).toEqual([]);
  });

  it('lets nothing be logged afterwards, and frees the user row', async () => {
    const member = await newMember(api);
    await worker.begin((tx) => eraseMember(tx, { ...member, createdBy: 'system' }));
    await expect(api.begin((tx) => appendAudit(tx, entry(member)))).rejects.toMatchObject({
      code: 'AUDIT_MEMBER_ERASED',
    });
    await expect(
      worker.begin((tx) => eraseMember(tx, { ...member, createdBy: 'system' })),
    ).rejects.toMatchObject({ code: 'AUDIT_MEMBER_ERASED' });
    const owner = connect(database.ownerUrl);
    expect((await owner`DELETE FROM users WHERE id = ${member.userId}`).count).toBe(1);
    await owner.end();
  });

  it('happens completely or not at all', async () => {
    const member = await newMember(api);
    await api.begin((tx) => appendAudit(tx, entry(member, { details: { kept: true } })));
    const undone = worker.begin(async (tx) => {
      await eraseMember(tx, { ...member, createdBy: 'system' });
      throw new Error('rolled back');
    });
    await expect(undone).rejects.toThrow('rolled back');
    expect(await readEntries(api, member)).toMatchObject([{ details: { kept: true } }]);
    expect(await verifyMember(api, member.pnptvUuid)).toMatchObject({ intact: true, rows: 1 });
  });

  it('is refused without its entry in the same transaction', async () => {
    const member = await newMember(api);
    await api.begin((tx) => appendAudit(tx, entry(member)));
    await expect(worker`SELECT erase_member(${member.pnptvUuid})`).rejects.toThrow(
      'write the entry `erased` first',
    );
    await worker.begin((tx) => appendAudit(tx, entry(member, { action: 'erased' })));
    await expect(worker`SELECT erase_member(${member.pnptvUuid})`).rejects.toThrow('in this transaction');
    await expect(worker`SELECT erase_member(gen_random_uuid())`).rejects.toThrow(
      'write the entry `erased` first',
    );
    expect(await verifyMember(api, member.pnptvUuid)).toMatchObject({ intact: true, rows: 2 });
  });
});
