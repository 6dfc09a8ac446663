import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Files that take longest, in this order; their length says little about it. */
const LONGEST = [
  'chaos/platform-two-pds',
  'e2e/platform',
  'chaos/platform-outage',
  'chaos/platform-late-creation',
  'move/crash',
  'bad-input/bad-input',
  'move/weather',
  'move/perils',
  'provisioning/crowd',
  'provisioning/burst',
  'hand-over/interrupted',
  'export/interrupted',
  'provisioning/crash',
  'rotate/many',
];

/** Begins with what takes longest, so that no worker is alone with it in the end; then by length, as Vitest does. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const group = ({ project }: TestSpecification) => project.config.sequence.groupOrder;
    const rank = ({ moduleId }: TestSpecification) => {
      const at = LONGEST.findIndex((name) => moduleId.endsWith(`${name}.test.ts`));
      return at < 0 ? LONGEST.length : at;
    };
    const sorted = await super.sort(files);
    return sorted.toSorted((a, b) => group(a) - group(b) || rank(a) - rank(b));
  }
}
