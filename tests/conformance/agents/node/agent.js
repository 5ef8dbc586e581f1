// An unmodified grpc-js client under remote control: commands come as JSON lines on standard
// input, one JSON line answers each. See ../README.md for the commands.
'use strict';

const readline = require('node:readline');
const grpc = require('@grpc/grpc-js');
require('@grpc/grpc-js-xds').register();

const METHOD = '/helloworld.Greeter/SayHello';
const REQUEST = Buffer.from('\x0a\x05agent');        // HelloRequest{name: "agent"}
const same = (bytes) => bytes;
const sleep = (ms) => new Promise((wake) => setTimeout(wake, ms));
const nowMs = () => performance.timeOrigin + performance.now();

// grpclbConfig selects grpclb; the balancer is asked for name, or for what is dialled ('*').
function grpclbConfig(name) {
  const policy = { childPolicy: [{ round_robin: {} }] };
  if (name !== '*') policy.serviceName = name;
  return JSON.stringify({ loadBalancingConfig: [{ grpclb: policy }] });
}

class Channel {
  constructor(target, idleMs, grpclb) {
    const options = idleMs > 0 ? { 'grpc.client_idle_timeout_ms': idleMs } : {};
    if (grpclb) options['grpc.service_config'] = grpclbConfig(grpclb);
    this.client = new grpc.Client(target, grpc.credentials.createInsecure(), options);
    this.firstSeen = {};
  }

  once(cmd) {
    const metadata = new grpc.Metadata({ waitForReady: Boolean(cmd.wait_for_ready) });
    if (cmd.header) metadata.set(cmd.header, cmd.value);
    const deadline = new Date(Date.now() + (cmd.timeout_ms ?? 5000));
    return new Promise((done) => {
      this.client.makeUnaryRequest(METHOD, same, same, REQUEST, metadata, { deadline },
        (error, reply) => done([error, reply]));
    });
  }

  state() {
    return grpc.connectivityState[this.client.getChannel().getConnectivityState(false)];
  }
}

// Run is a number of concurrent chains of calls, and what they counted.
class Run {
  constructor(channel, cmd, next) {
    this.channel = channel;
    this.cmd = cmd;
    this.next = next;
    this.reset();
  }

  reset() {
    this.sum = { ok: 0, failed: 0, by_backend: {}, errors: {}, first_error: '', slowest_ms: 0 };
  }

  start() {
    const chains = Array.from({ length: Math.max(this.cmd.threads ?? 1, 1) }, () => this.chain());
    this.ended = Promise.all(chains);
  }

  async chain() {
    while (this.next()) {
      const begin = performance.now();
      const [error, reply] = await this.channel.once(this.cmd);
      this.count(error, reply, performance.now() - begin);
      if (this.cmd.pause_us > 0) await sleep(this.cmd.pause_us / 1000);
    }
  }

  count(error, reply, took) {
    const sum = this.sum;
    sum.slowest_ms = Math.max(sum.slowest_ms, took);
    if (error) {
      const code = grpc.status[error.code] ?? 'UNKNOWN';
      sum.failed += 1;
      sum.errors[code] = (sum.errors[code] ?? 0) + 1;
      sum.first_error ||= String(error.message);
      return;
    }
    const text = reply.toString();
    const name = text.slice(text.indexOf(' from ') + ' from '.length);
    sum.ok += 1;
    sum.by_backend[name] = (sum.by_backend[name] ?? 0) + 1;
    this.channel.firstSeen[name] ??= nowMs();
  }

  // take returns what was counted since the last take.
  take() {
    const taken = { ...this.sum, first_seen_ms: { ...this.channel.firstSeen } };
    this.reset();
    return taken;
  }
}

const channels = new Map();
let load = null;
let halted = false;

function channelOf(cmd) {
  const target = cmd.target ?? process.argv[2];
  const key = `${target} ${cmd.idle_ms ?? 0} ${cmd.channel ?? ''} ${cmd.grpclb ?? ''}`;
  if (!channels.has(key)) channels.set(key, new Channel(target, cmd.idle_ms ?? 0, cmd.grpclb));
  return channels.get(key);
}

async function handle(cmd) {
  switch (cmd.cmd) {
    case 'call': {
      let left = cmd.n;
      const run = new Run(channelOf(cmd), cmd, () => left-- > 0);
      run.start();
      await run.ended;
      return run.take();
    }
    case 'start':
      halted = false;
      load = new Run(channelOf(cmd), cmd, () => !halted);
      load.start();
      return { started: true };
    case 'stats':
      return load.take();
    case 'stop':
      halted = true;
      await load.ended;
      return load.take();
    case 'state':
      return { state: channelOf(cmd).state() };
    default:
      return { error: `unknown command ${cmd.cmd}` };
  }
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    let answer;
    try {
      answer = await handle(JSON.parse(line));
    } catch (error) {
      answer = { error: String(error) };
    }
    process.stdout.write(JSON.stringify(answer) + '\n');
  }
  process.exit(0);
}

main();
