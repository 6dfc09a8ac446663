import type { AtpAgent } from '@atproto/api';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { callBack } from '../../../../lib/lifecycle/move/call-back.ts';
import { reconcileOrphans } from '../../../../lib/provisioning/orphans/reconcile.ts';
import { plc } from '../../../unit/identity/plc/judge.ts';
import type { Fault } from '../../provisioning/faulty.ts';
import { mortal } from '../../provisioning/mortal.ts';
import { identityOf, type QueueRow, rowOf, sqlAsOwner } from '../../provisioning/stage.ts';
import { faultyTo, useProviders } from '../../provisioning/two-pds.ts';
import { openShipyard, openVoyage, type Shipyard, type Voyage, writeNotes } from './voyage.ts';

const HOUR = 3600_000;
const ACTIVATE = 'com.atproto.server.activateAccount';
/** What changes something at a PDS, in the PLC directory, or in our own books. */
const EFFECTS = /\.(deactivateAccount|activateAccount|updateHandle)$|^did:plc|^UPDATE pds_changes/;
const cut = () => Promise.reject(Object.assign(new Error('nobody listens'), { code: 'ECONNREFUSED' }));

describe('coming home from a PDS that the document names already', () => {
  let yard: Shipyard;
  let voyage: Voyage;
  let userId: string;
  let did: string;
  let client: AtpAgent;
  beforeAll(async () => {
    yard = await openShipyard();
    voyage = await openVoyage(yard);
  });
  afterAll(async () => {
    await voyage.close();
    await yard.close();
  });
  beforeEach(async () => {
    inWeather({});
    // Each has two hours of its own: so long a PDS's tokens live.
    voyage.skip(Date.now() - voyage.bench.deps.now().getTime());
    await sqlAsOwner(
      voyage.bench.database,
      (sql) =>
        sql`UPDATE pds_providers SET breaker_state = 'closed', breaker_until = NULL, consecutive_failures = 0`,
    );
  });

  async function member(didMethod: 'web' | 'plc' = 'web') {
    userId = await voyage.member(didMethod);
    client = await voyage.clientOf(userId);
    did = client.assertDid;
    await writeNotes(client, 3);
  }
  /** What is between our worker and one of the two; undefined: nothing. */
  type Weather = { local?: Fault; remote?: Fault };
  function inWeather({ local = () => undefined, remote = () => undefined }: Weather) {
    const [here, there] = [faultyTo(yard.two.pds, local), faultyTo(yard.two.remote, remote)];
    const { url } = yard.two.pds;
    voyage.bench.deps.fetch = (input, init) =>
      (String(input).startsWith(url) ? here : there).fetch(input, init);
  }
  /** Gone for us from this request on; `does` it once, but its answer gets lost. */
  const goneFrom = (nsid: string, does = false): Fault => {
    let gone = false;
    return (call) => {
      if (gone) return cut();
      gone = call.nsid === nsid;
      if (!gone) return undefined;
      return does ? call.send().then(cut) : cut();
    };
  };
  const directory = () => new plc.Client(yard.directory.url);
  const impatient = ({ parked_reason }: QueueRow) =>
    parked_reason === 'provider_down' && voyage.skip(HOUR / 5);
  /** Works on a row until the move stands at this step. */
  async function workTo(step: string, { changeId, queueId }: { changeId: number; queueId: string }) {
    for (let run = 0; run < 20; run += 1) {
      if ((await voyage.changeOf(changeId))?.step === step) return;
      voyage.skip(HOUR / 5.5);
      await voyage.perform(queueId);
    }
    throw new Error(`never came to ${step}: ${JSON.stringify(await voyage.changeOf(changeId))}`);
  }
  async function expectHome() {
    await writeNotes(client, 1, 'and on it goes');
    const { identity, repo } = await voyage.proveAt(userId, yard.two.pds);
    expect(identity).toMatchObject({ provider_id: 'local' });
    expect(repo.creates).toHaveLength(4);
    return identity;
  }
  /** What the reconciler makes of his account at the other PDS. */
  async function reconcile() {
    voyage.skip(HOUR / 12);
    const { deps } = voyage.bench;
    await reconcileOrphans(deps, new Date(deps.now().getTime() + HOUR));
    const orphans = await voyage.orphansOf(userId);
    return Object.fromEntries(orphans.map(({ provider_id, state }) => [provider_id, state]));
  }

  it.each(['web', 'plc'] as const)(
    'which vanishes when it is to activate the account of a did:%s, and may have done so',
    async (didMethod) => {
      await member(didMethod);
      const { credential_version: before } = await identityOf(voyage.bench, userId);
      const entry = didMethod === 'plc' && (await directory().getDocumentData(did));
      inWeather({ remote: goneFrom(ACTIVATE, true) });
      const { changeId, queueId } = await voyage.request(userId);
      await voyage.workOn(queueId, impatient);
      const change = await voyage.changeOf(changeId);
      expect(change).toMatchObject({ outcome: 'failed', error_code: 'MOVE_TARGET_SILENT' });
      expect(change?.error_message).toContain('is back on the PDS where it was');
      const log = await voyage.bench.sql`
        SELECT status, details FROM pds_provisioning_log WHERE user_id = ${userId} AND action = 'moved' ORDER BY seq`;
      expect(log.map(({ status, details }) => `${status} ${details.to}`)).toEqual([
        `pending ${voyage.there}`,
        'pending local',
        `failed ${voyage.there}`,
      ]);
      expect(await voyage.statusAt(yard.two.remote, did)).toBe('active');
      inWeather({});
      expect(await reconcile()).toEqual({ local: 'in_use', [voyage.there]: 'deactivated' });
      expect(await expectHome()).toMatchObject({ credential_version: before + 2 });
      if (entry) expect(await directory().getDocumentData(did)).toEqual(entry);
    },
    60_000,
  );

  it('which is stopped then, and started again when he is back', async () => {
    await member();
    let stopped: Promise<void> | undefined;
    inWeather({
      remote: ({ nsid }) => {
        if (nsid === ACTIVATE) stopped = yard.two.remote.stop();
        return stopped?.then(cut);
      },
    });
    const { changeId, queueId } = await voyage.request(userId);
    await voyage.workOn(queueId, impatient);
    expect(await voyage.changeOf(changeId)).toMatchObject({ error_code: 'MOVE_TARGET_SILENT' });
    inWeather({});
    expect(await reconcile()).toMatchObject({ [voyage.there]: 'possible' });
    await yard.two.restartRemote();
    await expectHome();
    expect(await reconcile()).toMatchObject({ [voyage.there]: 'deactivated' });
  }, 60_000);

  it('which does not want to activate his account after all', async () => {
    await member();
    const asked: string[] = [];
    inWeather({
      remote: ({ nsid }) => {
        asked.push(nsid);
        return nsid === ACTIVATE
          ? Promise.resolve(Response.json({ error: 'Broken', message: 'not today' }, { status: 500 }))
          : undefined;
      },
    });
    const { changeId, queueId } = await voyage.request(userId);
    await voyage.workOn(queueId);
    expect(await voyage.changeOf(changeId)).toMatchObject({
      outcome: 'failed',
      error_code: 'MOVE_TARGET_UNWILLING',
    });
    expect(asked.indexOf('com.atproto.server.deactivateAccount')).toBeGreaterThan(
      asked.lastIndexOf(ACTIVATE),
    );
    await expectHome();
  }, 60_000);

  it('because its member wants to, up to the moment when his account there is known to be active', async () => {
    await member();
    const { changeId, queueId } = await voyage.request(userId);
    inWeather({
      remote: ({ nsid, send }) =>
        nsid === ACTIVATE
          ? send().then(async (answer) => {
              expect(await voyage.cancel(userId, changeId)).toEqual({ cancelled: false });
              return answer;
            })
          : undefined,
    });
    await voyage.workOn(queueId);
    expect(await voyage.changeOf(changeId)).toMatchObject({ outcome: 'cancelled' });
    await expectHome();
  }, 60_000);

  it('but not when he has written something there', async () => {
    await member();
    const { changeId, queueId } = await voyage.request(userId);
    let asked = 0;
    inWeather({
      remote: ({ nsid, send }) =>
        nsid === ACTIVATE && asked++ === 0
          ? send().then(async (answer) => {
              await voyage.cancel(userId, changeId);
              await writeNotes(await voyage.clientOf(userId), 1, 'in the new home');
              return answer;
            })
          : undefined,
    });
    await voyage.workOn(queueId);
    expect(await voyage.changeOf(changeId)).toMatchObject({ outcome: 'done' });
    const { repo } = await voyage.proveAt(userId, yard.two.remote);
    expect(repo.creates).toHaveLength(4);
  }, 60_000);

  it('which goes for good when his account there is active: because an operator wants to, and nothing is deleted there', async () => {
    await member();
    const { changeId, queueId } = await voyage.request(userId);
    inWeather({ remote: goneFrom('com.atproto.repo.putRecord') });
    await voyage.perform(queueId);
    expect(await voyage.changeOf(changeId)).toMatchObject({ step: 'activated', outcome: null });
    await expect(voyage.cancel(userId, changeId)).rejects.toMatchObject({ code: 'CHANGE_NOT_CANCELLABLE' });
    const operator = (who: string) => sqlAsOwner(voyage.bench.database, (sql) => callBack(sql, who));
    await expect(operator('1')).rejects.toMatchObject({ code: 'NO_MOVE' });
    await operator(userId);
    inWeather({ remote: cut });
    await voyage.workOn(queueId, impatient);
    expect(await voyage.changeOf(changeId)).toMatchObject({ outcome: 'cancelled' });
    const { deps } = voyage.bench;
    const { adminPassword } = yard.two.remote;
    const before = deps.providers;
    await useProviders(voyage.bench, await yard.two.providers({ remote: { adminPassword } }));
    inWeather({});
    expect(await reconcile()).toEqual({ local: 'in_use', [voyage.there]: 'possible' });
    await useProviders(voyage.bench, before);
    await expectHome();
    expect(await voyage.statusAt(yard.two.remote, did)).toBe('deactivated');
  }, 60_000);

  it('which is named by the PLC directory only', async () => {
    await member('plc');
    let gone = false;
    const { changeId, queueId } = await voyage.request(userId);
    voyage.bench.deps.fetch = (async (input: string, init?: RequestInit) => {
      if (gone && input.startsWith(yard.two.remote.url)) return cut();
      const isOperation = init?.method === 'POST' && input.startsWith(yard.directory.url);
      if (!isOperation || gone) return fetch(input, init);
      await fetch(input, init);
      gone = true;
      return cut();
    }) as typeof fetch;
    await voyage.workOn(queueId, impatient);
    expect(await voyage.changeOf(changeId)).toMatchObject({
      outcome: 'failed',
      error_code: 'MOVE_TARGET_SILENT',
    });
    await expectHome();
  }, 60_000);

  it.each(['local', 'remote'] as const)(
    'or go on, should both be gone, as soon as one answers again: %s',
    async (first) => {
      await member();
      let areGone = false;
      const whileGone = () => (areGone ? cut() : undefined);
      inWeather({
        local: whileGone,
        remote: ({ nsid }) => {
          areGone ||= nsid === ACTIVATE;
          return whileGone();
        },
      });
      const { changeId, queueId } = await voyage.request(userId);
      for (let run = 0; run < 7; run += 1) {
        voyage.skip(HOUR / 5.5);
        await voyage.perform(queueId);
      }
      expect(await voyage.changeOf(changeId)).toMatchObject({ step: 'published', outcome: null });
      const { pnptv_uuid: subject } = await identityOf(voyage.bench, userId);
      const told = await sqlAsOwner(
        voyage.bench.database,
        (sql) => sql`SELECT kind FROM operator_notices WHERE subject = ${subject}`,
      );
      expect([...told]).toEqual([{ kind: 'move_unfinished' }]);
      inWeather({ [first === 'local' ? 'remote' : 'local']: cut });
      await voyage.workOn(queueId);
      inWeather({});
      if (first === 'local') {
        await expectHome();
        return;
      }
      expect(await voyage.changeOf(changeId)).toMatchObject({ outcome: 'done' });
      await voyage.proveAt(userId, yard.two.remote);
    },
    60_000,
  );

  it('whatever is silent on the way: the old one for hours, and the new one comes back meanwhile', async () => {
    await member();
    inWeather({ remote: goneFrom(ACTIVATE, true) });
    const work = await voyage.request(userId);
    await workTo('published', work);
    inWeather({ local: goneFrom(ACTIVATE), remote: cut });
    await workTo('returned', work);
    expect(await voyage.orphansOf(userId)).toMatchObject([{ state: 'in_use' }]);
    await expect(voyage.cancel(userId, work.changeId)).rejects.toMatchObject({
      code: 'CHANGE_NOT_CANCELLABLE',
    });
    inWeather({ local: cut });
    for (let run = 0; run < 3; run += 1) {
      voyage.skip(HOUR / 12);
      await voyage.perform(work.queueId);
    }
    expect(await voyage.statusAt(yard.two.pds, did)).toBe('deactivated');
    inWeather({});
    await voyage.workOn(work.queueId);
    expect(await voyage.changeOf(work.changeId)).toMatchObject({ error_code: 'MOVE_TARGET_SILENT' });
    expect(await reconcile()).toMatchObject({ [voyage.there]: 'deactivated' });
    await expectHome();
  }, 60_000);

  it('also when the old one is gone for good by then: he is free, and what the new one has is kept', async () => {
    await member();
    inWeather({ remote: goneFrom(ACTIVATE, true), local: goneFrom(ACTIVATE) });
    const { changeId, queueId } = await voyage.request(userId);
    await workTo('published', { changeId, queueId });
    await voyage.cancel(userId, changeId);
    await workTo('returned', { changeId, queueId });
    await voyage.workOn(queueId, () => voyage.skip(7 * HOUR));
    expect(await voyage.changeOf(changeId)).toMatchObject({ error_code: 'MOVE_NOT_TAKEN_BACK' });
    inWeather({});
    expect(await reconcile()).toEqual({ local: 'in_use', [voyage.there]: 'deactivated' });
    expect(await voyage.statusAt(yard.two.remote, did)).toBe('deactivated');
  }, 60_000);

  it('through workers that die after every single thing that they do', async () => {
    await member('plc');
    const work = await voyage.request(userId);
    inWeather({ remote: ({ nsid, send }) => (nsid === ACTIVATE ? send().then(cut) : undefined) });
    await workTo('published', work);
    await voyage.perform(work.queueId);
    await voyage.cancel(userId, work.changeId);
    inWeather({});
    const died = new Set<string>();
    for (let run = 0; (await rowOf(voyage.bench, work.queueId)).status !== 'completed'; run += 1) {
      expect(run).toBeLessThan(100);
      let stored = await voyage.changeOf(work.changeId);
      const step = stored?.step;
      let hasStored = false;
      const sql = new Proxy(voyage.bench.deps.sql, {
        get(target, property) {
          if (property !== 'begin') return Reflect.get(target, property);
          return async (act: () => unknown) => {
            const result = await target.begin(act);
            const now = await voyage.changeOf(work.changeId);
            hasStored = JSON.stringify(now) !== JSON.stringify(stored);
            stored = now;
            return result;
          };
        },
      });
      const { deps } = mortal({ ...voyage.bench.deps, sql }, ({ calls, moment }) => {
        const [last = ''] = calls.slice(-1);
        const place = `${step}: ${last} ${calls.filter((name) => name === last).length}`;
        const isEffect = EFFECTS.test(last) || (last === 'transaction' && hasStored);
        if (moment % 2 === 1 || !isEffect || died.has(place)) return false;
        died.add(place);
        return true;
      });
      voyage.skip(HOUR / 30);
      await sqlAsOwner(voyage.bench.database, (owner) => owner`UPDATE pds_provisioning_queue SET claims = 0`);
      await voyage.perform(work.queueId, deps).catch(() => {});
      const [here, there] = [yard.two.pds, yard.two.remote].map((pds) => voyage.statusAt(pds, did));
      expect([await here, await there].filter((status) => status === 'active').length).toBeLessThan(2);
    }
    expect([...died].join()).toMatch(
      /coming_home: .*deactivateAccount.*coming_home: did:plc.*returned: .*activateAccount/,
    );
    expect(await voyage.changeOf(work.changeId)).toMatchObject({ outcome: 'cancelled' });
    await expectHome();
    const log = await voyage.bench.sql`
      SELECT status FROM pds_provisioning_log WHERE user_id = ${userId} AND action = 'moved'`;
    expect(log).toHaveLength(3);
  }, 120_000);
});
