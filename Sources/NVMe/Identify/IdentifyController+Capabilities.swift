/// CNTRLTYPE of Identify Controller.
public enum ControllerType: UInt8, Sendable {
  case notReported = 0
  case io = 1
  case discovery = 2
  case administrative = 3
}

/// CMIC of Identify Controller.
public struct MultipathCapabilities: OptionSet, Hashable, Sendable {
  public let rawValue: UInt8
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  public static let multiplePorts = MultipathCapabilities(rawValue: 1 << 0)
  public static let multipleControllers = MultipathCapabilities(rawValue: 1 << 1)
  public static let virtualFunction = MultipathCapabilities(rawValue: 1 << 2)
  /// ANA reporting.
  public static let asymmetricAccess = MultipathCapabilities(rawValue: 1 << 3)
}

/// CTRATT of Identify Controller.
public struct ControllerAttributes: OptionSet, Hashable, Sendable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  public static let hostIdentifier128 = ControllerAttributes(rawValue: 1 << 0)
  public static let namespaceGranularity = ControllerAttributes(rawValue: 1 << 7)
  /// TBKAS: any command within the keep-alive time counts as a keep-alive.
  public static let trafficBasedKeepAlive = ControllerAttributes(rawValue: 1 << 6)
}

/// ONCS of Identify Controller.
public struct OptionalCommands: OptionSet, Hashable, Sendable {
  public let rawValue: UInt16
  public init(rawValue: UInt16) { self.rawValue = rawValue }

  public static let compare = OptionalCommands(rawValue: 1 << 0)
  public static let writeUncorrectable = OptionalCommands(rawValue: 1 << 1)
  public static let datasetManagement = OptionalCommands(rawValue: 1 << 2)
  public static let writeZeroes = OptionalCommands(rawValue: 1 << 3)
  /// The Save and Select fields of features.
  public static let featureSaveAndSelect = OptionalCommands(rawValue: 1 << 4)
  public static let reservations = OptionalCommands(rawValue: 1 << 5)
  public static let timestamp = OptionalCommands(rawValue: 1 << 6)
  public static let verify = OptionalCommands(rawValue: 1 << 7)
  public static let copy = OptionalCommands(rawValue: 1 << 8)
}

/// ANACAP of Identify Controller.
public struct ANACapabilities: OptionSet, Hashable, Sendable {
  public let rawValue: UInt8
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  public static let reportsOptimized = ANACapabilities(rawValue: 1 << 0)
  public static let reportsNonOptimized = ANACapabilities(rawValue: 1 << 1)
  public static let reportsInaccessible = ANACapabilities(rawValue: 1 << 2)
  public static let reportsPersistentLoss = ANACapabilities(rawValue: 1 << 3)
  public static let reportsChange = ANACapabilities(rawValue: 1 << 4)
  /// The group of an attached namespace never changes.
  public static let groupsAreFixed = ANACapabilities(rawValue: 1 << 6)
  /// Namespace Management takes a group.
  public static let groupsAreManaged = ANACapabilities(rawValue: 1 << 7)
}

/// SGLS of Identify Controller.
public struct SGLSupport: OptionSet, Hashable, Sendable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// Bits 1:0 = 1: SGLs without alignment requirement.
  public static let supported = SGLSupport(rawValue: 1 << 0)
  /// Bits 1:0 = 2: SGLs of dword-aligned data.
  public static let supportedDwordAligned = SGLSupport(rawValue: 1 << 1)
  public static let keyedDataBlock = SGLSupport(rawValue: 1 << 2)
  public static let bitBucket = SGLSupport(rawValue: 1 << 16)
  /// The address may be an offset: in-capsule data.
  public static let addressAsOffset = SGLSupport(rawValue: 1 << 20)
  public static let transportDataBlock = SGLSupport(rawValue: 1 << 21)
}

/// NSFEAT of Identify Namespace.
public struct NamespaceFeatures: OptionSet, Hashable, Sendable {
  public let rawValue: UInt8
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  public static let thinProvisioning = NamespaceFeatures(rawValue: 1 << 0)
  /// NAWUN, NAWUPF and NACWU are the namespace's own.
  public static let atomicSizes = NamespaceFeatures(rawValue: 1 << 1)
  public static let deallocatedError = NamespaceFeatures(rawValue: 1 << 2)
  /// NGUID and EUI64 are never used again.
  public static let identifiersNotReused = NamespaceFeatures(rawValue: 1 << 3)
  /// NPWG, NPWA, NPDG, NPDA and NOWS are set.
  public static let optimalSizes = NamespaceFeatures(rawValue: 1 << 4)
}
