import NVMe

/// Asynchronous events and the requests that wait for them (NVMe Base 2.0, 5.2).
///
/// An event once reported is not reported again until the host has read its log page; what happens meanwhile is kept as one more.
/// An event the host has not asked for yet is kept as well, and sent when it asks: between reading a log and enabling its event
/// nothing is missed.
struct EventQueue {
  /// AERL + 1: the requests a host may leave here.
  static let requestLimit = 4

  enum Source: CaseIterable {
    case namespaceAttribute
    case anaChange
    case discoveryLog

    var event: AsynchronousEvent {
      switch self {
      case .namespaceAttribute: .namespaceAttributeChanged
      case .anaChange: .anaChange
      case .discoveryLog: .discoveryLogChanged
      }
    }

    /// The bit of the configuration feature with which a host asks for it.
    var configuration: AsynchronousEventConfiguration {
      switch self {
      case .namespaceAttribute: .namespaceAttribute
      case .anaChange: .anaChange
      case .discoveryLog: .discoveryLogChange
      }
    }
  }

  private enum State {
    case quiet
    /// Happened, not reported.
    case pending
    /// Reported, its log not read.
    case reported(again: Bool)
  }

  /// The events the host asks for.
  var configuration: AsynchronousEventConfiguration = []
  private var states: [State] = Source.allCases.map { _ in .quiet }
  /// The oldest first.
  private(set) var requests: [UInt16] = []

  /// Keeps a request. False when there are as many as may be.
  mutating func park(commandIdentifier: UInt16) -> Bool {
    if requests.count == Self.requestLimit { return false }
    requests.append(commandIdentifier)
    return true
  }

  /// Takes a request back. False when it is not there.
  mutating func abort(commandIdentifier: UInt16) -> Bool {
    guard let index = requests.firstIndex(of: commandIdentifier) else { return false }
    requests.remove(at: index)
    return true
  }

  mutating func raise(_ source: Source) {
    let index = Self.index(of: source)
    switch states[index] {
    case .quiet, .pending: states[index] = .pending
    case .reported: states[index] = .reported(again: true)
    }
  }

  /// The next event to report with the request it answers; nil when there is no event, or no request.
  mutating func take() -> (commandIdentifier: UInt16, event: AsynchronousEvent)? {
    if requests.isEmpty { return nil }
    for (index, source) in Source.allCases.enumerated() {
      guard case .pending = states[index], configuration.contains(source.configuration) else { continue }
      states[index] = .reported(again: false)
      return (requests.removeFirst(), source.event)
    }
    return nil
  }

  /// The host read the source's log from `offset` bytes on and lets the event be cleared. A read from the start saw everything; a
  /// later part of a log in several reads may belong to a state that has passed since, so an event that came meanwhile stays.
  mutating func logWasRead(_ source: Source, offset: UInt64) {
    let index = Self.index(of: source)
    switch states[index] {
    case .quiet: break
    case .pending: if offset == 0 { states[index] = .quiet }
    case .reported(let again): states[index] = again && offset != 0 ? .pending : .quiet
    }
  }

  /// A controller reset: requests are dropped, not answered, and the configuration is the default again.
  mutating func reset() { self = EventQueue() }

  private static func index(of source: Source) -> Int {
    switch source {
    case .namespaceAttribute: 0
    case .anaChange: 1
    case .discoveryLog: 2
    }
  }
}
