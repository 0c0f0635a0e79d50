import NVMe

/// Get Features and Set Features (NVMe Base 2.0, 5.15 and 5.27). No feature is saved over resets.
extension Controller {
  /// The events this controller sends: OAES.
  var supportedEvents: AsynchronousEventConfiguration { isDiscovery ? .discoveryLogChange : [.namespaceAttribute, .anaChange] }

  func getFeatures(_ entry: SubmissionEntry, reply: inout MutableRawSpan) throws(CommandRefusal) -> AdminCompletion {
    let feature = try supportedFeature(entry)
    guard let select = FeatureSelect(rawValue: entry.featureSelect) else { throw .invalidField }
    if select == .supportedCapabilities {
      return AdminCompletion(result: UInt64(Self.isChangeable(feature) ? FeatureCapabilities.changeable.rawValue : 0))
    }
    if feature == .hostIdentifier {
      try checkReplyPointer(entry)
      if !FeatureDword.isExtendedHostIdentifier(entry.dword11) { throw .invalidField }
      hostIdentifier.encode(into: &reply)
      return AdminCompletion(dataByteCount: Identifier128.byteCount)
    }
    let value = select == .current ? try currentValue(feature, entry) : try defaultValue(feature, entry)
    return AdminCompletion(result: UInt64(value))
  }

  /// Returns dword 0 of the completion.
  func setFeatures(_ entry: SubmissionEntry) throws(CommandRefusal) -> UInt64 {
    let feature = try supportedFeature(entry)
    if entry.featureSave { throw .permanent(.featureNotSaveable) }
    if entry.namespaceIdentifier != 0 && entry.namespaceIdentifier != NamespaceIdentifier.broadcast && feature != .errorRecovery {
      throw .permanent(.featureNotNamespaceSpecific)
    }
    let value = entry.dword11
    switch feature {
    case .arbitration: features.arbitration = value
    case .powerManagement: if value & 0x1F != 0 { throw .invalidField }
    case .temperatureThreshold: try setTemperatureThreshold(value)
    case .errorRecovery:
      // DULBE: reading deallocated blocks is no error here.
      if value & 1 << 16 != 0 { throw .invalidField }
      features.errorRecovery = value & 0xFFFF
    case .volatileWriteCache:
      if FeatureDword.isVolatileWriteCacheEnabled(value) != hasVolatileWriteCache { throw .permanent(.featureNotChangeable) }
    case .numberOfQueues: return try setNumberOfQueues(value)
    case .writeAtomicity: features.writeAtomicity = value & 1
    case .asynchronousEventConfiguration:
      let events = AsynchronousEventConfiguration(rawValue: value)
      if !events.isSubset(of: supportedEvents.union(isDiscovery ? [] : .healthWarnings)) { throw .invalidField }
      self.events.configuration = events
    case .keepAliveTimer: keepAlive.setTimeout(value)
    case .hostIdentifier: throw .permanent(.commandSequenceError)
    default: throw .invalidField
    }
    return 0
  }

  private var hasVolatileWriteCache: Bool { subsystem.namespace?.hasVolatileWriteCache == true }

  private func supportedFeature(_ entry: SubmissionEntry) throws(CommandRefusal) -> FeatureIdentifier {
    guard let feature = FeatureIdentifier(rawValue: entry.featureIdentifier) else { throw .invalidField }
    switch feature {
    case .asynchronousEventConfiguration, .keepAliveTimer, .hostIdentifier: return feature
    case .arbitration, .powerManagement, .temperatureThreshold, .errorRecovery, .numberOfQueues, .writeAtomicity:
      if isDiscovery { throw .invalidField }
      return feature
    case .volatileWriteCache:
      if !hasVolatileWriteCache { throw .invalidField }
      return feature
    default: throw .invalidField
    }
  }

  private static func isChangeable(_ feature: FeatureIdentifier) -> Bool { feature != .hostIdentifier && feature != .volatileWriteCache }

  private func currentValue(_ feature: FeatureIdentifier, _ entry: SubmissionEntry) throws(CommandRefusal) -> UInt32 {
    switch feature {
    case .keepAliveTimer: keepAlive.timeoutMilliseconds
    case .asynchronousEventConfiguration: events.configuration.rawValue
    default: try value(feature, of: features, entry)
    }
  }

  private func defaultValue(_ feature: FeatureIdentifier, _ entry: SubmissionEntry) throws(CommandRefusal) -> UInt32 {
    switch feature {
    case .keepAliveTimer, .asynchronousEventConfiguration: 0
    default: try value(feature, of: FeatureValues(), entry)
    }
  }

  private func value(_ feature: FeatureIdentifier, of values: FeatureValues, _ entry: SubmissionEntry) throws(CommandRefusal) -> UInt32 {
    switch feature {
    case .arbitration: return values.arbitration
    case .powerManagement: return 0
    case .temperatureThreshold:
      if entry.dword11 >> 16 & 0xF != 0 { throw .invalidField }
      switch entry.dword11 >> 20 & 0x3 {
      case 0: return values.overTemperature
      case 1: return values.underTemperature
      default: throw .invalidField
      }
    case .errorRecovery: return values.errorRecovery
    case .volatileWriteCache: return FeatureDword.volatileWriteCache(isEnabled: hasVolatileWriteCache)
    case .numberOfQueues: return grantedQueues
    case .writeAtomicity: return values.writeAtomicity
    default: throw .invalidField
    }
  }

  private var grantedQueues: UInt32 {
    QueueCounts(submission: description.maximumIOQueues, completion: description.maximumIOQueues).rawValue
  }

  /// All queues are granted whatever is asked for: one costs nothing before it connects.
  private func setNumberOfQueues(_ value: UInt32) throws(CommandRefusal) -> UInt64 {
    if !QueueCounts(rawValue: value).isValidRequest { throw .invalidField }
    if !ioQueues.isEmpty { throw .permanent(.commandSequenceError) }
    return UInt64(grantedQueues)
  }

  /// TMPSEL 0 is the composite temperature, Fh all sensors; there are no others.
  private func setTemperatureThreshold(_ value: UInt32) throws(CommandRefusal) {
    let sensor = value >> 16 & 0xF
    if sensor != 0 && sensor != 0xF { throw .invalidField }
    switch value >> 20 & 0x3 {
    case 0: features.overTemperature = value & 0xFFFF
    case 1: features.underTemperature = value & 0xFFFF
    default: throw .invalidField
    }
  }
}
