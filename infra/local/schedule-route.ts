import type { RunningCloud } from './cloud.ts';
import { answerJson } from './http-api/answer-json.ts';
import type { LocalRoute } from './http-api/gateway.ts';

export const SCHEDULES_PATH = '/_local/schedules';
/** What is said about schedules: which one was fired and what became of it, or which ones there are. */
export type ScheduleAnswer = { fired: string; failed: boolean } | { schedules: string[] };

/**
 * Fires a schedule now: `POST /_local/schedules/<id>`. Answers when its targets are done, and with 404 and the ids of all
 * for one that is unknown.
 */
export function scheduleRoute({ fire, schedules }: Pick<RunningCloud, 'fire' | 'schedules'>): LocalRoute {
  return async (request, response, path) => {
    if (!path.startsWith(`${SCHEDULES_PATH}/`) || request.method !== 'POST') return false;
    const id = path.slice(SCHEDULES_PATH.length + 1);
    const answer = (status: number, content: ScheduleAnswer) => {
      answerJson(response, status, content);
      return true;
    };
    const ids = schedules().map((schedule) => schedule.id);
    if (!ids.includes(id)) return answer(404, { schedules: ids });
    const results = await fire(id);
    return answer(200, {
      fired: id,
      failed: results.some(({ functionError }) => functionError !== undefined),
    });
  };
}
