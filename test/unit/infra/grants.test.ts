import { describe, expect, it } from 'vitest';
import {
  everywhere,
  functionsOf,
  LOCAL,
  PRODUCTION,
  resourcesOf,
  synthesize,
  WORKERS,
} from './synthesized.ts';

type Statement = { Effect: string; Action: string | string[]; Resource: unknown; Condition?: unknown };

describe.each([
  ['production', PRODUCTION],
  ['local', LOCAL],
])('grants of %s', (stage, env) => {
  const templates = synthesize(env);
  const policies = everywhere(templates, 'AWS::IAM::Policy').map(({ logicalId, Properties }) => ({
    id: logicalId,
    statements: (Properties.PolicyDocument as { Statement: Statement[] }).Statement,
  }));
  const functions = functionsOf(templates, stage);
  const statementsOf = (functionId: string) => {
    const { template, properties } = functions.get(functionId) ?? {};
    const role = properties?.Role as { 'Fn::GetAtt': [string, string] };
    const attached = resourcesOf(template, 'AWS::IAM::Policy').filter(([, { Properties }]) =>
      JSON.stringify(Properties.Roles).includes(role['Fn::GetAtt'][0]),
    );
    return attached.flatMap(([id]) => policies.find((policy) => policy.id === id)?.statements ?? []);
  };
  const actionsOf = ({ Action }: Statement) => [Action].flat();

  it('allow single actions on single resources, X-Ray aside', () => {
    expect(policies.length).toBeGreaterThan(functions.size);
    for (const { id, statements } of policies) {
      for (const statement of statements) {
        const actions = actionsOf(statement);
        expect([id, actions.filter((action) => action.includes('*'))]).toEqual([id, []]);
        if ([statement.Resource].flat().includes('*'))
          expect([id, actions]).toEqual([id, ['xray:PutTraceSegments', 'xray:PutTelemetryRecords']]);
      }
    }
  });

  it('let make and open data keys only who seals or opens secrets, and only keys of this stage', () => {
    const users = [...functions.keys()].filter((id) =>
      statementsOf(id).some((statement) =>
        actionsOf(statement).some((action) => /^kms:(?!Sign$|GetPublicKey$)/.test(action)),
      ),
    );
    expect(users.sort()).toEqual([
      'auth-confirm-totp',
      'auth-enroll-totp',
      'auth-step-up',
      'lifecycle-change-identity',
      'lifecycle-create-app-password',
      'lifecycle-create-backup',
      'lifecycle-list-app-passwords',
      'lifecycle-remove-recovery-key',
      'lifecycle-request-export',
      'lifecycle-restore-backup',
      'lifecycle-reveal-credentials',
      'lifecycle-revoke-app-password',
      'lifecycle-rotate-due-keys',
      'lifecycle-set-recovery-key',
      'lifecycle-sweep-health',
      'provisioning-provision-identity',
      'provisioning-reconcile-orphans',
    ]);
    for (const id of users) {
      const kms = statementsOf(id).filter((statement) => /"kms:/.test(JSON.stringify(statement.Action)));
      expect(kms).toEqual([
        expect.objectContaining({
          Action: ['kms:GenerateDataKey', 'kms:Decrypt'],
          Condition: { StringEquals: { 'kms:EncryptionContext:environment': stage } },
        }),
      ]);
    }
  });

  it('let open alone what a former key wrapped, while its generation is named', () => {
    const later = synthesize({ ...env, PDS_DATA_KEYS: '2,1' });
    const kms = everywhere(later, 'AWS::IAM::Policy').flatMap(({ Properties }) =>
      (Properties.PolicyDocument as { Statement: Statement[] }).Statement.filter((statement) =>
        actionsOf(statement).includes('kms:Decrypt'),
      ),
    );
    const keyOf = ({ Resource }: Statement) =>
      /datakey(\d?)[0-9A-F]{8}Arn/.exec(JSON.stringify(Resource))?.[1];
    expect(new Set(kms.map((statement) => `${keyOf(statement)} ${actionsOf(statement)}`))).toEqual(
      new Set(['2 kms:GenerateDataKey,kms:Decrypt', ' kms:Decrypt']),
    );
    for (const { Condition } of kms)
      expect(Condition).toEqual({ StringEquals: { 'kms:EncryptionContext:environment': stage } });
  });

  it('let sign the roots of the audit log, and add to them, only who seals them', () => {
    const allowed = (pattern: RegExp) =>
      [...functions.keys()].flatMap((id) =>
        statementsOf(id)
          .filter((statement) => actionsOf(statement).some((action) => pattern.test(action)))
          .map((statement) => [id, actionsOf(statement)]),
      );
    const worker = ['s3:PutObject', 's3:AbortMultipartUpload', 's3:GetObject', 's3:DeleteObject'];
    expect(allowed(/^s3:/).sort()).toEqual([
      ['audit-seal-root', ['s3:PutObject']],
      // Of exports: one function makes them, one takes them away, one lets their owners read them.
      ['lifecycle-change-identity', worker],
      ['lifecycle-clean-up', worker],
      ['lifecycle-download-export', ['s3:GetObject']],
    ]);
    expect(allowed(/^kms:(Sign|GetPublicKey)$/)).toEqual([
      ['audit-seal-root', ['kms:Sign', 'kms:GetPublicKey']],
    ]);
  });

  it('give each function the database login of its role, and none to who asks it nothing', () => {
    const expected = (id: string) => {
      if (id.startsWith('docs-') || id === 'auth-preflight') return [];
      if (id === 'database-migrate') return ['api', 'owner', 'worker'];
      return [WORKERS.includes(id) ? 'worker' : 'api'];
    };
    for (const id of functions.keys()) {
      const logins = JSON.stringify(statementsOf(id)).matchAll(/Refdatabasedatabase(owner|api|worker)/g);
      expect([id, [...new Set([...logins].map(([, role]) => role))].sort()]).toEqual([id, expected(id)]);
    }
  });

  it('show the bot’s token to the logins that it signs and the bot alone', () => {
    const readers = [...functions.keys()].filter((id) =>
      JSON.stringify(statementsOf(id)).includes('TELEGRAMBOTTOKEN'),
    );
    expect(readers.sort()).toEqual([
      'auth-deliver-messages',
      'auth-login-mini-app',
      'auth-login-widget',
      'auth-telegram-webhook',
    ]);
  });

  it('let send to the queue only who enqueues, and receive only who works', () => {
    const allowedTo = (action: string) =>
      [...functions.keys()].filter((id) =>
        statementsOf(id).some((statement) => actionsOf(statement).includes(action)),
      );
    const withQueueUrl = [...functions].filter(([, { properties }]) =>
      JSON.stringify(properties.Environment).match(/(PROVISIONING|CHANGES|HEALTH)_QUEUE_URL/),
    );
    expect(allowedTo('sqs:SendMessage').sort()).toEqual(withQueueUrl.map(([id]) => id).sort());
    expect(allowedTo('sqs:ReceiveMessage').sort()).toEqual([
      'lifecycle-change-identity',
      'lifecycle-sweep-health',
      'provisioning-dead-letter',
      'provisioning-provision-identity',
    ]);
  });

  it('show no secret in an environment', () => {
    for (const [id, { properties }] of functions) {
      const { Variables } = properties.Environment as { Variables: Record<string, unknown> };
      const secrets = Object.keys(Variables).filter((name) =>
        /SECRET|TOKEN|PASSWORD|DATABASE_URL|BYPASS/.test(name),
      );
      expect([id, secrets.filter((name) => !name.endsWith('_SECRET_ARN'))]).toEqual([id, []]);
    }
  });
});
