import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { relay } from '../../../lib/provisioning/queue/relay.ts';
import { performWork } from '../../../lib/provisioning/work.ts';
import { everybodyIsActive, expectNothingSpent, logInCrowd, recorded } from './crowd.ts';
import { hurriedClock, hurriedPreload } from './hurried-clock.ts';
import { modelledQueue } from './modelled-queue.ts';
import { type Bench, openBench, openStage, type Stage } from './stage.ts';

/** `BURST_MEMBERS=1000 BURST_OTHERS=0 npm test -- test/integration/provisioning/burst` takes five minutes. */
const MEMBERS = Number(process.env.BURST_MEMBERS ?? 130);
/** Creations from our address that are not ours, so that the limit is met before our budget is used up. */
const OTHERS = Number(process.env.BURST_OTHERS ?? 90);
const WORKERS = 10;
const clock = { since: Date.now(), factor: 20 };
/** What production takes in real seconds. */
const slowly = (seconds: number) => seconds * clock.factor;
const times = {
  http: 15,
  worker: slowly(60),
  change: slowly(300),
  lease: slowly(90),
  quarantine: slowly(120),
  visibility: slowly(360),
};

/** The PDS is the real one with its rate limits, and so is the database; both clocks run twenty times as fast. */
describe('a burst of logins before a PDS that takes 100 accounts in five minutes', () => {
  const now = hurriedClock(clock);
  const queue = modelledQueue({ now, random: Math.random });
  const seen = recorded(globalThis.fetch, now);
  let stage: Stage;
  let bench: Bench;
  beforeAll(async () => {
    stage = await openStage({ rateLimits: true, preload: hurriedPreload(clock) });
    bench = await openBench(stage, {
      now: () => new Date(now()),
      times,
      fetch: seen.fetch,
      sqs: queue.client as unknown as Bench['deps']['sqs'],
      providers: [
        { id: 'local', endpoint: stage.pds.url, weight: 1, adminPassword: stage.pds.adminPassword },
      ],
    });
  });
  afterAll(async () => {
    await bench?.close();
    await stage?.close();
  });

  // In order of age: crowd.test.ts says it of a model, where a slow machine does not make minutes of seconds.
  it(`ends with all ${MEMBERS} active, no attempt spent, though others take ${OTHERS} of the hundred`, {
    timeout: 120_000 + MEMBERS * 1_000,
  }, async () => {
    const begun = Date.now();
    const lastLogin = await logInCrowd(bench, queue, { members: MEMBERS, at: new Date(now()) });
    // Just before ours: the PDS forgets them after five of its minutes.
    for (let n = 0; n < OTHERS; n += 1) expect((await askForNothing()).status).toBe(400);
    await workUntil(() => everybodyIsActive(bench), lastLogin);
    console.log(
      `${MEMBERS} active after ${seconds(begun)} s, which the PDS counts as ${Math.round((seconds(begun) * clock.factor) / 60)} minutes,`,
      `${queue.sent()} messages,`,
      seen.answers,
    );
    await expectNothingSpent(bench, { members: MEMBERS, created: seen.created });
    if (OTHERS === 0) expect(seen.answers[429] ?? 0).toBe(0);
    else expect(seen.answers[429]).toBeGreaterThan(0);
  });

  /** A creation that comes to nothing, and counts. */
  const askForNothing = () =>
    fetch(`${stage.pds.url}/xrpc/com.atproto.server.createAccount`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ handle: 'nobody.elsewhere.test', email: 'a@b.test', password: 'none' }),
    });

  /** Ten workers beside each other, and the relay every minute of the hurried clock. */
  async function workUntil(over: () => Promise<boolean>, lastLogin: number): Promise<void> {
    let done = false;
    const work = async () => {
      while (!done) {
        const [queueId] = queue.take(1);
        if (queueId === undefined) await sleep(20);
        // The checks that follow are another matter.
        else if (Number(queueId) <= lastLogin) await performWork(bench.deps, queueId);
      }
    };
    const workers = Array.from({ length: WORKERS }, work);
    while (!done) {
      await relay(bench.deps);
      await sleep(60_000 / clock.factor);
      done = await over();
    }
    await Promise.all(workers);
  }
});

function seconds(since: number): number {
  return Math.round((Date.now() - since) / 1000);
}
