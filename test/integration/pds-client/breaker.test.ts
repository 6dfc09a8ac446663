import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connect, type Sql } from '../../../lib/db/connect.ts';
import {
  admit,
  FAILURES_TO_OPEN,
  noteFailure,
  noteSuccess,
  noteThrottled,
} from '../../../lib/pds/breaker.ts';
import { takeCreation } from '../../../lib/pds/budget.ts';
import { readProviderState, storeProviders, storeServiceDid } from '../../../lib/pds/providers.ts';
import { freshDatabase, type TestDatabase } from '../../setup/database.ts';

const ID = 'local';
const START = Date.parse('2026-05-01T12:00:00Z');
const at = (seconds: number) => new Date(START + seconds * 1000);
const provider = { id: ID, endpoint: 'https://pds.test', weight: 1 };

describe('what all workers know of a provider', () => {
  let database: TestDatabase;
  let sql: Sql;
  beforeEach(async () => {
    database = await freshDatabase();
    sql = connect(database.workerUrl, { max: 4 });
    await storeProviders(sql, [provider]);
  });
  afterEach(async () => {
    await sql.end();
    await database.drop();
  });
  const ask = async (seconds: number) =>
    admit(sql, await readProviderState(sql, ID), { now: at(seconds), probeMs: 10_000 });
  const fail = (seconds: number) => noteFailure(sql, ID, at(seconds));
  async function open() {
    for (let n = 1; n < FAILURES_TO_OPEN; n += 1) expect(await fail(0)).toBeUndefined();
    expect(await fail(0)).toEqual(at(5));
  }

  it('opens at the fifth failure in a row and pauses longer each time, up to half a minute', async () => {
    await open();
    expect(await ask(1)).toEqual({ admitted: false, reason: 'provider_down', until: at(5) });
    expect(await fail(2)).toEqual(at(5)); // was under way already
    let time = 5;
    const pauses: number[] = [];
    for (let n = 0; n < 5; n += 1) {
      expect(await ask(time)).toEqual({ admitted: true });
      const until = await fail(time);
      pauses.push(((until?.getTime() ?? 0) - at(time).getTime()) / 1000);
      time = ((until?.getTime() ?? 0) - START) / 1000;
    }
    expect(pauses).toEqual([10, 20, 30, 30, 30]);
  });

  it('forgets failures at the first success, and writes nothing while there is nothing to forget', async () => {
    for (let n = 1; n < FAILURES_TO_OPEN; n += 1) await fail(0);
    await noteSuccess(sql, await readProviderState(sql, ID));
    expect(await fail(0)).toBeUndefined();
    await noteSuccess(sql, await readProviderState(sql, ID));
    const version = async () => (await sql`SELECT xmin::text AS version FROM pds_providers`)[0]?.version;
    const before = await version();
    await noteSuccess(sql, await readProviderState(sql, ID));
    expect(await version()).toBe(before);
  });

  it('lets in one probe of many, and another one when that one never came back', async () => {
    await open();
    const asked = await Promise.all(Array.from({ length: 8 }, () => ask(6)));
    expect(asked.filter(({ admitted }) => admitted)).toHaveLength(1);
    expect(asked.find(({ admitted }) => !admitted)).toMatchObject({ until: at(16) });
    expect(await ask(17)).toEqual({ admitted: true });
    expect(await noteSuccess(sql, await readProviderState(sql, ID))).toBe(true);
    expect(await ask(18)).toEqual({ admitted: true });
  });

  it('is left alone until it said, and a shorter time said later does not shorten it', async () => {
    await noteThrottled(sql, ID, at(60));
    await noteThrottled(sql, ID, at(30));
    expect(await ask(59)).toEqual({ admitted: false, reason: 'provider_busy', until: at(60) });
    expect(await ask(60)).toEqual({ admitted: true });
  });

  it('is given 90 creations at once and then one every 3.3 seconds, by all workers together', async () => {
    const first = await Promise.all(Array.from({ length: 100 }, () => takeCreation(sql, ID, { now: at(0) })));
    expect(first.filter((freeAt) => freeAt === undefined)).toHaveLength(90);
    expect(await takeCreation(sql, ID, { now: at(3) })).toEqual(new Date(START + 3333));
    expect(await takeCreation(sql, ID, { now: at(4) })).toBeUndefined();
    expect(await takeCreation(sql, ID, { now: at(4) })).toBeInstanceOf(Date);
    expect(await takeCreation(sql, ID, { now: at(3600) })).toBeUndefined();
    expect(await takeCreation(sql, ID, { now: at(3600), ahead: 88 })).toBeUndefined();
    expect(await takeCreation(sql, ID, { now: at(3600), ahead: 88 })).toEqual(
      new Date(START + 3600_000 + 3333),
    );
    // A full bucket is for whoever comes, however many seem to wait.
    expect(await takeCreation(sql, ID, { now: at(7200), ahead: 500 })).toBeUndefined();
  });

  it('keeps what it learned over restarts, and forgets the service DID of a provider that moved', async () => {
    await storeServiceDid(sql, ID, 'did:web:pds.test');
    await storeProviders(sql, [provider]);
    expect(await readProviderState(sql, ID)).toMatchObject({ service_did: 'did:web:pds.test' });
    await storeProviders(sql, [{ ...provider, endpoint: 'https://other.test', adminPassword: 'x' }]);
    expect(await readProviderState(sql, ID)).toMatchObject({ service_did: null });
    const [row] = await sql`SELECT endpoint, capabilities FROM pds_providers`;
    expect(row).toEqual({
      endpoint: 'https://other.test',
      capabilities: ['create', 'list_repos', 'reset_password', 'delete'],
    });
  });
});
