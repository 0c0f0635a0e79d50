import NVMe

/// What a host began by writing CC, for the connections to do. When it is done they say so with `effectPerformed`.
enum ControllerEffect: Equatable {
  /// CC.EN 0 to 1: the controller becomes ready once the host's older controllers have ended.
  case enable
  /// CC.EN 1 to 0: all I/O queues are to end, their commands finished or discarded.
  case reset
  /// CC.SHN: as reset, and unless abrupt the volatile write cache is to be flushed.
  case shutdown(isAbrupt: Bool)
}

/// The controller properties (NVMe Base 2.0, 3.1.3).
extension Controller {
  var capabilities: ControllerCapabilities {
    var capabilities = ControllerCapabilities(rawValue: 0)
    capabilities.maximumQueueEntriesZeroBased = UInt16(description.maximumQueueEntries - 1)
    capabilities.requiresContiguousQueues = true
    capabilities.timeoutHalfSeconds = description.readyTimeoutSeconds * 2
    capabilities.commandSets = 1 << 0
    capabilities.supportsReadyWithMedia = true
    return capabilities
  }

  /// What Property Get returns.
  func property(_ entry: SubmissionEntry) throws(CommandRefusal) -> UInt64 {
    let property = try Self.checkedProperty(entry)
    switch property {
    case .capabilities: return capabilities.rawValue
    case .version: return UInt64(SpecificationVersion.version2.rawValue)
    case .configuration: return UInt64(configuration.rawValue)
    case .status: return UInt64(status.rawValue)
    case .readyTimeouts:
      let halfSeconds = UInt16(description.readyTimeoutSeconds) * 2
      return UInt64(ControllerReadyTimeouts(withMediaHalfSeconds: halfSeconds, independentOfMediaHalfSeconds: 0).rawValue)
    case .subsystemReset, .subsystemShutdown: throw .invalidField
    }
  }

  /// What Property Set begins. CC is the only property that can be written. A host that enables the controller again before the
  /// reset it began is done is refused.
  func setProperty(_ entry: SubmissionEntry) throws(CommandRefusal) -> ControllerEffect? {
    guard try Self.checkedProperty(entry) == .configuration else { throw .invalidField }
    let new = ControllerConfiguration(rawValue: UInt32(truncatingIfNeeded: entry.propertyValue))
    if new.shutdown == .reserved { throw .invalidField }
    let old = configuration
    if new.isEnabled && !old.isEnabled && effectInProgress != nil { throw .permanent(.commandSequenceError) }
    configuration = new
    if new.isEnabled != old.isEnabled { return new.isEnabled ? beginEnable() : beginReset() }
    if new.shutdown != .none && status.shutdown == .none { return beginShutdown(isAbrupt: new.shutdown == .abrupt) }
    return nil
  }

  private static func checkedProperty(_ entry: SubmissionEntry) throws(CommandRefusal) -> ControllerProperty {
    guard let property = ControllerProperty(rawValue: entry.propertyOffset), entry.propertySizeCode <= 1,
      property.byteCount == (entry.propertySizeCode == 1 ? 8 : 4)
    else { throw .invalidField }
    return property
  }

  private func beginEnable() -> ControllerEffect? {
    let cc = configuration
    let hasEntrySizes = cc.submissionEntrySizeShift == 6 && cc.completionEntrySizeShift == 4
    if cc.commandSet != 0 || cc.pageSizeShift != 0 || cc.arbitration != 0 || (!isDiscovery && !hasEntrySizes) {
      status.isFatal = true
      return nil
    }
    status.shutdown = .none
    effectInProgress = .enable
    return .enable
  }

  private func beginReset() -> ControllerEffect {
    events.reset()
    changedNamespaces = []
    features = FeatureValues()
    effectInProgress = .reset
    return .reset
  }

  private func beginShutdown(isAbrupt: Bool) -> ControllerEffect {
    status.shutdown = .occurring
    effectInProgress = .shutdown(isAbrupt: isAbrupt)
    return .shutdown(isAbrupt: isAbrupt)
  }

  /// The connections have done what `setProperty` began; CSTS says so from now on. An effect that a later write replaced is ignored.
  func effectPerformed(_ effect: ControllerEffect) {
    if effectInProgress != effect { return }
    effectInProgress = nil
    switch effect {
    case .enable: status.isReady = true
    case .reset: status = ControllerStatus(rawValue: 0)
    case .shutdown:
      status.shutdown = .complete
      if !configuration.isEnabled { status.isReady = false }
    }
  }
}
