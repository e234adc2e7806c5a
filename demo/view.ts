import type { DemoDevice } from './device.ts'
import type { DemoEvent } from './server.ts'

export interface Scene {
  gateway: string
  devices: readonly DemoDevice[]
  /** What happens now, in a sentence. */
  act: string
  events: readonly DemoEvent[]
  startedAt: number
}

const paint = (code: number, text: string): string => `\x1b[${code}m${text}\x1b[0m`
const [red, green, yellow, dim, bold] = [31, 32, 33, 2, 1]

const life = 20_000
const width = 20

/** How much of the certificate's life is left, as a bar. */
const bar = ({ notAfter, state }: DemoDevice): string => {
  const left = Math.max(0, Math.min(1, (notAfter - Date.now()) / life))
  const filled = Math.round(left * width)
  const color = state === 'revoked' ? red : left > 0.4 ? green : left > 0.15 ? yellow : red
  return paint(color, '█'.repeat(filled)) + paint(dim, '░'.repeat(width - filled))
}

const stateText = (state: DemoDevice['state']): string =>
  paint(state === 'live' ? green : state === 'revoked' ? red : yellow, state.padEnd(8))

const row = (device: DemoDevice): string => {
  const { id, serial, renewals, accepted, refused, refusedAfterRevocation } = device
  const refusals =
    refusedAfterRevocation > 0 ? paint(red, `${refusedAfterRevocation} refused since revoked`) : `${refused} refused`
  return `  ${id.padEnd(10)} ${stateText(device.state)} ${bar(device)} ${paint(dim, serial.slice(-8).padEnd(8))} ${String(renewals).padStart(2)} renewals ${String(accepted).padStart(5)} served, ${refusals}`
}

const eventLine = ({ time, detailType, subject }: DemoEvent): string =>
  paint(dim, `  ${time.slice(11, 19)}  ${detailType.padEnd(36)} ${subject}`)

/** The picture of one moment. */
export const picture = ({ gateway, devices, act, events, startedAt }: Scene): string =>
  [
    `${paint(bold, 'Everleaf')}  five devices, certificates of ${life / 1_000} seconds, a gateway (${gateway}) that demands them   ${Math.round((Date.now() - startedAt) / 1_000)} s`,
    '',
    ...devices.map(row),
    '',
    `  ${paint(bold, act)}`,
    '',
    ...events.slice(-8).map(eventLine),
  ].join('\n')

/** Draws in place on a terminal; elsewhere writes a line for each event and act. */
export const createView = (isTerminal: boolean, write: (text: string) => void) => {
  let lines = 0
  let lastAct = ''
  let lastSequence = 0
  return (scene: Scene): void => {
    if (isTerminal) {
      const text = picture(scene)
      write(`${lines > 0 ? `\x1b[${lines}A` : ''}\x1b[0J${text}\n`)
      lines = text.split('\n').length
      return
    }
    if (scene.act !== lastAct) write(`* ${scene.act}\n`)
    lastAct = scene.act
    for (const { sequence, time, detailType, subject } of scene.events.filter(
      (event) => event.sequence > lastSequence,
    )) {
      write(`  ${time.slice(11, 19)} ${detailType} ${subject}\n`)
      lastSequence = sequence
    }
  }
}
