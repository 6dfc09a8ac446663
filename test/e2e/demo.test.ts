import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { STEPS } from './member-journey.ts';

const CHECKS = [
  'handle_resolves_to_did',
  'document_names_the_handle',
  'document_names_the_pds',
  'member_key_is_published',
  'stored_session_is_valid',
  'stored_password_logs_in',
  'record_reads_back',
  'repo_signature_verifies',
];

/** Runs the demo as `npm run demo` does. */
async function demo(
  args: string[],
  nodeOptions: string[] = [],
): Promise<{ code: number; last: string; stderr: string }> {
  const script = path.join(import.meta.dirname, 'demo.ts');
  const child = spawn(process.execPath, [...nodeOptions, script, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const [code] = await once(child, 'close');
  return { code, last: stdout.trimEnd().split('\n').at(-1) ?? '', stderr };
}

describe('npm run demo', { timeout: 300_000 }, () => {
  it('proves three members at once and says so in its last line', async () => {
    const { code, last, stderr } = await demo(['--members', '3', '--json']);
    expect([code, stderr]).toEqual([0, '']);
    const { members } = JSON.parse(last);
    expect(members).toHaveLength(3);
    expect(new Set(members.map(({ did }: { did: string }) => did)).size).toBe(3);
    for (const member of members) {
      expect(member).toEqual({
        did: expect.stringMatching(/^did:web:[a-z]+-[a-z2-7]{6}\.pnptv\.test$/),
        handle: expect.stringMatching(/^[a-z]+\.pnptv\.test$/),
        status: 'active',
        duration_ms: expect.any(Number),
        steps: STEPS.map((name) => ({ name, ms: expect.any(Number) })),
        record_uri: expect.stringContaining(`at://${member.did}/app.bsky.feed.post/`),
        checks: Object.fromEntries(CHECKS.map((name) => [name, true])),
        not_applicable: [],
      });
      const times = member.steps.map(({ ms }: { ms: number }) => ms);
      expect(times).toEqual(times.toSorted((a: number, b: number) => a - b));
      expect(times.at(-1)).toBeLessThanOrEqual(member.duration_ms);
    }
  });

  it('proves a did:plc, and says what this machine cannot show of it', async () => {
    const { code, last, stderr } = await demo(['--did-method', 'plc', '--json']);
    expect([code, stderr]).toEqual([0, '']);
    const { did, checks, not_applicable } = JSON.parse(last);
    expect(did).toMatch(/^did:plc:[a-z2-7]{24}$/);
    const expected = [
      ...CHECKS.filter((name) => name !== 'member_key_is_published'),
      'sealed_rotation_key_comes_first',
    ];
    expect(checks).toEqual(Object.fromEntries(expected.map((name) => [name, true])));
    expect(not_applicable).toEqual(['member_key_is_published']);
  });

  it('fails, and names the check, when one does not hold', async () => {
    const broken = fileURLToPath(new URL('./forgetful-client.ts', import.meta.url));
    expect(existsSync(broken)).toBe(true);
    const { code, last } = await demo(['--json'], ['--import', broken]);
    expect(code).toBe(1);
    const { checks } = JSON.parse(last);
    expect(checks).toEqual(Object.fromEntries(CHECKS.map((name) => [name, name !== 'record_reads_back'])));
  });

  it.each([['0'], ['-1'], ['many'], ['501']])(
    'refuses --members %s before it starts anything',
    async (count) => {
      const { code, stderr } = await demo([`--members=${count}`]);
      expect([code, stderr]).toEqual([2, expect.stringContaining('--members takes a whole number')]);
    },
  );
});
