import NVMe

/// Values of the features that are only kept, or that have no better place, as dword 11 sets and dword 0 returns them. A new one
/// holds the defaults.
struct FeatureValues: Equatable {
  /// No limit on the burst; there is one arbitration, round robin.
  var arbitration: UInt32 = 0x7
  /// TMPTH of the composite temperature, in kelvins.
  var overTemperature: UInt32 = 0xFFFF
  var underTemperature: UInt32 = 0
  /// TLER.
  var errorRecovery: UInt32 = 0
  /// DN.
  var writeAtomicity: UInt32 = 0
}
