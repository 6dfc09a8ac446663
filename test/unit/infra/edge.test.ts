import vm from 'node:vm';
import { Match } from 'aws-cdk-lib/assertions';
import { describe, expect, it } from 'vitest';
import { DESCRIBE_VIEWER, NOT_FOUND } from '../../../infra/stacks/edge-functions.ts';
import { PRODUCTION, resourcesOf, synthesize } from './synthesized.ts';

const { edge } = synthesize(PRODUCTION);
const run = (code: string, event: unknown) =>
  JSON.parse(JSON.stringify(vm.runInNewContext(`${code}; handler(event)`, { event })));

type Behavior = { PathPattern?: string; FunctionAssociations: unknown; TargetOriginId: string };
type Config = {
  Aliases: string[];
  Origins: { OriginCustomHeaders: { HeaderName: string; HeaderValue: string }[] }[];
  DefaultCacheBehavior: Behavior;
  CacheBehaviors?: Behavior[];
  CustomErrorResponses: unknown;
};
const distributions = resourcesOf(edge, 'AWS::CloudFront::Distribution').map(
  ([, { Properties }]) => Properties.DistributionConfig as Config,
);
const members = distributions.find(({ Aliases }) => Aliases[0] === '*.example.org');

describe('edge', () => {
  it('is watched from outside, by an alarm that reaches the operators', () => {
    edge?.hasResourceProperties('AWS::Route53::HealthCheck', {
      HealthCheckConfig: Match.objectLike({
        FullyQualifiedDomainName: 'app.example.org',
        ResourcePath: '/api/healthz',
      }),
    });
    edge?.hasResourceProperties('AWS::CloudWatch::Alarm', {
      MetricName: 'HealthCheckStatus',
      TreatMissingData: 'breaching',
      AlarmActions: [{ Ref: Match.stringLikeRegexp('operators') }],
    });
    edge?.hasResourceProperties('AWS::SNS::Subscription', { Endpoint: 'operators@example.org' });
  });

  it('says which host was asked for and by whom, whatever the viewer claims', () => {
    const request = run(DESCRIBE_VIEWER, {
      viewer: { ip: '192.0.2.7' },
      request: {
        uri: '/',
        headers: {
          host: { value: 'alice.example.org' },
          'x-pds-host': { value: 'forged' },
          'x-pds-address': { value: 'forged' },
        },
      },
    });
    expect(request.headers).toMatchObject({
      'x-pds-host': { value: 'alice.example.org' },
      'x-pds-address': { value: '192.0.2.7' },
    });
  });

  it('passes two documents of a member’s host and answers everything else itself', () => {
    expect(members?.CacheBehaviors?.map(({ PathPattern }) => PathPattern)).toEqual([
      '/.well-known/did.json',
      '/.well-known/atproto-did',
    ]);
    expect(JSON.stringify(members?.DefaultCacheBehavior.FunctionAssociations)).toContain('notfound');
    expect(run(NOT_FOUND, {})).toMatchObject({
      statusCode: 404,
      headers: { 'cache-control': { value: 'no-store' } },
    });
  });

  it('hands everything on to the app’s API but the host, and keeps none of its answers', () => {
    const app = distributions.find(({ Aliases }) => Aliases[0] === 'app.example.org');
    // Managed policies of CloudFront: CachingDisabled; AllViewerExceptHostHeader, Authorization included.
    expect(app?.DefaultCacheBehavior).toMatchObject({
      CachePolicyId: '4135ea2d-6df8-44a3-9df3-4b5a84be39ad',
      OriginRequestPolicyId: 'b689b0a8-53d0-40ab-baf2-68738e2966ac',
      AllowedMethods: expect.arrayContaining(['GET', 'POST', 'DELETE', 'OPTIONS']),
    });
    expect(app?.CacheBehaviors).toBeUndefined();
  });

  it('keeps members apart in the cache, and nothing longer than the answer says', () => {
    edge?.hasResourceProperties('AWS::CloudFront::CachePolicy', {
      CachePolicyConfig: {
        MinTTL: 0,
        DefaultTTL: 0,
        MaxTTL: 86_400,
        ParametersInCacheKeyAndForwardedToOrigin: Match.objectLike({
          HeadersConfig: { HeaderBehavior: 'whitelist', Headers: ['x-pds-host'] },
          CookiesConfig: { CookieBehavior: 'none' },
          QueryStringsConfig: { QueryStringBehavior: 'none' },
        }),
      },
    });
  });

  it('never caches a 404, nor anything that went wrong for one member of the app', () => {
    const uncached = (codes: number[]) => codes.map((ErrorCode) => ({ ErrorCode, ErrorCachingMinTTL: 0 }));
    for (const { Aliases, CustomErrorResponses } of distributions) {
      const codes = Aliases[0] === 'app.example.org' ? [404, 500, 502, 503, 504] : [404];
      expect(CustomErrorResponses).toEqual(uncached(codes));
    }
  });

  it('keeps no samples of requests: cookies, bearers and login links would be in them', () => {
    for (const [, { Properties }] of resourcesOf(edge, 'AWS::WAFv2::WebACL')) {
      expect(JSON.stringify(Properties)).toContain('"SampledRequestsEnabled":false');
      expect(JSON.stringify(Properties)).not.toContain('"SampledRequestsEnabled":true');
    }
  });

  it('proves itself to the API with a secret that stands in no template', () => {
    expect(distributions).toHaveLength(2);
    for (const { Origins } of distributions) {
      expect(Origins[0]?.OriginCustomHeaders).toEqual([
        {
          HeaderName: 'x-origin-secret',
          HeaderValue: '{{resolve:secretsmanager:production/PDS_ORIGIN_SECRET:SecretString:::}}',
        },
      ]);
    }
  });

  it('lets the updates of the bot past what would block what members write, up to a bound of their own', () => {
    const acls = resourcesOf(edge, 'AWS::WAFv2::WebACL').filter(([id]) => id.startsWith('app'));
    const rules = acls.flatMap(([, { Properties }]) => Properties.Rules as { Statement: object }[]);
    const statements = rules.map(({ Statement }) => JSON.stringify(Statement));
    const others = /ScopeDownStatement":{"NotStatement.*"\/telegram\/webhook"/;
    const updates = /"Limit":15000,"ScopeDownStatement":{"ByteMatchStatement.*"\/telegram\/webhook"/;
    expect(statements).toEqual([
      ...[others, others, others].map((rule) => expect.stringMatching(rule)),
      expect.stringMatching(updates),
    ]);
  });

  it('has a WAF on both, and does not hold the missing User-Agent of a resolver against it', () => {
    const acls = resourcesOf(edge, 'AWS::WAFv2::WebACL').map(([id, { Properties }]) => [
      id,
      JSON.stringify(Properties.Rules),
    ]);
    const rulesOf = (kind: string) => acls.find(([id]) => id?.startsWith(kind))?.[1];
    expect(rulesOf('app')).toContain('AWSManagedRulesCommonRuleSet');
    expect(rulesOf('members')).not.toContain('AWSManagedRulesCommonRuleSet');
    edge?.allResourcesProperties('AWS::CloudFront::Distribution', {
      DistributionConfig: Match.objectLike({ WebACLId: Match.anyValue() }),
    });
  });
});
