import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appendAudit } from '../../../lib/audit/append.ts';
import { eraseMember } from '../../../lib/audit/erase.ts';
import { connect } from '../../../lib/db/connect.ts';
import { freshDatabase, type TestDatabase } from '../../setup/database.ts';
import { auditVerify } from './audit-verify.ts';
import { entry, newMember } from './harness.ts';
import { loggedMember, TAMPERINGS, tamper } from './tampering.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'audit-verify-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function withDatabase(work: (database: TestDatabase) => Promise<void>): Promise<void> {
  const database = await freshDatabase();
  await work(database).finally(() => database.drop());
}

const NO_ROOT = 'Without --root nothing shows whether entries are missing at the end of a chain.\n';

describe('audit:verify of a database', () => {
  it('counts what holds, also under the role of the API', () =>
    withDatabase(async ({ superuserUrl, apiUrl, ownerUrl }) => {
      const superuser = connect(superuserUrl);
      expect(await auditVerify('--database', ownerUrl)).toEqual({
        code: 0,
        output: `Intact: 0 entries of 0 members.\n${NO_ROOT}`,
      });
      await loggedMember(superuser);
      const erased = await newMember(superuser);
      await superuser.begin(async (tx) => {
        await appendAudit(tx, entry(erased));
        await eraseMember(tx, { ...erased, createdBy: 'system' });
      });
      await superuser.end();
      expect(await auditVerify('--database', apiUrl)).toEqual({
        code: 0,
        output: `Intact: 6 entries of 2 members.\n${NO_ROOT}`,
      });
    }));

  it.each(TAMPERINGS)('names the row that was $what', ({ statement, seq, fault }) =>
    withDatabase(async ({ superuserUrl, apiUrl }) => {
      const superuser = connect(superuserUrl);
      const member = await loggedMember(superuser);
      await superuser.begin((tx) => tamper(tx, statement, member));
      await superuser.end();
      const { code, output } = await auditVerify('--database', apiUrl);
      expect(code).toBe(1);
      const id = fault === 'missing' || /DELETE FROM pds_prov/.test(statement) ? '' : ' \\(id \\d+\\)';
      expect(output).toMatch(new RegExp(`^BROKEN at entry ${seq}${id} of ${member.pnptvUuid}: .+`));
    }),
  );

  it('ends with 2 when it cannot find out, and keeps the password to itself', async () => {
    const { code, output } = await auditVerify('--database', 'postgres://nobody:s3cret@127.0.0.1:1/none');
    expect([code, output]).toEqual([
      2,
      expect.stringMatching(/^The log at 127\.0\.0\.1:1 cannot be read: .+\n$/),
    ]);
    expect(output).not.toContain('s3cret');
    expect(await auditVerify('--data', path.join(folder, 'none'))).toEqual({
      code: 2,
      output: expect.stringContaining('No platform runs on'),
    });
  });
});

describe('audit:verify of a file', () => {
  it.each([
    ['not there', undefined, /^.+ cannot be read: ENOENT/],
    ['no JSON', '{', /^.+ cannot be read: /],
    ['something else', '{"success":true,"data":{"format":"other"}}', / is no exported log: see format\.\n$/],
  ])('that is %s ends with 2', async (_, content, problem) => {
    const file = path.join(folder, `${Math.random()}.json`);
    if (content !== undefined) await writeFile(file, content);
    const { code, output } = await auditVerify(file);
    expect([code, output]).toEqual([2, expect.stringMatching(problem)]);
  });

  it.each([
    [['a.json', 'b.json'], "Unexpected argument 'b.json'."],
    [['a.json', '--database', 'postgres://x/y'], 'Give a FILE or a --database, not both.'],
    [['--database', 'mysql://x/y'], '--database takes a postgres:// URL.'],
    [['--quick'], "Unknown option '--quick'"],
  ])('called with %j shows its usage', async (args, problem) => {
    const { code, output } = await auditVerify(...args);
    expect([code, output.split('\n\n', 1)[0]]).toEqual([2, problem]);
  });
});
