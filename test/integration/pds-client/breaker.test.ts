import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connect, type Sql } from '../../../lib/db/connect.ts';
import {
  admit,
  FAILURES_TO_OPEN,
  noteFailure,
  noteSuccess,
  noteThrottled,
} from '../../../lib/pds/breaker.ts';
import { CREATIONS, nextTurn, takeCreation, WINDOW_MS } from '../../../lib/pds/budget.ts';
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

  it('is given 90 creations in any five minutes, wherever they begin, by all workers together', async () => {
    const take = (seconds: number) => takeCreation(sql, ID, { now: at(seconds) });
    const turn = (seconds: number, ahead = 0) => nextTurn(sql, ID, { now: at(seconds), ahead });
    const window = WINDOW_MS / 1000;
    expect(await take(-200)).toBe(true);
    const burst = await Promise.all(Array.from({ length: 100 }, () => take(0)));
    expect(burst.filter((taken) => taken)).toHaveLength(CREATIONS - 1);
    // The next one when the first of them is over, and those behind him when the others are.
    expect(await turn(90)).toEqual(at(window - 200));
    expect(await turn(90, 1)).toEqual(at(window));
    expect(await turn(90, CREATIONS - 1)).toEqual(at(window));
    expect(await turn(90, CREATIONS)).toEqual(at(2 * window - 200));
    expect(await take(window - 201)).toBe(false);
    expect(await take(window - 200)).toBe(true);
    expect(await take(window - 1)).toBe(false);
    expect(await take(window)).toBe(true);
    expect(await turn(window)).toEqual(at(window));
  });

  it('leaves the creations that are free to whoever came before', async () => {
    const take = (ahead: number) => takeCreation(sql, ID, { now: at(0), ahead });
    expect(await take(CREATIONS)).toBe(false);
    expect(await take(CREATIONS - 1)).toBe(true);
    expect(await take(CREATIONS - 1)).toBe(false);
    expect(await take(CREATIONS - 2)).toBe(true);
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
