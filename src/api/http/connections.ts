import type { Server as HttpServer } from 'node:http'
import type { Socket } from 'node:net'
import type { HttpLimits } from './limits.ts'

/** Keeps count of the open connections of a server, refuses those over the limits, and can end all of them. */
export interface Connections {
  readonly count: number
  destroyAll(): void
}

export const trackConnections = (server: HttpServer, limits: HttpLimits): Connections => {
  const open = new Set<Socket>()
  const perAddress = new Map<string, number>()

  const forget = (socket: Socket, address: string): void => {
    open.delete(socket)
    const left = (perAddress.get(address) ?? 1) - 1
    if (left > 0) perAddress.set(address, left)
    else perAddress.delete(address)
  }

  server.prependListener('connection', (socket: Socket) => {
    const address = socket.remoteAddress ?? ''
    const count = (perAddress.get(address) ?? 0) + 1
    // Connections that only wait for a next request make room for new ones.
    if (open.size >= limits.connections) server.closeIdleConnections()
    if (open.size >= limits.connections || count > limits.connectionsPerAddress) {
      socket.destroy()
      return
    }
    open.add(socket)
    perAddress.set(address, count)
    socket.once('close', () => forget(socket, address))
  })

  return {
    get count() {
      return open.size
    },
    destroyAll() {
      for (const socket of open) socket.destroy()
    },
  }
}
