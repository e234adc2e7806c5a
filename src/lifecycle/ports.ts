import type { Authorities } from '../authority/authority.ts'
import type { Clock } from '../clock/clock.ts'
import type { EventSink } from '../events/events.ts'
import type { Gateway } from '../gateway/gateway.ts'
import type { ListenerIdentity } from '../listener/listener.ts'
import type { Duration, Profile } from '../model.ts'
import type { Publication } from '../publication/publication.ts'
import type { Random } from '../random/random.ts'
import type { Store } from '../store/store.ts'

/** Everything that some verb needs; each verb names the few that it takes. */
export interface Ports {
  store: Store
  clock: Clock
  random: Random
  authorities: Authorities
  publication: Publication
  gateways: ReadonlyMap<string, Gateway>
  sinks: ReadonlyMap<string, EventSink>
  profiles: ReadonlyMap<string, Profile>
  /** Null: the listener's certificate is given by files and is not ours to renew. */
  listener: ListenerIdentity | null
  settings: Settings
}

export interface Settings {
  /** Base URL of the public listener, written into every certificate's CRL distribution point. */
  publicUrl: string
  crl: { validity: Duration; refresh: Duration }
  listener: { profile: Profile; names: readonly string[] }
  retention: { certificates: Duration; events: Duration }
}

/** Where the artefacts lie in a publication. */
export const crlKey = (authority: string, shard: number): string => `crl/${authority}/${shard}.crl`
export const truststoreKey = 'truststore/truststore.pem'

/** The only shard so far: shard 0 alone is the full CRL of its authority. */
export const fullShard = 0
