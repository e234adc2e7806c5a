/**
 * The `everleaf.yaml` that `everleaf init` writes: every setting with its default, switched off by a "#" that touches it,
 * under words that start with "# ". A test switches all of them on and expects the defaults.
 */
export const configTemplate = `# Everleaf. Every line that is switched off shows a default; take its "#" away, and those of its headings, to change it.
# Lengths of time: ms, s, m (minutes), h, d, w, y (365 days), e.g. 90d. Relative paths count from this file.
# An unknown setting or a bad unit stops the start with a message; nothing is guessed.

# Directory of everything that Everleaf keeps. Lost without a backup: every device enrols again.
data: .

#listen:
  # Where devices connect. "url" is given to every device at enrolment, and its host must be among "names": name a host
  # that devices can reach before the first real one enrols. "names" also holds this machine's own name by default.
  #device:
    #host: 0.0.0.0
    #port: 8443
    #url: https://localhost:8443
    #names: [localhost, 127.0.0.1, "::1"]
    # A certificate of your own, watched for changes: { key: server-key.pem, chain: server-chain.pem }. null: made and renewed here.
    #certificate: null
  # Where gateways fetch CRLs. "url" goes into every certificate, for good. Plain http on purpose.
  #public:
    #host: 0.0.0.0
    #port: 8080
    #url: http://localhost:8080
  # Where you command. Beyond 127.0.0.1 put a TLS proxy in front: the token crosses the network in clear.
  #admin:
    #host: 127.0.0.1
    #port: 8081
    #tokenFile: admin-token

# On a local disk: on a network file system it is damaged sooner or later.
#store:
  #file: everleaf.db

# The two CAs, made once by "everleaf init"; changes here do not reach CAs that exist.
# The passphrase opens their keys: { file: ... }, { environment: NAME } or { credential: name } (systemd). Never write it here.
#authority:
  #name: Everleaf
  #passphrase: { file: passphrase }
  #root: { validity: 10y, key: ec-p384 }
  #issuing: { validity: 5y, key: ec-p256 }

# validity: too short, and an outage of this server makes gateways refuse everybody; too long, and a gateway that
# stopped fetching goes unnoticed. refresh: at most half of it. coalesce: how long a revocation waits for others.
#crl:
  #validity: 7d
  #refresh: 1d
  #coalesce: 2s

# Where CRLs and truststores are put for gateways to read.
#publication:
  #directory: published

# Kinds of certificate, by name. Variables in subject and san: {device} and {label.<name>}.
#profiles:
  #device:
    # Short: a stolen key is useless soon. Long: a device that is offline for weeks comes back by itself.
    #validity: 90d
    #keys: [ec-p256, ec-p384, rsa-2048, rsa-3072, rsa-4096]
    #subject: { CN: "{device}" }
    #san: { dns: [], uri: ["spiffe://everleaf.local/device/{device}"] }
    #renewal:
      # rekey: the device makes a new key and asks. reuse: the server renews the key on record and the device fetches.
      #keys: rekey
      # Part of the life after which renewal is due. Late: an outage of this server strands devices. Early: more work.
      #after: 2/3
      # Renewals are spread over this part of the life around "after". 0: what was issued together renews together.
      #jitter: 0.1
      # How long after expiry a certificate may still renew. 0: not at all; the device enrols again with a new token.
      #grace: 0
      # At most this many certificates for one device in a quarter of the life, so that a device in a loop stops by itself.
      #burst: 10
    #alerts:
      # Times before expiry, longest first; scaled down for a life under 90 days.
      #expiry: [45d, 30d, 14d, 7d, 3d, 1d]
      # Part of the life past its due renewal at which a certificate counts as overdue.
      #overdueAfter: 0.05

# The device listener's own certificate, renewed by the same schedule.
#listenerProfile:
  #validity: 30d
  #renewal: { after: 2/3, jitter: 0.1 }
  #alerts: { expiry: [45d, 30d, 14d, 7d, 3d, 1d], overdueAfter: 0.05 }

# Places that enforce mutual TLS. Commands are lists of program and arguments; no shell reads them. For nginx:
#   - name: edge
#     truststore: /etc/nginx/everleaf/truststore.pem
#     crl: /etc/nginx/everleaf/crl.pem
#     test: [nginx, -t]
#     reload: [nginx, -s, reload]
#     pidFile: /run/nginx.pid
#     check: [curl, --fail, --silent, https://localhost/health]
#     timeout: 30s
#gateways: []

# A webhook: { name: ops, url: https://..., secret: { file: webhook-secret }, timeout: 10s }. Its secret signs each event.
#events:
  #log: true
  #webhooks: []

# How long expired certificates and delivered events are remembered.
#retention:
  #certificates: 1y
  #events: 30d

# silent, fatal, error, warn, info, debug or trace.
#log:
  #level: info

# When due work is looked for: a cron expression with seconds. Rarer than a renewal may wait: renewals wait.
#sweep: "* * * * * *"
`
