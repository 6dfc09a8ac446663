import { describe, expect, it } from 'vitest';
import { isReserved, operatorLabels } from '../../../lib/identity/reserved.ts';

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

describe('operatorLabels', () => {
  it.each([
    ['did:web:boss.pnptv.app', 'boss'],
    ['did:web:boss.pnptv.app:users:x', 'boss'],
    ['did:web:boss.pnptv.app%3A3000', 'boss'],
    ['https://Portal7.pnptv.app', 'portal7'],
    ['http://pds9.pnptv.app:3000', 'pds9'],
    ['users.PNPTV.app', 'users'],
    ['deep.below.pnptv.app', 'below'],
  ])('finds in %s the label %s', (name, label) => {
    expect(operatorLabels('pnptv.app', [name])).toEqual([label]);
  });

  it.each([
    undefined,
    '',
    'pnptv.app',
    'https://notpnptv.app',
    'https://pds.example',
    'did:plc:abc',
    'did:web:pnptv.app',
  ])('finds nothing in %s', (name) => {
    expect(operatorLabels('pnptv.app', [name])).toEqual([]);
  });
});
