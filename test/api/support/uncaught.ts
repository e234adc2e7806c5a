/** Messages of the errors that nobody caught while `work` ran: each of them would have ended a server. */
export const uncaughtDuring = async (work: () => Promise<void>): Promise<string[]> => {
  const messages: string[] = []
  const keep = (error: unknown) => {
    messages.push(String(error))
  }
  const others = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', keep)
  try {
    await work()
  } finally {
    process.removeListener('uncaughtException', keep)
    for (const other of others) process.on('uncaughtException', other)
  }
  return messages
}
