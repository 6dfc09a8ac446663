import { Secp256k1Keypair } from '@atproto/crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { connect } from '../../../../lib/db/connect.ts';
import { requestChange } from '../../../../lib/lifecycle/changes/request.ts';
import { emptyProvider } from '../../../../lib/lifecycle/move/empty.ts';
import { reconcileOrphans } from '../../../../lib/provisioning/orphans/reconcile.ts';
import { enqueue } from '../../../../lib/provisioning/queue/queue.ts';
import { openFromMapping } from '../../../../lib/provisioning/secrets.ts';
import { k256, plc } from '../../../unit/identity/plc/judge.ts';
import type { Fault } from '../../provisioning/faulty.ts';
import { identityOf, sqlAsOwner } from '../../provisioning/stage.ts';
import { faultyTo, useProviders } from '../../provisioning/two-pds.ts';
import { openShipyard, openVoyage, type Shipyard, type Voyage, writeNotes, writePicture } from './voyage.ts';

const DAY = 24 * 3600_000;

describe('a move in bad weather', () => {
  let yard: Shipyard;
  let voyage: Voyage;
  beforeAll(async () => {
    yard = await openShipyard();
  });
  afterAll(() => yard.close());
  beforeEach(async () => {
    voyage = await openVoyage(yard);
  });
  afterEach(() => voyage.close());

  /** The answer to the first request of each kind gets lost, after it had its effect. */
  const losingAnswers = (): Fault => {
    const lost = new Set<string>();
    return ({ nsid, send }) => {
      if (lost.has(nsid)) return undefined;
      lost.add(nsid);
      return send().then(() => Promise.reject(Object.assign(new Error('cut'), { code: 'ECONNRESET' })));
    };
  };

  it.each(['web', 'plc'] as const)(
    'comes to its end although every answer gets lost once (did:%s)',
    async (method) => {
      const userId = await voyage.member(method);
      const client = await voyage.clientOf(userId);
      await writePicture(client);
      const { deps } = voyage.bench;
      deps.fetch = faultyTo(yard.two.remote, losingAnswers()).fetch;
      const { changeId, queueId } = await voyage.request(userId);
      await voyage.workOn(queueId);
      expect(await voyage.changeOf(changeId)).toMatchObject({ outcome: 'done' });

      await writePicture(await voyage.clientOf(userId));
      const both = faultyTo(yard.two.pds, losingAnswers()).fetch;
      deps.fetch =
        method === 'web'
          ? both
          : faultyTo({ ...yard.two.pds, url: yard.directory.url }, losingAnswers()).fetch;
      const back = await voyage.request(userId, 'local');
      await voyage.workOn(back.queueId);
      expect(await voyage.changeOf(back.changeId)).toMatchObject({ outcome: 'done' });
      const { repo } = await voyage.proveAt(userId, yard.two.pds);
      expect(repo.creates).toHaveLength(2);
    },
    60_000,
  );

  it('waits for the new PDS a while once the document names it, and operators hear of what it refuses', async () => {
    const userId = await voyage.member();
    const { changeId, queueId } = await voyage.request(userId);
    let isDown = true;
    voyage.bench.deps.fetch = faultyTo(yard.two.remote, ({ nsid }) =>
      isDown && nsid === 'com.atproto.server.activateAccount'
        ? Promise.resolve(Response.json({ error: 'Broken', message: 'not today' }, { status: 500 }))
        : undefined,
    ).fetch;
    for (let run = 0; run < 4; run += 1) {
      const [{ wait }] = await voyage.bench.sql<[{ wait: number }]>`
        SELECT extract(epoch FROM next_retry - now())::float8 * 1000 AS wait FROM pds_provisioning_queue WHERE id = ${queueId}`;
      voyage.skip(Math.max(0, wait));
      await voyage.perform(queueId);
    }
    expect(await voyage.changeOf(changeId)).toMatchObject({ step: 'published', outcome: null });
    const told = await sqlAsOwner(voyage.bench.database, (sql) => sql`SELECT kind FROM operator_notices`);
    expect(told.map(({ kind }) => kind)).toContain('move_unfinished');
    const stopped = yard.two.remote.stop();
    isDown = false;
    await stopped;
    await voyage.perform(queueId);
    await yard.two.restartRemote();
    await voyage.workOn(queueId);
    expect(await voyage.changeOf(changeId)).toMatchObject({ outcome: 'done' });
    await voyage.proveAt(userId, yard.two.remote);
  }, 60_000);

  it('tells others that the old PDS is well again when that has answered, and not before', async () => {
    const userId = await voyage.member();
    const { changeId, queueId } = await voyage.request(userId);
    const cut = () => Promise.reject(Object.assign(new Error('cut'), { code: 'ECONNREFUSED' }));
    voyage.bench.deps.fetch = faultyTo(yard.two.remote, ({ nsid }) =>
      nsid === 'com.atproto.server.createAccount' ? cut() : undefined,
    ).fetch;
    await voyage.perform(queueId);
    expect(await voyage.changeOf(changeId)).toMatchObject({ step: 'prepared' });
    voyage.bench.deps.fetch = faultyTo(yard.two.pds, cut).fetch;
    await sqlAsOwner(
      voyage.bench.database,
      (sql) => sql`
        UPDATE pds_providers SET breaker_state = 'open', breaker_until = now(), consecutive_failures = 5 WHERE id = 'local'`,
    );
    const breaker = async () =>
      (await voyage.bench.sql`SELECT breaker_state FROM pds_providers WHERE id = 'local'`)[0]?.breaker_state;
    voyage.skip(120_000);
    expect(await voyage.perform(queueId)).toBe('parked');
    expect(await breaker()).toBe('open');
    const told = await sqlAsOwner(voyage.bench.database, (sql) => sql`SELECT kind FROM operator_notices`);
    expect(told.map(({ kind }) => kind)).not.toContain('circuit_closed');
    // Whoever may try it does so, and has not only taken the turn of others, should the new one be down.
    voyage.bench.deps.fetch = fetch;
    await sqlAsOwner(
      voyage.bench.database,
      (sql) => sql`
        UPDATE pds_providers SET breaker_state = 'open', breaker_until = now() + interval '1 day' WHERE id = ${voyage.there}`,
    );
    voyage.skip(120_000);
    expect(await voyage.perform(queueId)).toBe('parked');
    expect(await breaker()).toBe('closed');
  }, 60_000);

  it('does without the old PDS, should that die, once the PLC directory names the new one', async () => {
    const userId = await voyage.member('plc');
    await writePicture(await voyage.clientOf(userId));
    const { changeId, queueId } = await voyage.request(userId);
    const dead = new Set<string>();
    const cut = () => Promise.reject(Object.assign(new Error('cut'), { code: 'ECONNREFUSED' }));
    voyage.bench.deps.fetch = (async (input: Parameters<typeof fetch>[0], init?: RequestInit) => {
      const isOperation = init?.method === 'POST' && String(input).startsWith(yard.directory.url);
      if ([...dead].some((url) => String(input).startsWith(url))) return cut();
      const answer = await fetch(input, init);
      if (!isOperation) return answer;
      dead.add(yard.directory.url).add(yard.two.pds.url);
      return cut();
    }) as typeof fetch;
    expect(await voyage.perform(queueId)).toBe('parked');
    expect(await voyage.changeOf(changeId)).toMatchObject({ step: 'carried_over', outcome: null });
    dead.delete(yard.directory.url);
    await voyage.workOn(queueId, () => voyage.skip(DAY / 24 / 4));
    expect(await voyage.changeOf(changeId)).toMatchObject({ outcome: 'done' });
    await voyage.proveAt(userId, yard.two.remote);
  }, 60_000);

  it('while he logs in and is checked, and while he writes without end', async () => {
    const userId = await voyage.member();
    const client = await voyage.clientOf(userId);
    let written = 0;
    const writer = (async () => {
      for (;;) {
        try {
          await writeNotes(client, 1);
          written += 1;
        } catch {
          return;
        }
      }
    })();
    const { changeId, queueId } = await voyage.request(userId);
    const check = await voyage.bench.sql.begin((tx) => enqueue(tx, { userId, action: 'verify' }));
    const [, checked] = await Promise.all([voyage.perform(queueId), voyage.perform(check.queueId)]);
    expect(['busy', 'done', 'again']).toContain(checked);
    await voyage.workOn(queueId);
    await writer;
    expect(await voyage.changeOf(changeId)).toMatchObject({ outcome: 'done' });
    const { repo } = await voyage.proveAt(userId, yard.two.remote);
    expect(repo.creates).toHaveLength(written);
    await voyage.workOn(check.queueId);
    expect(await identityOf(voyage.bench, userId)).toMatchObject({ verification_status: 'accessible' });
  }, 60_000);

  it('keeps every other change away, and tells the member and his log how it ended', async () => {
    const userId = await voyage.member();
    await sqlAsOwner(
      voyage.bench.database,
      (sql) => sql`UPDATE users SET bot_language = 'es' WHERE id = ${userId}`,
    );
    const { queueId } = await voyage.request(userId);
    const rotate = voyage.bench.sql.begin((tx) =>
      requestChange(tx, { userId, kind: 'rotate_keys', by: 'system', now: new Date() }),
    );
    await expect(rotate).rejects.toMatchObject({ code: 'CHANGE_IN_PROGRESS' });
    await voyage.workOn(queueId);
    const told = await sqlAsOwner(
      voyage.bench.database,
      (sql) => sql`SELECT kind FROM telegram_messages WHERE user_id = ${userId} ORDER BY id DESC LIMIT 1`,
    );
    expect([...told]).toEqual([{ kind: 'moved' }]);
    const log = await voyage.bench.sql`
      SELECT action, status FROM pds_provisioning_log WHERE user_id = ${userId} AND action IN ('moved', 'backup_created') ORDER BY seq`;
    expect(log.map(({ action, status }) => `${action} ${status}`)).toEqual([
      'backup_created success',
      'backup_created success',
      'backup_created success',
      'moved pending',
      'moved success',
    ]);
  });

  it('leaves the old account for 30 days, and then it is deleted where we may', async () => {
    const userId = await voyage.member();
    const password = await voyage.passwordOf(userId);
    await voyage.move(userId);
    const { did } = await voyage.proveAt(userId, yard.two.remote);
    await voyage.clientOf(userId, yard.two.pds, password);
    const reconcile = () => {
      const now = () => new Date(voyage.bench.deps.now().getTime() + 29.9 * DAY);
      return reconcileOrphans({ ...voyage.bench.deps, now }, new Date(now().getTime() + DAY));
    };
    expect(await reconcile()).toMatchObject({ deleted: 0 });
    voyage.skip(DAY / 4);
    // Longer, should the new PDS have died before he arrived: it may be all that can be read of him.
    const arrived = (outcome: 'done' | null) =>
      sqlAsOwner(
        voyage.bench.database,
        (sql) => sql`
          UPDATE pds_changes SET outcome = ${outcome}, ended_at = CASE WHEN ${outcome}::text IS NOT NULL THEN now() END
          WHERE user_id = ${userId}`,
      );
    await arrived(null);
    expect(await reconcile()).toMatchObject({ deleted: 0, postponed: 0 });
    await arrived('done');
    expect(await reconcile()).toMatchObject({ deleted: 1 });
    expect(await voyage.statusAt(yard.two.pds, did)).toBe('RepoNotFound');
    const [settled] = await voyage.bench.sql`
      SELECT details FROM pds_provisioning_log WHERE user_id = ${userId} AND action = 'orphan_settled'`;
    expect(settled?.details).toMatchObject({
      outcome: 'deleted',
      meaning: expect.stringContaining('moved away'),
    });
  });

  it('keeps the key of a did:plc that the member has at its top, and knows the keys of the new PDS for what they are', async () => {
    const userId = await voyage.member('plc');
    const identity = await identityOf(voyage.bench, userId);
    const { pds_did, rotation_public_key, rotation_key_sealed } = identity;
    const did = pds_did ?? '';
    const ours = `did:key:${rotation_public_key}`;
    const mine = await k256();
    const client = new plc.Client(yard.directory.url);
    const { vault } = voyage.bench.deps;
    const scalar = await openFromMapping(vault, identity, 'rotation_key_sealed', rotation_key_sealed ?? '');
    const signer = await Secp256k1Keypair.import(scalar);
    const before = await client.getDocumentData(did);
    await client.updateData(did, signer as never, (last) => ({
      ...last,
      rotationKeys: [mine.did(), ...last.rotationKeys],
    }));
    await voyage.move(userId);
    await voyage.proveAt(userId, yard.two.remote);
    const after = await client.getDocumentData(did);
    expect(after.rotationKeys.slice(0, 2)).toEqual([mine.did(), ours]);
    expect(after.rotationKeys).toHaveLength(3);
    expect(before.rotationKeys).not.toContain(after.rotationKeys[2]);
    await voyage.move(userId, 'local');
    expect((await client.getDocumentData(did)).rotationKeys).toEqual([mine.did(), ...before.rotationKeys]);
  }, 60_000);

  it('for all who live on a PDS that is to be emptied, as long as the new one takes them', async () => {
    const [first, second] = [await voyage.member(), await voyage.member()];
    const owner = connect(voyage.bench.database.ownerUrl, { max: 2 });
    const empty = (limit: number) =>
      emptyProvider(owner, { from: 'local', to: voyage.there, limit, now: new Date() });
    try {
      expect(await empty(1)).toEqual({ begun: 1, left: 1 });
      expect(await empty(100)).toEqual({ begun: 1, left: 0 });
      expect(await empty(100)).toEqual({ begun: 0, left: 0 });
    } finally {
      await owner.end();
    }
    // No newcomer is made there any more, and it gives us no rights.
    await useProviders(
      voyage.bench,
      voyage.bench.deps.providers.filter(({ id }) => id !== 'local'),
    );
    const rows = await voyage.bench.sql<{ id: string }[]>`
      SELECT id::text FROM pds_provisioning_queue WHERE action = 'move' ORDER BY id`;
    for (const { id } of rows) await voyage.workOn(id);
    for (const userId of [first, second]) await voyage.proveAt(userId, yard.two.remote);
  });
});
