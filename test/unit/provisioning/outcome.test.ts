import * as fc from 'fast-check';
import postgres from 'postgres';
import { describe, expect, it } from 'vitest';
import { AppError } from '../../../lib/app-error.ts';
import { XrpcError, type XrpcFault } from '../../../lib/pds/xrpc-error.ts';
import type { Work } from '../../../lib/provisioning/identity.ts';
import { ProvisioningError } from '../../../lib/provisioning/provisioning-error.ts';
import { backoffMs, OutcomeUnknown, outcomeOf } from '../../../lib/provisioning/queue/outcome.ts';

const now = new Date('2026-05-01T12:00:00Z');
const work: Work = { queueId: '1', action: 'create', attemptCount: 0, maxAttempts: 3 };
const outcome = (error: unknown, attemptCount = 0) =>
  outcomeOf(error, { work: { ...work, attemptCount }, now, random: () => 0.5 });
const xrpc = (fault: XrpcFault, more = {}) => new XrpcError({ nsid: 'com.example.do', fault, ...more });

describe('what an error means for the work it ended', () => {
  it.each(['unreachable', 'timeout', 'interrupted', 'unavailable'] as const)(
    'waits without spending an attempt, however often, when the provider is down: %s',
    (fault) => {
      for (const attempts of [0, 2, 99]) {
        expect(outcome(xrpc(fault), attempts)).toMatchObject({ kind: 'parked', reason: 'provider_down' });
      }
    },
  );

  it('waits until a 429 ends, and never comes back early', () => {
    const retryAt = new Date(now.getTime() + 60_000);
    const parked = outcome(xrpc('throttled', { retryAt }));
    expect(parked).toMatchObject({ kind: 'parked', reason: 'provider_busy' });
    expect(parked.kind === 'parked' && parked.until >= retryAt).toBe(true);
  });

  it('spends no attempt on a 429, whatever asked and whether it says until when', () => {
    for (const nsid of [
      'createAccount',
      'createInviteCode',
      'describeServer',
      'getAccountInfo',
      'refreshSession',
    ]) {
      const error = new XrpcError({ nsid: `com.atproto.server.${nsid}`, fault: 'throttled' });
      expect(outcome(error, 99)).toMatchObject({ kind: 'parked', reason: 'provider_busy' });
    }
  });

  it.each(['server.createSession', 'identity.updateHandle'])(
    'lets nobody else wait for a limit of one account: %s',
    (name) => {
      const error = new XrpcError({ nsid: `com.atproto.${name}`, fault: 'throttled' });
      expect(outcome(error, 99)).toMatchObject({ kind: 'parked', reason: 'account_busy' });
    },
  );

  it.each(['server_error', 'malformed', 'rejected'] as const)(
    'tries again what may be about this one member, and fails it at the last attempt: %s',
    (fault) => {
      expect([0, 1, 2].map((attempts) => outcome(xrpc(fault), attempts).kind)).toEqual([
        'again',
        'again',
        'failed',
      ]);
    },
  );

  it('never fails an unknown outcome: looking comes first', () => {
    for (const attempts of [0, 2, 5]) {
      expect(outcome(new OutcomeUnknown(xrpc('timeout'), now), attempts)).toMatchObject({
        kind: 'again',
        until: now,
      });
    }
  });

  it('fails at once what no repetition changes, in the words of the error', () => {
    const error = new ProvisioningError('ACCOUNT_LOCKED', 'Ask the operator.', {
      cause: xrpc('rejected', { error: 'InvalidInviteCode' }),
    });
    expect(outcome(error)).toEqual({
      kind: 'failed',
      error: {
        code: 'ACCOUNT_LOCKED',
        message: 'Ask the operator.',
        nsid: 'com.example.do',
        error: 'InvalidInviteCode',
      },
    });
  });

  it('does not tell the member what is meant for the log', () => {
    const error = new AppError('DATA_KEY_UNREADABLE', 'arn:aws:kms:eu-central-1:111122223333:key/1 is gone');
    const failed = outcome(error);
    expect(failed).toMatchObject({ kind: 'failed', error: { code: 'DATA_KEY_UNREADABLE' } });
    expect(JSON.stringify(failed)).not.toContain('arn:');
  });

  it('tries again after throttling of KMS and trouble of the database', () => {
    expect(outcome(new AppError('KMS_UNAVAILABLE', '…', { retryable: true })).kind).toBe('again');
    for (const code of ['40001', '40P01', '53300', '57P01', '55P03', '08006']) {
      const error = Object.assign(new postgres.PostgresError(''), { code });
      expect(outcome(error)).toMatchObject({ kind: 'again', error: { code: 'DATABASE_BUSY' } });
    }
    expect(outcome(Object.assign(new Error('gone'), { code: 'CONNECTION_CLOSED' })).kind).toBe('again');
  });

  it('rethrows what nobody foresaw, so that SQS counts it as a crash', () => {
    const violation = Object.assign(new postgres.PostgresError(''), { code: '23514' });
    for (const error of [new TypeError('bug'), violation, 'a string', undefined]) {
      expect(() => outcome(error)).toThrow();
    }
  });

  it('backs off with full jitter: anywhere between now and 4 s · 2^attempts, at most two minutes', () => {
    fc.assert(
      fc.property(
        fc.nat(40),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (attempts, random) => {
          const delay = backoffMs(attempts, () => random);
          expect(delay).toBe(random * Math.min(120_000, 4_000 * 2 ** attempts));
        },
      ),
    );
  });
});
