import CLinux
import Glibc

/// Plain threads: the data path has no use for a scheduler.
public enum Thread {
  private final class Body {
    let name: String
    let run: @Sendable () -> Void

    init(name: String, run: @escaping @Sendable () -> Void) {
      self.name = name
      self.run = run
    }
  }

  /// Runs `body` on a new, detached thread. `name` is cut to 15 bytes, the kernel's limit.
  public static func start(name: String, _ body: @escaping @Sendable () -> Void) {
    let box = unsafe Unmanaged.passRetained(Body(name: name, run: body)).toOpaque()
    var thread = pthread_t()
    let status = unsafe pthread_create(
      &thread, nil,
      { argument in
        let body = unsafe Unmanaged<Body>.fromOpaque(argument!).takeRetainedValue()
        unsafe keelson_name_thread(body.name)
        body.run()
        return nil
      }, box)
    precondition(status == 0, "the system gives no more threads")
    pthread_detach(thread)
  }

  /// Binds the calling thread to one processor; false if the machine does not have it.
  @discardableResult
  public static func pin(toProcessor index: Int) -> Bool {
    guard index >= 0, index < 1024 else { return false }
    return keelson_pin_thread(UInt32(index)) == 0
  }
}

/// The same under a name that can be said beside Foundation's `Thread`.
public typealias PlainThread = Thread
