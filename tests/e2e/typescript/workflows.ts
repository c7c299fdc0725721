// Workflows of the TypeScript end-to-end tests.
import {
  ActivityCancellationType, ActivityFailure, CancellationScope, condition, continueAsNew,
  defineQuery, defineSignal, isCancellation, proxyActivities, setHandler, sleep,
} from '@temporalio/workflow';
import type * as activities from './activities.ts';

const options = {
  startToCloseTimeout: '10 seconds',
  retry: { initialInterval: '20 ms', backoffCoefficient: 1 },
} as const;
const { greet, failUntil, failWithChain, slow } = proxyActivities<typeof activities>(options);
const { failCarelessly: failOnce } = proxyActivities<typeof activities>({
  ...options, retry: { maximumAttempts: 1 },
});
const { greet: never } = proxyActivities<{ greet: () => Promise<void> }>({
  taskQueue: 'nobody-polls', startToCloseTimeout: '10 seconds',
});
const { beatOnce } = proxyActivities<typeof activities>({ ...options, heartbeatTimeout: '700 ms' });
const { beatUntilCancelled } = proxyActivities<typeof activities>({
  ...options, startToCloseTimeout: '30 seconds', heartbeatTimeout: '2 seconds',
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
});

export async function greeting(name: string): Promise<string> {
  return await greet(name);
}

export async function retrying(attempt: number): Promise<number> {
  return await failUntil(attempt);
}

export async function chain(): Promise<void> {
  await failWithChain();
}

export async function carelessly(): Promise<void> {
  await failOnce();
}

/** What a deadline for an activity looks like to the workflow that set it. */
export async function impatient(): Promise<string[]> {
  try {
    await CancellationScope.withTimeout(200, () => never());
  } catch (e) {
    if (isCancellation(e) && e instanceof ActivityFailure) {
      return [e.name, e.cause?.name ?? 'no cause'];
    }
  }
  return [];
}

export async function beating(): Promise<unknown> {
  return await beatOnce();
}

export async function cancellable(): Promise<void> {
  await beatUntilCancelled();
}

export const add = defineSignal<[number]>('add');
export const end = defineSignal('end');
export const soFar = defineQuery<number[]>('soFar');

export async function collect(): Promise<number[]> {
  const items: number[] = [];
  let ended = false;
  setHandler(add, (n) => void items.push(n));
  setHandler(end, () => void (ended = true));
  setHandler(soFar, () => items);
  await condition(() => ended);
  return items;
}

export async function timers(): Promise<number[]> {
  const order: number[] = [];
  await Promise.all([600, 200, 400].map((ms) => sleep(ms).then(() => order.push(ms))));
  return order;
}

export async function countdown(n: number): Promise<string> {
  if (n > 0) await continueAsNew<typeof countdown>(n - 1);
  return 'lift-off';
}

export async function steps(count: number): Promise<string[]> {
  const done: string[] = [];
  for (let i = 0; i < count; i++) {
    done.push(await slow());
    await sleep(200);
  }
  return done;
}

export async function buggy(): Promise<string> {
  throw new Error('a bug');
}
