/// The status codes of gRPC (grpc/doc/statuscodes.md).
public enum GRPCCode: Int, Sendable, CaseIterable {
  case ok = 0
  case cancelled = 1
  case unknown = 2
  case invalidArgument = 3
  case deadlineExceeded = 4
  case notFound = 5
  case alreadyExists = 6
  case permissionDenied = 7
  case resourceExhausted = 8
  case failedPrecondition = 9
  case aborted = 10
  case outOfRange = 11
  case unimplemented = 12
  case internalError = 13
  case unavailable = 14
  case dataLoss = 15
  case unauthenticated = 16
}

/// How a call ended, if not well.
public struct GRPCError: Error, Equatable, Sendable {
  /// What is known about the server's part.
  public enum Fate: Equatable, Sendable {
    /// The server answered with this status.
    case answered
    /// No server can have seen the call: it may be made again.
    case unsent
    /// The call left and no answer came: the server may have carried it out.
    case unknown
  }

  public var code: GRPCCode
  public var message: String
  public var fate: Fate

  public init(_ code: GRPCCode, _ message: String, fate: Fate = .answered) {
    self.code = code
    self.message = message
    self.fate = fate
  }
}

extension GRPCError: CustomStringConvertible {
  public var description: String { message.isEmpty ? "\(code)" : "\(message) (\(code))" }
}

/// One header or trailer of a call; names are lower case. Values of names that end in `-bin` are base64, here and on the wire.
public struct GRPCMetadata: Equatable, Sendable {
  public var fields: [HeaderField]

  public init(_ fields: [(String, String)] = []) { self.fields = fields.map { HeaderField($0.0, $0.1) } }

  init(fields: [HeaderField]) { self.fields = fields }

  /// The first value of a name.
  public subscript(name: String) -> String? { fields.first { $0.name == name }?.value }
}

/// A header field of HTTP/2.
public struct HeaderField: Equatable, Sendable {
  public var name: String
  public var value: String

  public init(_ name: String, _ value: String) {
    self.name = name
    self.value = value
  }
}
