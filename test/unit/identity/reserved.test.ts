import { describe, expect, it } from 'vitest';
import { isReserved, labelsUnder } from '../../../lib/identity/reserved.ts';

describe('isReserved', () => {
  it.each([
    'www',
    'api',
    'app',
    'admin',
    'mail',
    'ns1',
    'ns2',
    'mx',
    'autodiscover',
    'autoconfig',
    'wpad',
    '_atproto',
    '_dmarc',
    'localhost',
    'pds',
    'plc',
    'status',
    'help',
    'support',
    'security',
    'abuse',
    'postmaster',
    'hostmaster',
    'root',
  ])('keeps %s', (label) => {
    expect(isReserved(label)).toBe(true);
  });

  it.each([
    'ADMIN',
    'ad-min',
    'admin-2',
    'admin2024',
    'www3',
    'post-master',
    'pnptv-support',
    'support-anna',
    'telegram-team',
  ])('is not got round by %s', (label) => {
    expect(isReserved(label)).toBe(true);
  });

  it.each(['alice', 'bob-2', 'dream-team', 'apple', 'adminah', 'webster', 'anna-mail-list', 'rooty'])(
    'leaves %s to members',
    (label) => {
      expect(isReserved(label)).toBe(false);
    },
  );

  it('keeps what the operator uses', () => {
    expect(isReserved('Backoffice', ['backoffice'])).toBe(true);
    expect(isReserved('backoffice', ['office'])).toBe(false);
  });
});

describe('labelsUnder', () => {
  it('takes the label directly under the domain, and nothing of other domains', () => {
    const hosts = ['boss.PNPTV.app', 'a.b.pnptv.app', 'pnptv.app', 'notpnptv.app', 'other.example'];
    expect(labelsUnder('pnptv.app', hosts)).toEqual(['boss', 'b']);
  });
});
