/// Runs a server's handlers on threads of their own, so that other work of the process that blocks the tasks' common threads does not
/// keep the server from answering. Threads come with the work and leave when there is none for a while.
final class HandlerExecutor: TaskExecutor, @unchecked Sendable {
  private let maximumThreads: Int
  private let monitor = Monitor()
  // Under the monitor:
  private var jobs: [UnownedJob] = []
  private var threadCount = 0
  private var idleCount = 0

  private static let idleNanoseconds: UInt64 = 5_000_000_000

  init(maximumThreads: Int) { self.maximumThreads = maximumThreads }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    let isThreadNeeded = monitor.withLock {
      jobs.append(job)
      if idleCount >= jobs.count || threadCount == maximumThreads {
        monitor.broadcast()
        return false
      }
      threadCount += 1
      return true
    }
    if isThreadNeeded, !DetachedThread.start(name: "keelson-handler", { self.run() }) {
      // Those that run take it; with none, the next job tries again.
      monitor.withLock { threadCount -= 1 }
    }
  }

  private func run() {
    while let job = next() { unsafe job.runSynchronously(on: asUnownedTaskExecutor()) }
  }

  /// The oldest job; nil if none came for a while, and this thread is no longer counted.
  private func next() -> UnownedJob? {
    monitor.withLock {
      let deadline = MonotonicClock.deadline(after: Self.idleNanoseconds)
      while jobs.isEmpty {
        if MonotonicClock.nanoseconds() >= deadline {
          threadCount -= 1
          return nil
        }
        idleCount += 1
        monitor.wait(deadline: deadline)
        idleCount -= 1
      }
      return jobs.removeFirst()
    }
  }
}
