import type { Authority } from '../../src/authority/authority.ts'
import type { Ports } from '../../src/lifecycle/ports.ts'
import type { Writes } from '../../src/store/store.ts'

/** Counts the points before and after each external effect, and strikes at one of them. */
export interface Trap {
  /** Names of the points passed since it was armed, in order. */
  readonly passed: readonly string[]
  /** From now on counts; strikes at the point of that number, counted from 1. 0: only counts. */
  arm(at: number): void
  disarm(): void
  /** To be awaited before and after an effect. */
  point(name: string): Promise<void>
  wrap(ports: Ports): Ports
}

export interface TrapOptions {
  /** What happens at the chosen point. */
  strike(name: string): void
  /** Also before every single write within a transaction. */
  writes: boolean
}

export const createTrap = ({ strike, writes }: TrapOptions): Trap => {
  let passed: string[] = []
  let chosen: number | null = null

  const point = async (name: string): Promise<void> => {
    if (chosen === null) return
    passed.push(name)
    if (passed.length === chosen) strike(name)
  }
  const around = async <T>(name: string, effect: () => Promise<T>): Promise<T> => {
    await point(`before ${name}`)
    const result = await effect()
    await point(`after ${name}`)
    return result
  }

  const store = (inner: Ports['store']): Ports['store'] => ({
    ...inner,
    transaction: (work) => around('a commit', () => inner.transaction((tx) => work(writes ? writesOf(tx, point) : tx))),
  })

  return {
    get passed() {
      return passed
    },
    arm(at) {
      passed = []
      chosen = at
    },
    disarm() {
      chosen = null
    },
    point,
    wrap: (ports) => ({
      ...ports,
      store: store(ports.store),
      authorities: authoritiesOf(ports.authorities, around),
      publication: {
        name: ports.publication.name,
        get: (key) => ports.publication.get(key),
        manifest: (key) => ports.publication.manifest(key),
        put: (key, ...rest) => around(`the put of ${key}`, () => ports.publication.put(key, ...rest)),
      },
      gateways: new Map(
        [...ports.gateways].map(([name, gateway]) => [
          name,
          {
            name,
            limits: gateway.limits,
            observe: () => around(`the look at gateway ${name}`, () => gateway.observe()),
            apply: (artefacts) => around(`the change of gateway ${name}`, () => gateway.apply(artefacts)),
          },
        ]),
      ),
      sinks: new Map(
        [...ports.sinks].map(([name, sink]) => [
          name,
          {
            name,
            batch: sink.batch,
            deliver: (events) => around(`the delivery to ${name}`, () => sink.deliver(events)),
          },
        ]),
      ),
      listener: ports.listener && {
        ...ports.listener,
        prepareKey: () => around('the new key of the listener', async () => ports.listener?.prepareKey() ?? none),
        install: (chain) => around('the change of the listener', async () => ports.listener?.install(chain)),
      },
    }),
  }
}

const none = new Uint8Array()

type Around = <T>(name: string, effect: () => Promise<T>) => Promise<T>

const authoritiesOf = ({ issuing, all }: Ports['authorities'], around: Around): Ports['authorities'] => {
  const wrapped = all.map((authority): Authority => {
    const { id, issuer, crlSigner } = authority
    return {
      ...authority,
      issuer: issuer && { issue: (order) => around(`a signature by ${id}`, () => issuer.issue(order)) },
      crlSigner: crlSigner && {
        signCrl: (order) => around(`the signature of the CRL of ${id}`, () => crlSigner.signCrl(order)),
      },
    }
  })
  const chosen = wrapped.find(({ id }) => id === issuing.id)
  if (!chosen?.issuer) throw new Error('the issuing authority is not among all')
  return { issuing: { ...chosen, issuer: chosen.issuer }, all: wrapped }
}

const changing = new Set([
  'insert',
  'put',
  'change',
  'use',
  'append',
  'setCursor',
  'park',
  'unpark',
  'markPublished',
  'prune',
  'recordContact',
  'setState',
  'record',
])

/** The same transaction, with a point before each write. */
const writesOf = (tx: Writes, point: Trap['point']): Writes =>
  Object.fromEntries(
    Object.entries(tx).map(([aggregate, methods]) => [
      aggregate,
      Object.fromEntries(
        Object.entries(methods as Record<string, (...given: unknown[]) => Promise<unknown>>).map(([name, method]) => [
          name,
          changing.has(name)
            ? async (...given: unknown[]) => {
                await point(`before ${aggregate}.${name}`)
                return method(...given)
              }
            : method,
        ]),
      ),
    ]),
  ) as unknown as Writes
