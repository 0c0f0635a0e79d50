import Foundation
import GRPC
import Protobuf
import Synchronization

/// Calls of an etcd cluster as plain threads make them: authenticated, repeated at other members while that is safe, bounded in time.
final class EtcdClient: Sendable {
  /// Why a call gave nothing.
  enum Failure: Error {
    /// etcd said no; nothing was changed.
    case rejected(GRPCError)
    /// No answer, and nothing can have been changed.
    case unreachable(String)
    /// No answer, and the change may have been made.
    case unknown(String)
  }

  /// When a call that got no answer is made again.
  enum Repetition {
    /// Only where no member can have seen it.
    case unlessSeen
    /// If the first was carried out, those after it are refused.
    case untilRefused
    /// Twice is as good as once.
    case always
  }

  private let options: EtcdOptions
  private let channel: GRPCChannel
  private let password: String?
  private let token = Mutex<String?>(nil)
  private let closed = Mutex(false)

  init(_ options: EtcdOptions) throws(StoreError) {
    self.options = options
    if let path = options.passwordPath {
      guard let text = try? String(contentsOfFile: path, encoding: .utf8), let line = text.split(separator: "\n").first else {
        throw .unavailable(reason: "cannot read etcd's password from \(path); it is to be the file's first line")
      }
      password = String(line)
    } else {
      password = nil
    }
    var channelOptions = GRPCChannel.Options()
    channelOptions.tls = options.tls
    // Shorter than a call: a member that is back is found within it.
    channelOptions.maximumBackoffNanoseconds = 400_000_000
    // Less than the kernel takes to send the first segment again: the next member may be quicker.
    if options.endpoints.count > 1 { channelOptions.connectTimeoutNanoseconds = 900_000_000 }
    channelOptions.maximumMessageBytes = options.maximumMessageBytes
    do {
      channel = try GRPCChannel(endpoints: options.endpoints, options: channelOptions)
    } catch {
      throw .unavailable(reason: error.message)
    }
  }

  var isClosed: Bool { closed.withLock { $0 } }

  func close() {
    closed.withLock { $0 = true }
    channel.close()
  }

  /// Calls once, or again while time is left and either no server saw the call or `repetition` allows it. `attempted` is told before each
  /// attempt how many members may have seen one before.
  func call<Response: ProtobufReadable>(
    _ path: String, _ request: some ProtobufWritable, _ repetition: Repetition, attempted: (Int) -> Void = { _ in }
  ) throws(Failure) -> Response {
    let message = request.encoded()
    return try repeated(repetition, attempted: attempted) { (metadata, timeout) throws(GRPCError) in
      let answer: [UInt8] = try self.channel.unary(path, message, metadata: metadata, timeoutNanoseconds: timeout)
      return try Self.decode(answer)
    }
  }

  /// Keep-alives are asked on a stream; each is one of its own.
  func keepAlive(_ id: Int64) throws(Failure) -> Etcd.LeaseKeepAliveResponse {
    let message = Etcd.LeaseRequest(id: id).encoded()
    return try repeated(.always) { (metadata, timeout) throws(GRPCError) in
      let call = self.channel.call("/etcdserverpb.Lease/LeaseKeepAlive", metadata: metadata, timeoutNanoseconds: timeout)
      try call.send(message)
      call.finishSending()
      guard case .message(let answer) = try call.next(timeoutNanoseconds: timeout + 500_000_000) else {
        throw GRPCError(.unavailable, "the keep-alive was not answered", fate: .unknown)
      }
      return try Self.decode(answer)
    }
  }

  /// Opens a stream of watches.
  func watch() throws(Failure) -> GRPCCall {
    channel.call("/etcdserverpb.Watch/Watch", metadata: try metadata())
  }

  /// Rises whenever somebody else may be answering.
  var connectionCount: UInt64 { channel.connectionCount }

  /// The member in use does not serve: the next one.
  func moveOn() { channel.moveOn() }

  func forgetToken() { token.withLock { $0 = nil } }

  static func decode<Response: ProtobufReadable>(_ bytes: [UInt8]) throws(GRPCError) -> Response {
    do {
      return try Response(decoding: bytes)
    } catch {
      throw GRPCError(.internalError, "etcd's answer cannot be read: \(error)", fate: .unknown)
    }
  }

  private func repeated<Value>(
    _ repetition: Repetition, attempted: (Int) -> Void = { _ in },
    _ body: (GRPCMetadata, UInt64) throws(GRPCError) -> Value
  ) throws(Failure) -> Value {
    let start = BootClock.nanoseconds()
    var pauseMicroseconds: UInt32 = 20_000
    var authentications = 0
    var seenCount = 0
    var lastReason = "no attempt was made in time"
    for attempt in 0..<1_000 {
      let elapsed = BootClock.nanoseconds() - start
      // The first attempt is made in any case.
      if attempt > 0, elapsed + 10_000_000 > options.callTimeoutNanoseconds { break }
      let remaining = options.callTimeoutNanoseconds - min(elapsed, options.callTimeoutNanoseconds - 10_000_000)
      let metadata = try metadata()
      attempted(seenCount)
      do throws(GRPCError) {
        // What a member that lost its leader has taken is lost without a word: soon again, then with more patience.
        let patience = options.attemptTimeoutNanoseconds << UInt64(min(seenCount, 3))
        return try body(metadata, repetition == .unlessSeen ? remaining : min(remaining, patience))
      } catch {
        if isClosed { throw .unreachable("the store is closed") }
        lastReason = error.description
        switch Self.verdict(on: error) {
        case .rejected:
          // Refused now, but what was sent before may have been carried out.
          if repetition == .untilRefused, seenCount > 0 { throw .unknown(lastReason) }
          throw .rejected(error)
        case .tokenRefused:
          forgetToken()
          authentications += 1
          if authentications > 2 || password == nil { throw seenCount > 0 ? .unknown(lastReason) : .rejected(error) }
          continue
        case .notServed: channel.moveOn()
        case .unsent: break
        case .unknown:
          // An answer larger than we take stays so wherever it is asked for.
          if repetition == .always, error.code == .resourceExhausted { throw .rejected(error) }
          channel.moveOn()
          if repetition == .unlessSeen { throw .unknown(lastReason) }
          seenCount += 1
        }
      }
      usleep(pauseMicroseconds)
      pauseMicroseconds = min(pauseMicroseconds * 2, 250_000)
    }
    if repetition == .untilRefused, seenCount > 0 { throw .unknown(lastReason) }
    throw .unreachable(lastReason)
  }

  private enum Verdict { case rejected, tokenRefused, notServed, unsent, unknown }

  private static func verdict(on error: GRPCError) -> Verdict {
    switch error.fate {
    case .unsent: return error.code == .unavailable || error.code == .deadlineExceeded ? .unsent : .rejected
    case .unknown: return .unknown
    case .answered: break
    }
    switch error.code {
    case .unauthenticated: return .tokenRefused
    case .invalidArgument where error.message.contains("auth store"): return .tokenRefused
    // Refused before anything was proposed.
    case .unavailable where error.message == "etcdserver: no leader": return .notServed
    case .resourceExhausted where error.message == "etcdserver: too many requests": return .notServed
    case .unavailable, .deadlineExceeded, .cancelled, .unknown, .internalError: return .unknown
    default: return .rejected
    }
  }

  /// The token of the user, if there is one, and the wish that a member without a leader says so instead of waiting.
  private func metadata() throws(Failure) -> GRPCMetadata {
    var fields = [("hasleader", "true")]
    if let user = options.user, let password {
      if let known = token.withLock({ $0 }) {
        fields.append(("token", known))
      } else {
        let fresh = try authenticate(user, password)
        token.withLock { $0 = fresh }
        fields.append(("token", fresh))
      }
    }
    return GRPCMetadata(fields)
  }

  private func authenticate(_ user: String, _ password: String) throws(Failure) -> String {
    let message = Etcd.CredentialsRequest(name: user, password: password).encoded()
    var lastReason = ""
    let start = BootClock.nanoseconds()
    for _ in 0..<100 {
      do throws(GRPCError) {
        let answer: [UInt8] = try channel.unary(
          "/etcdserverpb.Auth/Authenticate", message, timeoutNanoseconds: options.attemptTimeoutNanoseconds)
        let response: Etcd.AuthenticateResponse = try Self.decode(answer)
        return response.token
      } catch {
        if isClosed { throw .unreachable("the store is closed") }
        lastReason = error.description
        switch Self.verdict(on: error) {
        case .rejected, .tokenRefused: throw .rejected(error)
        case .notServed, .unknown: channel.moveOn()
        case .unsent: break
        }
      }
      if BootClock.nanoseconds() - start > options.callTimeoutNanoseconds { break }
      usleep(100_000)
    }
    throw .unreachable(lastReason)
  }
}
