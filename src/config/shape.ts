import type { Duration, Profile } from '../model.ts'

/**
 * The configuration, validated and complete: every path absolute, every length of time in milliseconds.
 * Each field says what goes wrong at either extreme. `everleaf init` writes the same words into `everleaf.yaml`.
 */
export interface Config {
  /** The file that it came from; null: defaults and environment alone. */
  file: string | null
  /** Directory of everything this server keeps, mode 0700. Lost without a backup: every device enrols again. */
  data: string
  listen: {
    device: DeviceListen
    public: PublicListen
    admin: AdminListen
  }
  /** The SQLite file. On a network file system its locks do not hold and it is damaged sooner or later. */
  store: { file: string }
  authority: AuthorityConfig
  crl: {
    /**
     * From this update to next update. Too short: an outage of this server makes gateways refuse everybody. Too long: a
     * gateway that stopped fetching goes unnoticed.
     */
    validity: Duration
    /**
     * Rebuilt at least this often, at most half of `validity`, so that one missed rebuild harms nobody. Very short:
     * needless signatures.
     */
    refresh: Duration
    /**
     * After a revocation, waited for more before publishing. 0: one CRL each. Long: a revoked device stays let in for
     * as long.
     */
    coalesce: Duration
  }
  /** Where CRLs and truststores are put for gateways to read. */
  publication: { directory: string }
  /** By name, which is also the EST label. Never empty. */
  profiles: Record<string, Profile>
  /** The device listener's own certificate. Its names are `listen.device.names`. */
  listenerProfile: Profile
  gateways: readonly GatewayConfig[]
  events: {
    /** Writes each event as a log line. */
    log: boolean
    webhooks: readonly WebhookConfig[]
  }
  retention: {
    /**
     * How long an expired certificate stays in the inventory. Short: "what was this serial?" has no answer. Long: the
     * file grows.
     */
    certificates: Duration
    /** How long a delivered event stays. Short: `events tail` forgets. Long: the file grows. */
    events: Duration
  }
  log: { level: LogLevel }
  /**
   * Cron expression (with seconds) of the sweep that finds due work. Rare: work waits that long. Certificates of
   * seconds need every second.
   */
  sweep: string
}

export type LogLevel = 'silent' | 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace'

export interface DeviceListen {
  /**
   * Address to listen on. 127.0.0.1: this machine only. 0.0.0.0: every network that it is in; a client certificate or a
   * token is needed for everything but `cacerts`.
   */
  host: string
  /** 0: any free port; a `url` that was not given then ends in :0 until the listener is bound. */
  port: number
  /**
   * `https://name:port` under which devices reach it; given to them at enrolment. Wrong: devices enrol and never come
   * back.
   */
  url: string
  /**
   * Host names and IP addresses in the listener's certificate. The host of `url` missing among them: every agent
   * refuses the server.
   */
  names: readonly string[]
  /**
   * PEM files of a certificate that is not ours to renew, watched for changes; null: issued by the issuing CA and
   * renewed by itself.
   */
  certificate: { key: string; chain: string } | null
}

export interface PublicListen {
  host: string
  port: number
  /**
   * `http://…`, written into every certificate as the place of its CRL, for good. Plain HTTP: a TLS client would need
   * the CRL to fetch the CRL.
   */
  url: string
}

export interface AdminListen {
  /** Plain HTTP: beyond loopback the bearer token crosses the network in clear unless a TLS proxy stands in front. */
  host: string
  port: number
  /** Mode 0600. Whoever reads it rules this server. */
  tokenFile: string
}

export type AuthorityKey = 'ec-p384' | 'ec-p256'

export interface AuthorityConfig {
  /** Part of the CAs' subject names; fixed when they are made. */
  name: string
  /** Opens the CAs' private keys. Lost: no certificate can be issued or renewed ever again. */
  passphrase: SecretSource
  /** Too short: the whole fleet must learn a new root that soon. Too long: a stolen key serves that long. */
  root: { validity: Duration; key: AuthorityKey }
  /** At least the longest validity of a profile: no certificate outlives its issuer. */
  issuing: { validity: Duration; key: AuthorityKey }
}

/**
 * Where a secret lies: a file, an environment variable, or a systemd credential (`LoadCredential=`). Never the secret
 * itself.
 */
export type SecretSource = { file: string } | { environment: string } | { credential: string }

/** A command is an array of program and arguments; no shell reads it. */
export interface GatewayConfig {
  name: string
  type: 'command'
  /** File into which the truststore is put for the gateway. */
  truststore: string
  /** File into which the CRLs of the whole chain are put. */
  crl: string
  /**
   * Says by exit 0 that the new files are good, e.g. [nginx, -t]; null: not asked, so a bad file is seen at the reload
   * only.
   */
  test: readonly string[] | null
  /** Makes the new files effective, e.g. [nginx, -s, reload]. */
  reload: readonly string[]
  /** The gateway's pid file: its process must be alive after the reload; null: not looked at. */
  pidFile: string | null
  /** Run after the reload, exit 0 when the gateway serves with the new files; null: `reload`'s own exit is believed. */
  check: readonly string[] | null
  /**
   * For each command. Short: a slow reload counts as failed and is undone. Long: a hanging one holds up this gateway.
   */
  timeout: Duration
}

export interface WebhookConfig {
  name: string
  url: string
  /** Key of the HMAC-SHA-256 signature by which the receiver knows that the event is ours. */
  secret: SecretSource
  /** For one delivery. Short: a slow receiver gets every event twice. Long: one dead receiver is noticed late. */
  timeout: Duration
}
