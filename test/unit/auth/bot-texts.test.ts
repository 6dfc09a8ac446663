import { describe, expect, it } from 'vitest';
import { compose } from '../../../lib/auth/bot/compose.ts';
import type { Facts, Saying } from '../../../lib/auth/bot/outbox.ts';
import { TEXTS } from '../../../lib/auth/bot/texts.ts';
import { NOTICES } from '../../../lib/operators/notices.ts';
import { identityInfo } from '../../../lib/pds/api.ts';

const LINK = 'https://app.example/api/auth/link/token';
const STEPS = identityInfo.shape.provisioning_step.options;
const facts = (changes: Partial<Facts> = {}): Facts => ({
  pds_handle: '@alice.example',
  pds_did: 'did:web:alice-abc234.example',
  pds_endpoint: 'https://pds.example',
  status: 'active',
  verification_status: 'accessible',
  provisioning_step: 'secured',
  error: null,
  left_at: null,
  ...changes,
});
const notices = (kind: string) => ({
  kind,
  subjects: Array.from({ length: 5 }, () => '<i>&'.repeat(5)),
  subject_count: 100_000,
  since: '2026-11-26T03:12:00Z',
  is_more: true,
});
const STATES: Facts[] = [
  ...(['active', 'revoked', 'disabled'] as const).map((status) => facts({ status })),
  ...STEPS.map((step) => facts({ status: 'pending', provisioning_step: step })),
  ...(['inaccessible', 'unknown'] as const).map((last) => facts({ verification_status: last })),
  facts({ status: 'revoked', left_at: '2026-11-27T09:30:00.000Z' }),
  facts({ status: 'error', error: { code: 'X', message: '<b>&"\'' } }),
  facts({
    pds_handle: null,
    pds_did: null,
    pds_endpoint: null,
    status: 'pending',
    provisioning_step: 'requested',
  }),
];
const SAYINGS: Saying[] = [
  ...(['welcome', 'identity', 'status', 'retried'] as const).flatMap((kind) =>
    STATES.map((details) => ({ kind, details })),
  ),
  { kind: 'ready', details: facts() },
  { kind: 'failed', details: facts({ status: 'error', error: { code: 'X', message: '<b>&"\'' } }) },
  ...(['renamed', 'came_back'] as const).map((kind) => ({ kind, details: facts() })),
  { kind: 'revoked', details: facts({ status: 'revoked' }) },
  { kind: 'change_failed', details: facts({ error: { code: 'HANDLE_TAKEN', message: '<b>&"\'' } }) },
  ...Object.keys(NOTICES).map((kind) => ({ kind: 'operators', details: notices(kind) }) as const),
  ...[null, '@a<b>.example'].map(
    (pds_handle) =>
      ({ kind: 'deletion', details: { pds_handle, due_at: '2026-11-27T09:30:00.000Z' } }) as const,
  ),
  ...(['join_asked', 'join_due', 'join_off', 'joined', 'parted'] as const).flatMap((kind) =>
    [null, '2026-11-27T09:30:00.000Z'].map(
      (due_at) => ({ kind, details: { join_id: 7, pds_handle: '@a<b>.example', due_at } }) as const,
    ),
  ),
  { kind: 'moved', details: facts() },
  ...['MOVE_TARGET_SILENT', 'MOVE_NOT_TAKEN_BACK'].map(
    (code) => ({ kind: 'move_failed', details: facts({ error: { code, message: '<b>&"\'' } }) }) as const,
  ),
  ...[null, '2026-11-27T09:30:00.000Z'].map((at) => ({ kind: 'recovery_key', details: { at } }) as const),
  ...(['requested', 'tomorrow', 'waiting', 'left', 'failed', 'switched_off', 'cancelled'] as const).flatMap(
    (event) =>
      [true, false].map(
        (by_key) =>
          ({
            kind: 'leaving',
            details: {
              event,
              endpoint: 'https://pds.example.net',
              by_key,
              at: by_key ? null : '2026-11-27T09:30:00.000Z',
              why: ['waiting', 'failed', 'switched_off'].includes(event) ? '<b>&"' : null,
            },
          }) as const,
      ),
  ),
  ...[true, false].map((without_repository) => {
    const until = '2026-11-27T09:30:00.000Z';
    return { kind: 'export', details: { event: 'ready', bytes: 1, until, without_repository } } as const;
  }),
  { kind: 'export', details: { event: 'failed', error: { code: 'X', message: '<b>&"\'' } } },
  { kind: 'export', details: { event: 'expired' } },
  { kind: 'too_often', details: { seconds: 60 } },
  { kind: 'too_often', details: { seconds: 61 } },
  { kind: 'login' },
  { kind: 'stranger' },
  { kind: 'help' },
];

describe.each(['en', 'es'] as const)('what the bot says (%s)', (language) => {
  const said = (saying: Saying, link?: string) => compose({ language, ...saying }, link);

  it('is a text that Telegram takes: short, all tags closed, every name escaped', () => {
    for (const saying of SAYINGS) {
      const { text = '' } = said(saying, LINK) ?? {};
      expect(text.length).toBeGreaterThan(10);
      expect(text.length).toBeLessThan(4096);
      expect(text).not.toMatch(/undefined|null|\[object|\\n/);
      expect(text.replaceAll(/<(b|code)>[^<>]*<\/\1>/g, '')).not.toMatch(/[<>]|&(?!#\d+;)/);
    }
  });

  it('has a button where there is a link, and nowhere else', () => {
    expect(said({ kind: 'login' }, LINK)?.button).toEqual({ text: TEXTS[language].linkButton, url: LINK });
    expect(said({ kind: 'help' })?.button).toBeUndefined();
    expect(said({ kind: 'help' })?.text).not.toContain(TEXTS[language].link);
  });

  it('has words of its own for every state', () => {
    const texts = STATES.map((details) => said({ kind: 'status', details })?.text);
    expect(new Set(texts).size).toBe(STATES.length - 1); // nothing is known of one whose name is not chosen, either
  });

  it('does not offer to try again what is active', () => {
    expect(said({ kind: 'retried', details: facts() })?.text).toContain(TEXTS[language].nothingToRetry);
    const { text } = said({ kind: 'retried', details: facts({ status: 'pending' }) }) ?? {};
    expect(text).toContain(TEXTS[language].retried);
  });
});

it('is in the language of its reader: no text is left in English', () => {
  const flat = (texts: object) =>
    Object.values(texts).flatMap((text): string[] =>
      typeof text === 'object' ? Object.values(text) : [String(text)],
    );
  const spanish = flat(TEXTS.es);
  expect(flat(TEXTS.en).filter((text) => spanish.includes(text))).toEqual([]);
});

it('is nothing for a kind that this version does not know', () => {
  expect(compose({ language: 'en', kind: 'of_tomorrow' } as never)).toBeUndefined();
});
