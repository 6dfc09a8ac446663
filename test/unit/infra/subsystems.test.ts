import { Match } from 'aws-cdk-lib/assertions';
import { describe, expect, it } from 'vitest';
import { kebabCase } from '../../../infra/routes.ts';
import { CONTRACTS } from '../../../lib/docs/contracts.ts';
import { TIMES } from '../../../lib/provisioning/times.ts';
import {
  allResources,
  appFor,
  everywhere,
  functionsOf,
  LOCAL,
  PRODUCTION,
  resourcesOf,
  stacksOf,
  synthesize,
} from './synthesized.ts';

type Arn = { 'Fn::GetAtt'?: [string, string]; 'Fn::ImportValue'?: string };

const production = synthesize(PRODUCTION);
const local = synthesize(LOCAL);
const contracts = CONTRACTS.map((contract) => ({
  ...contract,
  functionId: `${contract.subsystem}-${kebabCase(contract.operationId)}`,
}));
const SUBSYSTEMS = ['audit', 'auth', 'docs', 'identity', 'lifecycle', 'pds', 'provisioning'];

describe('subsystems', () => {
  it('have a stack each, with all of their functions and nobody else’s', () => {
    const stacks = [...functionsOf(production, 'production')].map(([id, { stack }]) => [id, stack]);
    expect(stacks).toEqual(
      stacks.map(([id = '']) => [id, id === 'database-migrate' ? 'api' : id.split('-')[0]]),
    );
    expect([...new Set(stacks.map(([, stack]) => stack))].sort()).toEqual(['api', ...SUBSYSTEMS].sort());
  });

  it('watch and front only what is deployed', () => {
    const needed = ['api', 'data', ...SUBSYSTEMS];
    expect(Object.keys(production).sort()).toEqual([...needed, 'edge', 'monitoring'].sort());
    expect(Object.keys(local).sort()).toEqual(needed.sort());
  });

  it('gives every contract exactly one route, and has no other but for preflights', () => {
    const routes = everywhere(production, 'AWS::ApiGatewayV2::Route').map(
      ({ Properties }) => Properties.RouteKey,
    );
    const wanted = contracts.map(({ method, path }) => `${method} ${path}`);
    expect(routes.sort()).toEqual([...wanted, 'OPTIONS /api/{proxy+}'].sort());
    const elsewhere = contracts.filter(({ host, path }) => host === 'app' && !path.startsWith('/api/'));
    expect(elsewhere.map(({ path }) => path)).toEqual(['/telegram/webhook']);
  });

  it.each(contracts)('$method $path runs $functionId', ({ method, path, functionId }) => {
    const route = everywhere(production, 'AWS::ApiGatewayV2::Route').find(
      ({ Properties }) => Properties.RouteKey === `${method} ${path}`,
    );
    const fn = functionsOf(production, 'production').get(functionId);
    expect(route?.template).toBe(fn?.template);
    const integration = JSON.stringify(route?.Properties.Target).match(/"Ref":"(\w+)"/)?.[1] ?? '';
    const { [integration]: found } = route?.template.toJSON().Resources ?? {};
    expect(found?.Properties.IntegrationUri['Fn::GetAtt'][0]).toBe(fn?.logicalId);
  });

  it('runs everything on Node 24, arm64, traced, in the VPC, with a log that ends', () => {
    const functions = functionsOf(production, 'production');
    expect(functions.size).toBeGreaterThan(contracts.length);
    for (const { properties } of functions.values()) {
      expect(properties).toMatchObject({
        Runtime: 'nodejs24.x',
        Architectures: ['arm64'],
        Handler: 'index.handler',
        TracingConfig: { Mode: 'Active' },
        VpcConfig: expect.anything(),
        LoggingConfig: { LogGroup: expect.anything() },
      });
    }
    const { data: _data, ...others } = production;
    const logs = everywhere(others, 'AWS::Logs::LogGroup');
    expect(logs.length).toBeGreaterThan(functions.size);
    expect(logs.every(({ Properties }) => Properties.RetentionInDays === 30)).toBe(true);
  });

  it('lets no route outlive the HTTP API', () => {
    const functions = functionsOf(production, 'production');
    for (const { functionId } of contracts) {
      expect(Number(functions.get(functionId)?.properties.Timeout)).toBeLessThanOrEqual(29);
    }
  });

  it.each([
    ['production', production],
    ['local', local],
  ] as const)('times worker and queue by the one table of times (%s)', (stage, templates) => {
    const times = TIMES[stage];
    const worker = functionsOf(templates, stage).get('provisioning-provision-identity');
    expect(worker?.properties.Timeout).toBe(times.worker);
    templates.provisioning?.hasResourceProperties('AWS::SQS::Queue', {
      QueueName: `${stage}-provisioning`,
      VisibilityTimeout: times.visibility,
    });
    const mappings = everywhere(templates, 'AWS::Lambda::EventSourceMapping');
    expect(mappings).toHaveLength(4);
    const exported = Object.values(templates).flatMap((template) => {
      const { Outputs = {}, Resources } = template.toJSON();
      return Object.values<{ Export?: { Name: string }; Value: Arn }>(Outputs).map(({ Export, Value }) => ({
        name: Export?.Name,
        resource: Resources[Value['Fn::GetAtt']?.[0] ?? ''],
      }));
    });
    for (const { template, ...mapping } of mappings) {
      const resources = template.toJSON().Resources;
      const { EventSourceArn, FunctionName } = mapping.Properties as {
        EventSourceArn: Arn;
        FunctionName: { Ref: string };
      };
      const queue =
        resources[EventSourceArn['Fn::GetAtt']?.[0] ?? ''] ??
        exported.find(({ name }) => name === EventSourceArn['Fn::ImportValue'])?.resource;
      const visibility = queue.Properties.VisibilityTimeout;
      expect(visibility).toBeGreaterThanOrEqual(6 * resources[FunctionName.Ref].Properties.Timeout);
    }
  });

  it('redrives a message after five receives to a queue that keeps it for 14 days', () => {
    production.provisioning?.hasResourceProperties('AWS::SQS::Queue', {
      QueueName: 'production-provisioning',
      RedrivePolicy: {
        deadLetterTargetArn: { 'Fn::GetAtt': [Match.stringLikeRegexp('provisioningdeadletters'), 'Arn'] },
        maxReceiveCount: 5,
      },
    });
    production.provisioning?.hasResourceProperties('AWS::SQS::Queue', {
      QueueName: 'production-provisioning-dead-letters',
      MessageRetentionPeriod: 14 * 24 * 3600,
    });
  });

  it('works on one member an invocation and returns failures by message', () => {
    production.provisioning?.hasResourceProperties('AWS::Lambda::EventSourceMapping', {
      BatchSize: 1,
      FunctionResponseTypes: ['ReportBatchItemFailures'],
      ScalingConfig: { MaximumConcurrency: 10 },
      FunctionName: { Ref: Match.stringLikeRegexp('provisionidentity') },
    });
    production.provisioning?.hasResourceProperties('AWS::Lambda::EventSourceMapping', {
      FunctionResponseTypes: ['ReportBatchItemFailures'],
      FunctionName: { Ref: Match.stringLikeRegexp('deadletter') },
      EventSourceArn: { 'Fn::GetAtt': [Match.stringLikeRegexp('provisioningdeadletters'), 'Arn'] },
    });
  });

  it.each(['relay', 'deliver-messages'])(
    'runs %s every minute and keeps what could not be started',
    (name) => {
      const schedules = everywhere(production, 'AWS::Scheduler::Schedule');
      expect(schedules.map(({ Properties }) => Properties)).toContainEqual(
        expect.objectContaining({
          Name: `production-${name}-every-minute`,
          ScheduleExpression: 'rate(1 minute)',
          State: 'ENABLED',
          Target: expect.objectContaining({ DeadLetterConfig: expect.anything() }),
        }),
      );
    },
  );

  it('migrates before anything that needs the schema is deployed', () => {
    expect(resourcesOf(production.api, 'Custom::Trigger')).toHaveLength(1);
    const app = appFor(PRODUCTION);
    app.synth();
    const before = new Map(
      stacksOf(app).map(({ stackName, dependencies }) => [
        stackName,
        dependencies.map((stack) => stack.stackName),
      ]),
    );
    expect(before.get('production-api')).toEqual(['production-data']);
    for (const subsystem of SUBSYSTEMS)
      expect([subsystem, before.get(`production-${subsystem}`)]).toEqual([
        subsystem,
        expect.arrayContaining(['production-api']),
      ]);
    expect(before.get('production-edge')).toEqual(
      expect.arrayContaining(SUBSYSTEMS.map((subsystem) => `production-${subsystem}`)),
    );
  });

  it('is reached through the edge only, where there is one', () => {
    production.api?.hasResourceProperties('AWS::ApiGatewayV2::Api', { DisableExecuteApiEndpoint: true });
    production.api?.hasResourceProperties('AWS::ApiGatewayV2::DomainName', {
      DomainName: 'api.example.org',
    });
    const alone = synthesize({ ...PRODUCTION, PDS_HOSTED_ZONE_ID: undefined });
    alone.api?.hasResourceProperties('AWS::ApiGatewayV2::Api', { DisableExecuteApiEndpoint: false });
    expect(alone.edge).toBeUndefined();
  });

  it('bounds bursts, and logs no address of anyone', () => {
    production.api?.hasResourceProperties('AWS::ApiGatewayV2::Stage', {
      DefaultRouteSettings: Match.objectLike({ ThrottlingRateLimit: 200, ThrottlingBurstLimit: 400 }),
      AccessLogSettings: { Format: Match.not(Match.stringLikeRegexp('sourceIp|userAgent|Cookie')) },
    });
  });

  it('stays far below CloudFormation’s limit of 500 resources a stack', () => {
    for (const [name, template] of Object.entries(production))
      expect([name, allResources({ template }).length < 400]).toEqual([name, true]);
  });

  it('uses only the intrinsic functions that the local platform evaluates', () => {
    const known = /^Fn::(GetAtt|ImportValue|Join|Select|Split|Sub)$/;
    const used = allResources(local)
      .filter(([, { Type }]) => !Type.startsWith('AWS::EC2::')) // no network there
      .flatMap(([, resource]) => JSON.stringify(resource).match(/Fn::\w+/g) ?? []);
    expect(used).toContain('Fn::ImportValue');
    expect(used.filter((name) => !known.test(name))).toEqual([]);
  });
});
