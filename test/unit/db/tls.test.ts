import { describe, expect, it } from 'vitest';
import { tlsFor } from '../../../lib/db/tls.ts';

describe('tlsFor', () => {
  it.each(['127.0.0.1', '127.0.0.53', 'localhost', '[::1]'])(
    'speaks plainly with this machine: %s',
    (host) => {
      expect(tlsFor(host, null)).toBe(false);
    },
  );

  it.each(['db.example.com', '10.0.0.5', '127.0.0.1.example.com', '[2001:db8::1]'])('verifies %s', (host) => {
    expect(tlsFor(host, null)).toEqual({ rejectUnauthorized: true });
  });

  it('does as sslmode says, and refuses the modes that verify nothing', () => {
    expect(tlsFor('10.0.0.5', 'disable')).toBe(false);
    expect(tlsFor('127.0.0.1', 'verify-full')).toEqual({ rejectUnauthorized: true });
    for (const mode of ['require', 'prefer', 'allow', 'verify-ca', '']) {
      expect(() => tlsFor('db.example.com', mode)).toThrow('sslmode must be verify-full or disable');
    }
  });
});
