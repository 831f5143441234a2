import type { Mutant } from './mutant.ts'

const forwarding = ['test/cluster/forwarding.test.ts']
const passingOn = ['test/cluster/passing-on.test.ts']

/** Of requests that another region carries out. */
export const forwardingMutants: readonly Mutant[] = [
  {
    name: 'whoever-says-so-passed-it-on',
    rule: 'Y11',
    file: 'gateway/peer/forwarding.ts',
    from: 'call === undefined || !secret.isSigned(text, signature)',
    to: 'call === undefined',
    killers: ['test/cluster/two-regions.test.ts'],
  },
  {
    name: 'bodies-without-their-length',
    rule: 'Y18',
    file: 'gateway/peer/forwarding.ts',
    from: 'for (const name of ofRequests) local.delete(name)',
    to: '',
    killers: passingOn,
  },
  {
    name: 'slow-clients-take-the-calls-connections',
    rule: 'Y19',
    file: 'gateway/peer/client.ts',
    from: 'agent: this.#passing',
    to: 'agent: this.#calls',
    killers: forwarding,
  },
  {
    name: 'slow-readers-take-the-calls-connections',
    rule: 'Y19',
    file: 'gateway/peer/client.ts',
    from: '(trace) => this.#send(this.#streams,',
    to: '(trace) => this.#send(this.#calls,',
    killers: forwarding,
  },
  {
    name: 'refusals-of-a-region-are-answers',
    rule: 'Y20',
    file: 'gateway/peer/forwarding.ts',
    from: 'if (refusal === undefined) return resolve(response)',
    to: 'if (refusal !== null) return resolve(response)',
    killers: forwarding,
  },
  {
    name: 'clients-that-leave-lose-a-region',
    rule: 'Y20',
    file: 'gateway/peer/forwarding.ts',
    from: 'cause instanceof Fault ? cause : new NoAnswer(',
    to: 'new NoAnswer(',
    killers: forwarding,
  },
  {
    name: 'late-failures-pass-over-the-node-that-answers',
    rule: 'Y21',
    file: 'gateway/peer/client.ts',
    from: 'if (second !== undefined && first === origin)',
    to: 'if (second !== undefined)',
    killers: forwarding,
  },
  {
    name: 'hung-regions-are-waited-for',
    rule: 'Y22',
    file: 'gateway/peer/forwarding.ts',
    from: 'if (unheard >= looks * passedLonger) sent.destroy(new Silent())',
    to: '',
    killers: forwarding,
  },
]
