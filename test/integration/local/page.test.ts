import { readFileSync } from 'node:fs';
import path from 'node:path';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

const PAGE = path.resolve(import.meta.dirname, '../../../infra/local/page');
const SCRIPT = readFileSync(path.join(PAGE, 'app.js'), 'utf8');
const HTML = readFileSync(path.join(PAGE, 'index.html'), 'utf8');

type Answer = { status: number; data?: object; error?: { code: string; message: string } };
const LOGGED_OUT: Answer = {
  status: 401,
  error: { code: 'SESSION_REQUIRED', message: 'There is no living session: log in again.' },
};
const PENDING = { status: 'pending', provisioning_step: 'reserved', error: null };
const ACTIVE = {
  ...{ status: 'active', provisioning_step: 'secured', error: null, verification_status: 'valid' },
  ...{ pds_handle: '@ada.pnptv.test', pds_did: 'did:web:ada-a1b2c3.pnptv.test', pds_endpoint: 'http://pds' },
};
const session = (pds: object): Answer => ({ status: 200, data: { member: { first_name: 'Ada' }, pds } });

/** As much of an element as the page's script uses. */
function element(hidden: boolean) {
  const listeners: Record<string, () => void> = {};
  return {
    ...{ hidden, textContent: '', className: '' },
    toggleAttribute(_name: string, on: boolean) {
      this.hidden = on;
    },
    replaceChildren() {},
    addEventListener: (event: string, listener: () => void) => (listeners[event] = listener),
    click: () => listeners.click?.(),
  };
}

/** Opens the page on a platform that answers by path; `undefined` is no answer at all. */
async function openPage(answers: Record<string, Answer | undefined>, search = '') {
  const moves: string[] = [];
  const elements = new Map(
    [...HTML.matchAll(/<[^>]+ id="([\w-]+)"[^>]*>/g)].map(([tag, id]) => [id, element(/ hidden>/.test(tag))]),
  );
  runInNewContext(SCRIPT, {
    ...{ setTimeout, clearTimeout, Date, URLSearchParams, encodeURIComponent },
    location: {
      ...{ origin: 'http://localhost', pathname: '/', search },
      assign: (to: string) => moves.push(to),
    },
    history: { replaceState: (_state: null, _title: string, to: string) => moves.push(to) },
    window: { addEventListener() {} },
    document: { getElementById: (id: string) => elements.get(id), createElement: () => element(false) },
    async fetch(asked: string) {
      const answer = answers[asked];
      if (!answer) throw new TypeError('Failed to fetch');
      return { status: answer.status, json: async () => ({ success: answer.status === 200, ...answer }) };
    },
  });
  const settle = (ms = 0) => vi.advanceTimersByTimeAsync(ms);
  await settle();
  return {
    settle,
    /** Where its address went. */
    moves,
    press: (id: string) => {
      elements.get(id)?.click();
      return settle();
    },
    isShown: (id: string) => elements.get(id)?.hidden === false,
    text: (id: string) => elements.get(id)?.textContent,
  };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('the page', () => {
  it('welcomes who is not logged in, and calls nobody logged out who never was in', async () => {
    const page = await openPage({ '/api/auth/session': LOGGED_OUT });
    expect(['welcome', 'member', 'problem', 'logged-out'].map(page.isShown)).toEqual([
      ...[true, false, false, false],
    ]);
  });

  it.each(['log-out', 'retry'])('offers the login when another tab logged out before %s', async (button) => {
    const answers: Record<string, Answer> = {
      '/api/auth/session': session(ACTIVE),
      '/api/pds/info': { status: 200, data: ACTIVE },
      '/api/auth/logout': LOGGED_OUT,
      '/api/pds/retry-provision': LOGGED_OUT,
    };
    const page = await openPage(answers);
    expect([page.isShown('member'), page.text('headline')]).toEqual([true, 'This identity is yours']);
    await page.press(button);
    expect(['welcome', 'member', 'problem', 'logged-out'].map(page.isShown)).toEqual([
      ...[true, false, false, true],
    ]);
  });

  it('says that the platform does not answer, and goes on when it is back', async () => {
    const answers: Record<string, Answer | undefined> = {
      '/api/auth/session': session(ACTIVE),
      '/api/pds/info': { status: 200, data: ACTIVE },
    };
    const page = await openPage(answers);
    const { '/api/auth/session': back } = answers;
    answers['/api/auth/session'] = undefined;
    await page.press('log-out');
    expect(page.text('problem')).toMatch(/^The platform does not answer\./);
    await page.settle(20_000);
    expect(page.isShown('problem')).toBe(true);
    answers['/api/auth/session'] = back;
    await page.settle(5_000);
    expect([page.isShown('problem'), page.isShown('member')]).toEqual([false, true]);
  });

  it('goes on after it was opened while the platform did not answer', async () => {
    const answers: Record<string, Answer | undefined> = {};
    const page = await openPage(answers);
    expect(page.text('problem')).toMatch(/^The platform does not answer\./);
    answers['/api/auth/session'] = LOGGED_OUT;
    await page.settle(5_000);
    expect([page.isShown('problem'), page.isShown('welcome')]).toEqual([false, true]);
  });

  it('says that one need not wait for it, once it takes long', async () => {
    const answers: Record<string, Answer> = {
      '/api/auth/session': session(PENDING),
      '/api/pds/info': { status: 200, data: PENDING },
    };
    const page = await openPage(answers);
    await page.settle(2_000);
    expect(page.isShown('patience')).toBe(false);
    await page.settle(5_000);
    expect(page.isShown('patience')).toBe(true);
    answers['/api/pds/info'] = { status: 200, data: ACTIVE };
    await page.settle(1_000);
    expect([page.isShown('patience'), page.isShown('identity')]).toEqual([false, true]);
  });

  it('begins a login with OpenID Connect that comes back to it', async () => {
    const page = await openPage({ '/api/auth/session': LOGGED_OUT });
    await page.press('log-in-openid');
    expect(page.moves).toEqual(['/api/auth/telegram/start?return_to=%2F']);
  });

  it.each([
    ['LOGIN_REFUSED', 'Telegram did not confirm this login. Log in again.'],
    ['SOMETHING_ELSE', 'That login did not work. Log in again.'],
  ])('says that the login it comes back from failed: %s', async (code, text) => {
    const page = await openPage({ '/api/auth/session': LOGGED_OUT }, `?login_error=${code}`);
    expect([page.text('problem'), page.isShown('problem'), page.isShown('welcome')]).toEqual([
      text,
      true,
      true,
    ]);
    expect(page.moves).toEqual(['/']);
  });

  it('says nothing of it to who is logged in all the same', async () => {
    const answers = { '/api/auth/session': session(ACTIVE), '/api/pds/info': { status: 200, data: ACTIVE } };
    const page = await openPage(answers, '?login_error=LOGIN_STATE_INVALID');
    expect([page.isShown('member'), page.isShown('problem')]).toEqual([true, false]);
  });
});
