import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { Match } from 'aws-cdk-lib/assertions';
import { describe, expect, it } from 'vitest';
import { listChanges } from '../../../lib/lifecycle/api.ts';
import { NOTICES } from '../../../lib/operators/notices.ts';
import { allResources, PRODUCTION, resourcesOf, synthesize } from './synthesized.ts';

const templates = synthesize(PRODUCTION);
const alarms = allResources(templates).filter(([, { Type }]) => Type === 'AWS::CloudWatch::Alarm');
const named = alarms.map(([id]) => id).join(' ');

describe('alarms', () => {
  it('say what they mean and what to do', () => {
    expect(alarms.length).toBeGreaterThan(15);
    for (const [id, { Properties }] of alarms) {
      expect([id, Properties.AlarmDescription]).toEqual([
        id,
        expect.stringMatching(/^.{20,} What to do: .{30,}\.?$/s),
      ]);
      expect([id, String(Properties.AlarmDescription).length <= 1024]).toEqual([id, true]);
    }
  });

  it('tell the operators, but for what a notice tells them with more to it', () => {
    const quiet = alarms.filter(([, { Properties }]) => Properties.AlarmActions === undefined);
    const texts = Object.values(NOTICES).map(({ means, todo }) => `${means} What to do: ${todo}`);
    expect(quiet.map(([id]) => id)).toHaveLength(6);
    for (const [, { Properties }] of quiet) expect(texts).toContain(Properties.AlarmDescription);
    for (const [id, { Properties }] of alarms.filter((alarm) => !quiet.includes(alarm)))
      expect([id, Properties.AlarmActions]).toEqual([id, [expect.anything()]]);
  });

  it.each([
    'provisioningdeadletteralarm',
    'provisioningdeadlettersleft',
    'provisioningoldestmessage',
    'provisioningworkererrors',
    'provisioningrelaysilent',
    'lifecyclehealthsweepsilent',
    'lifecyclehealthsweepworkererrors',
    'lifecyclehealthdeadletters',
    'lifecyclecredentialchecksoverbudget',
    'telloperatorssilent',
    'operatorsnottold',
    'auditerrors',
    'auditrooterrors',
    'auditrootmissing',
    'auditrootnotstarted',
    'autherrors',
    'pdserrors',
    'identityerrors',
    'identitythrottles',
    'api5xx',
    'datakeyalarm',
    'databasecapacity',
  ])('exist for %s', (id) => {
    expect(named).toContain(id);
  });

  it('watch every failure that our own code counts', () => {
    const lib = path.resolve(import.meta.dirname, '../../../lib');
    const counted = globSync('**/*.ts', { cwd: lib }).flatMap((file) =>
      [...readFileSync(path.join(lib, file), 'utf8').matchAll(/metrics\.count\('(\w+)'/g)].map(
        ([, name]) => name,
      ),
    );
    const fine = ['ChangesOpen', 'IdentityProvisioned', 'KeysRotated', 'RelaySent'];
    const watched = alarms.map(([, { Properties }]) => Properties.MetricName);
    expect(counted).toContain('RelayFailed');
    expect(watched).toEqual(expect.arrayContaining(counted.filter((name) => !fine.includes(String(name)))));
  });

  it('may publish to the operators: the topic has a policy of its own', () => {
    templates.data?.hasResourceProperties('AWS::SNS::TopicPolicy', {
      PolicyDocument: {
        Statement: Match.arrayWith([
          Match.objectLike({
            Effect: 'Allow',
            Action: 'sns:Publish',
            Principal: { Service: 'cloudwatch.amazonaws.com' },
            Condition: { StringEquals: { 'aws:SourceAccount': { Ref: 'AWS::AccountId' } } },
          }),
        ]),
      },
    });
  });

  it('take silence of the relay for failure', () => {
    templates.provisioning?.hasResourceProperties('AWS::CloudWatch::Alarm', {
      MetricName: 'Invocations',
      ComparisonOperator: 'LessThanThreshold',
      TreatMissingData: 'breaching',
    });
  });

  it('notice a day without a root of the audit log', () => {
    const [, { Properties } = { Properties: {} }] =
      alarms.find(([id]) => id.includes('auditrootmissing')) ?? [];
    expect(Properties).toMatchObject({
      MetricName: 'Invocations',
      ComparisonOperator: 'LessThanThreshold',
      TreatMissingData: 'breaching',
      Period: 3600,
      EvaluationPeriods: 26,
    });
  });

  it.each([
    'lifecyclehealthsweepplannererrors',
    'lifecyclecredentialchecksoverbudget',
    'lifecycleaccountlistbroken',
    'lifecyclecleanuperrors',
  ])(
    'count by the hour what happens once an hour, or they would never go off, or again each hour: %s',
    (name) => {
      const [, { Properties } = { Properties: {} }] = alarms.find(([id]) => id.includes(name)) ?? [];
      expect(Properties).toMatchObject({ Period: 3600 });
    },
  );

  it('watch for the end of the key of all secrets', () => {
    const [[, rule] = []] = resourcesOf(templates.monitoring, 'AWS::Events::Rule');
    expect(rule?.Properties.EventPattern).toMatchObject({
      detail: { eventName: expect.arrayContaining(['DisableKey', 'ScheduleKeyDeletion']) },
    });
    expect(JSON.stringify(rule?.Properties.Targets)).toContain('cancel-key-deletion');
  });

  it('have a dashboard that shows how changes of every kind end', () => {
    const [[, dashboard] = []] = resourcesOf(templates.monitoring, 'AWS::CloudWatch::Dashboard');
    const body = JSON.stringify(dashboard?.Properties.DashboardBody);
    const { kind } = listChanges.data.def.element.shape;
    for (const name of kind.options.map((one) =>
      one.replaceAll(/(?:^|_)(\w)/g, (_, c: string) => c.toUpperCase()),
    ))
      for (const end of ['Done', 'Failed', 'Cancelled']) expect(body).toContain(`${name}${end}`);
  });

  it('have a dashboard with a row per subsystem', () => {
    const [[, dashboard] = []] = resourcesOf(templates.monitoring, 'AWS::CloudWatch::Dashboard');
    const body = JSON.stringify(dashboard?.Properties.DashboardBody);
    for (const subsystem of ['audit', 'auth', 'identity', 'pds', 'provisioning', 'database'])
      expect(body).toContain(`## ${subsystem}`);
  });
});
