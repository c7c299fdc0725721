// Activities of the TypeScript end-to-end tests.
import { activityInfo, ApplicationFailure, heartbeat, sleep } from '@temporalio/activity';

export async function greet(name: string): Promise<string> {
  return `Hello, ${name}!`;
}

export async function failUntil(attempt: number): Promise<number> {
  const now = activityInfo().attempt;
  if (now < attempt) throw ApplicationFailure.create({ message: `not yet ${now}`, type: 'NotYet' });
  return now;
}

export async function failWithChain(): Promise<void> {
  const cause = ApplicationFailure.create({
    message: 'no such account', type: 'Lookup', details: [{ id: 7 }, 'more'],
  });
  throw ApplicationFailure.create({
    message: 'cannot transfer', type: 'Final', nonRetryable: true, cause,
  });
}

export async function failCarelessly(): Promise<void> {
  throw new RangeError('no such key', { cause: new Error('no lock') });
}

export async function beatOnce(): Promise<unknown> {
  const info = activityInfo();
  if (info.attempt === 1) {
    heartbeat({ page: 17 });
    await sleep('20 seconds').catch(() => undefined);
    throw new Error('the heartbeat timeout came first');
  }
  return info.heartbeatDetails;
}

export async function beatUntilCancelled(): Promise<void> {
  for (;;) {
    heartbeat('alive');
    await sleep(50); // throws when the activity is cancelled
  }
}

export async function slow(): Promise<string> {
  await sleep(300);
  return 'done';
}
