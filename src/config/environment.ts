/**
 * What the environment may set over the file, besides EVERLEAF_CONFIG and EVERLEAF_DATA. No name ends in _PORT or
 * _HOST: container platforms set such names by themselves.
 */
const variables: Record<string, (text: string) => Array<{ path: readonly string[]; value: unknown }>> = {
  EVERLEAF_LISTEN_DEVICE: (text) => listen('device', text),
  EVERLEAF_LISTEN_PUBLIC: (text) => listen('public', text),
  EVERLEAF_LISTEN_ADMIN: (text) => listen('admin', text),
  EVERLEAF_DEVICE_URL: (text) => [{ path: ['listen', 'device', 'url'], value: text }],
  EVERLEAF_DEVICE_NAMES: (text) => [
    { path: ['listen', 'device', 'names'], value: text.split(',').map((name) => name.trim()) },
  ],
  EVERLEAF_PUBLIC_URL: (text) => [{ path: ['listen', 'public', 'url'], value: text }],
  EVERLEAF_LOG_LEVEL: (text) => [{ path: ['log', 'level'], value: text }],
}

/** "0.0.0.0:8443", "[::]:8443" or the port alone. */
function listen(listener: string, text: string) {
  const [, host, port] = /^(?:(.*):)?(\d+)$/.exec(text) ?? []
  if (port === undefined) return [{ path: ['listen', listener, 'host'], value: text }]
  return [
    ...(host ? [{ path: ['listen', listener, 'host'], value: host }] : []),
    { path: ['listen', listener, 'port'], value: Number(port) },
  ]
}

/** The values that the environment gives, and by which variable each was given. */
export function overridesFrom(environment: Record<string, string | undefined>) {
  const values = Object.entries(variables).flatMap(([variable, read]) => {
    const text = environment[variable]
    return text ? read(text).map((override) => ({ ...override, variable })) : []
  })
  return { values, variables: new Map(values.map(({ path, variable }) => [path.join('.'), variable])) }
}
