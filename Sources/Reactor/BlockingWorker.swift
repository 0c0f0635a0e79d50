import CLinux
import Glibc
import Synchronization

/// A thread for the few calls that block and that libaio does not have. Results return through the reactor's mailbox.
final class BlockingWorker: Sendable {
  private struct Job {
    let descriptor: Int32
    let mode: Int32
    let offsetBytes: UInt64
    let byteCount: UInt64
    let userData: UInt64
  }

  private struct State {
    var jobs: [Job] = []
    var isRunning = false
    var isStopped = false
  }

  private let state = Mutex(State())
  private let bell: Int32
  private let reactor: WeakReactor

  init(reactor: Reactor) {
    bell = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_SEMAPHORE))
    precondition(bell >= 0, "no descriptor left for an eventfd")
    self.reactor = WeakReactor(reactor)
  }

  deinit { close(bell) }

  func fallocate(descriptor: Int32, mode: Int32, offsetBytes: UInt64, byteCount: UInt64, userData: UInt64) {
    let job = Job(descriptor: descriptor, mode: mode, offsetBytes: offsetBytes, byteCount: byteCount, userData: userData)
    let mustStart = state.withLock { state in
      state.jobs.append(job)
      defer { state.isRunning = true }
      return !state.isRunning
    }
    if mustStart { Thread.start(name: "keelson-fallocate") { self.run() } }
    eventfd_write(bell, 1)
  }

  func stop() {
    state.withLock { $0.isStopped = true }
    eventfd_write(bell, 1)
  }

  private func run() {
    while true {
      var value: eventfd_t = 0
      unsafe eventfd_read(bell, &value)
      let (job, isStopped) = state.withLock { state in (state.jobs.isEmpty ? nil : state.jobs.removeFirst(), state.isStopped) }
      if let job {
        let result = keelson_fallocate(job.descriptor, job.mode, job.offsetBytes, job.byteCount)
        reactor.post { reactor in
          (reactor.engine as? EpollEngine)?.workerFinished(userData: job.userData, result: result, reactor: reactor)
        }
      }
      if isStopped { return }
    }
  }
}
