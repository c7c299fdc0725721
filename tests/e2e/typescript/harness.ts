// A server process, a worker around a piece of a test, and a runner that counts.
import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import * as activities from './activities.ts';

export const EXECUTABLE = process.env.PERDURE_SERVER ?? 'build/perdure';

export function unique(name: string): string {
  return `${name}-${randomUUID()}`;
}

export async function eventually<T>(check: () => Promise<T>, seconds = 15): Promise<T> {
  const until = Date.now() + seconds * 1000;
  for (;;) {
    const found = await check();
    if (found) return found;
    if (Date.now() > until) throw new Error(`stayed false for ${seconds} s: ${check}`);
    await pause(50);
  }
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((done) => probe.listen(0, '127.0.0.1', done));
  const port = (probe.address() as AddressInfo).port;
  await new Promise((done) => probe.close(done));
  return port;
}

async function listens(port: number): Promise<boolean> {
  return await new Promise((done) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => { socket.destroy(); done(true); });
    socket.once('error', () => done(false));
  });
}

export class Server {
  folder = mkdtempSync(join(tmpdir(), 'perdure-test-'));
  port = 0;
  process?: ChildProcess;

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  async start(): Promise<this> {
    this.port ||= await freePort();
    this.process = spawn(EXECUTABLE, [
      'server', 'start-dev', '--ip', '127.0.0.1', '--port', `${this.port}`, '--headless',
      '--log-level', 'warn', '--db-filename', join(this.folder, 'test.db'),
    ], { stdio: ['ignore', 'ignore', 'inherit'] });
    await eventually(() => listens(this.port));
    return this;
  }

  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const gone = new Promise((done) => this.process?.once('exit', done));
    this.process?.kill(signal);
    await gone;
  }

  async remove(): Promise<void> {
    await this.end('SIGKILL');
    rmSync(this.folder, { recursive: true });
  }

  async client(): Promise<Client> {
    return new Client({ connection: await Connection.connect({ address: this.address }) });
  }
}

export function workflowsPath(file: string): string {
  return fileURLToPath(new URL(file, import.meta.url));
}

/** Runs a worker while `body` runs. */
export async function withWorker<T>(
  address: string, body: (queue: string) => Promise<T>, queue = unique('queue'),
  file = './workflows.ts', intercepted = false,
): Promise<T> {
  const connection = await NativeConnection.connect({ address });
  const worker = await Worker.create({
    connection, taskQueue: queue, activities, workflowsPath: workflowsPath(file),
    interceptors: { workflowModules: intercepted ? [workflowsPath(file)] : [] },
  });
  try {
    return await worker.runUntil(body(queue));
  } finally {
    await connection.close();
  }
}

const tests: [string, () => Promise<void>][] = [];

export function test(name: string, body: () => Promise<void>): void {
  tests.push([name, body]);
}

export async function runTests(): Promise<void> {
  let passed = 0;
  for (const [name, body] of tests) {
    const late = new AbortController();
    try {
      await Promise.race([body(), pause(60_000, undefined, { signal: late.signal }).then(() => {
        throw new Error('took more than 60 s');
      })]);
      passed++;
      console.log(`ok ${name}`);
    } catch (e) {
      console.log(`not ok ${name}`);
      console.log(e);
    } finally {
      late.abort();
    }
  }
  console.log(`${passed} passed, ${tests.length - passed} failed`);
  process.exitCode = passed === tests.length ? 0 : 1;
}
