import { AppError } from '../../../lib/app-error.ts';
import { constructName, type Stack, type TemplateResource } from './assembly.ts';
import { evaluate, resolve, type Scope } from './intrinsics.ts';
import { isLeftOut } from './left-out.ts';

/** What exists after a resource was created: the answers to `Ref` and `Fn::GetAtt`. */
export type Created = { ref: string; attributes?: Readonly<Record<string, string>> };

/** A resource to create, its properties resolved. */
export type Resource = {
  stack: Stack;
  logicalId: string;
  /** The construct's name in CDK: the id by which people know it. */
  name: string;
  type: string;
  properties: Record<string, unknown>;
};

/** Creates resources of one type. */
export type Create = (resource: Resource) => Promise<Created>;

export type DeployDependencies = {
  region: string;
  account: string;
  kinds: Readonly<Record<string, Create>>;
  secretValue: Scope['secretValue'];
};

/**
 * Creates everything that the stacks declare, one stack after the other, each resource as soon as what it refers to
 * exists.
 * Fails with TEMPLATE_UNSUPPORTED, naming stack, logical id and type, when something is not known here.
 */
export async function deploy(deps: DeployDependencies, stacks: readonly Stack[]): Promise<void> {
  const exports = new Map<string, () => Promise<unknown>>();
  const deployments = stacks.map((stack) => deployment(deps, stack, exports));
  for (const { exportValues } of deployments) await exportValues();
  for (const { stack, create } of deployments) {
    // One failure is enough to know, but nothing may still be at work when it is told.
    const results = await Promise.allSettled(
      Object.keys(stack.template.Resources)
        .filter((logicalId) => !isCustomResourceProvider(stack, logicalId))
        .map(create),
    );
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
  }
}

function deployment(deps: DeployDependencies, stack: Stack, exports: Map<string, () => Promise<unknown>>) {
  const { template } = stack;
  const created = new Map<string, Promise<Created | undefined>>();
  const pseudo: Record<string, string | undefined> = {
    'AWS::Region': deps.region,
    'AWS::AccountId': deps.account,
    'AWS::Partition': 'aws',
    'AWS::URLSuffix': 'amazonaws.com',
    'AWS::StackName': stack.name,
    'AWS::StackId': `arn:aws:cloudformation:${deps.region}:${deps.account}:stack/${stack.name}/local`,
    'AWS::NoValue': undefined,
  };
  const scope: Scope = {
    async ref(name) {
      if (name in pseudo) return pseudo[name];
      if (template.Parameters && name in template.Parameters) return template.Parameters[name]?.Default;
      return (await create(name))?.ref;
    },
    async getAtt(logicalId, attribute) {
      const type = template.Resources[logicalId]?.Type ?? '';
      const value = (await create(logicalId))?.attributes?.[attribute];
      if (value !== undefined) return value;
      if (isLeftOut(type)) return `left-out:${logicalId}.${attribute}`;
      throw failure(stack, logicalId, type, `the attribute ${attribute} is not known to the local platform`);
    },
    async importValue(name) {
      const value = exports.get(name);
      if (!value) throw failure(stack, name, 'Fn::ImportValue', 'no stack that runs locally exports it');
      return value();
    },
    secretValue: deps.secretValue,
    condition: (name) => template.Conditions?.[name],
    mapping: (map, top, second) => template.Mappings?.[map]?.[top]?.[second],
  };

  function create(logicalId: string): Promise<Created | undefined> {
    const known = created.get(logicalId);
    if (known) return known;
    const started = createOnce(logicalId);
    created.set(logicalId, started);
    return started;
  }

  async function createOnce(logicalId: string): Promise<Created | undefined> {
    const resource = template.Resources[logicalId];
    if (!resource)
      throw failure(stack, logicalId, '?', 'something refers to it, but the template has no such resource');
    const { Type: type } = resource;
    if (resource.Condition && !(await evaluate(scope, { Condition: resource.Condition }))) return undefined;
    if (isLeftOut(type)) return { ref: `left-out:${logicalId}` };
    const kind = deps.kinds[type];
    if (!kind) throw failure(stack, logicalId, type, 'the local platform knows no such resource type');
    await Promise.all(dependenciesOf(resource).map(create));
    try {
      const { ServiceToken: _provider, ...declared } = resource.Properties ?? {};
      const properties = (await resolve(scope, declared)) as Record<string, unknown>;
      return await kind({ stack, logicalId, name: constructName(stack, logicalId), type, properties });
    } catch (error) {
      if (error instanceof ResourceError || isOwnError(error)) throw error;
      throw failure(stack, logicalId, type, error instanceof Error ? error.message : String(error), error);
    }
  }

  async function exportValues() {
    for (const { Value, Export } of Object.values(template.Outputs ?? {})) {
      if (!Export) continue;
      exports.set(String(await resolve(scope, Export.Name)), () => resolve(scope, Value));
    }
  }

  return { stack, create, exportValues };
}

class ResourceError extends AppError {}

/** A resource that says by itself what went wrong, e.g. a migration. */
function isOwnError(error: unknown): boolean {
  return error instanceof AppError && error.code !== 'TEMPLATE_UNSUPPORTED';
}

function failure(stack: Stack, logicalId: string, type: string, message: string, cause?: unknown): AppError {
  return new ResourceError(
    'TEMPLATE_UNSUPPORTED',
    `Stack ${stack.name}, ${logicalId} (${type}): ${message}`,
    {
      cause,
    },
  );
}

function dependenciesOf({ DependsOn }: TemplateResource): string[] {
  if (DependsOn === undefined) return [];
  return typeof DependsOn === 'string' ? [DependsOn] : DependsOn;
}

/** Lambdas that only serve CloudFormation as providers of custom resources are not run: we are the provider. */
function isCustomResourceProvider(stack: Stack, logicalId: string): boolean {
  return Object.values(stack.template.Resources).some(({ Properties }) => {
    const token = Properties?.ServiceToken as { 'Fn::GetAtt'?: string[]; Ref?: string } | undefined;
    return token?.['Fn::GetAtt']?.[0] === logicalId || token?.Ref === logicalId;
  });
}
