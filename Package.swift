// swift-tools-version: 6.2
import PackageDescription

/// Every target of the package: Swift 6, strict memory safety, no warning tolerated.
let settings: [SwiftSetting] = [
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
  .enableExperimentalFeature("Lifetimes"),
]

/// The map of the house: which module may import which. `Tests/ArchitectureTests` holds the sources to it.
let package = Package(
  name: "keelson",
  products: [
    .executable(name: "keelson", targets: ["keelson"]),
    .executable(name: "keelson-sim", targets: ["keelson-sim"]),
  ],
  targets: [
    .systemLibrary(
      name: "CLinux", path: "Sources/CLinux", pkgConfig: "liburing", providers: [.apt(["liburing-dev", "libaio-dev"])]),
    .systemLibrary(
      name: "CSQLite", path: "Sources/CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
    .systemLibrary(
      name: "CNGHTTP2", path: "Sources/CNGHTTP2", pkgConfig: "libnghttp2", providers: [.apt(["libnghttp2-dev"])]),
    .systemLibrary(name: "COpenSSL", path: "Sources/COpenSSL", pkgConfig: "libssl", providers: [.apt(["libssl-dev"])]),
    .target(name: "Protobuf", swiftSettings: settings),
    .target(name: "GRPC", dependencies: ["Protobuf", "CNGHTTP2", "COpenSSL", "CLinux"], swiftSettings: settings),
    .target(name: "NVMe", swiftSettings: settings),
    .target(name: "Metrics", swiftSettings: settings),
    .target(name: "Console", swiftSettings: settings),
    .target(name: "Reactor", dependencies: ["CLinux"], swiftSettings: settings),
    .target(name: "Transport", dependencies: ["NVMe", "Reactor", "CLinux"], swiftSettings: settings),
    .target(name: "Pool", dependencies: ["Reactor", "CLinux"], exclude: ["FORMAT.md"], swiftSettings: settings),
    .target(name: "Target", dependencies: ["Transport", "NVMe", "Reactor", "CLinux"], swiftSettings: settings),
    .target(name: "Host", dependencies: ["Transport", "NVMe", "Reactor", "CLinux"], swiftSettings: settings),
    .target(name: "Nexus", dependencies: ["Pool", "Reactor", "CLinux"], exclude: ["PROTOCOL.md", "STATES.md"], swiftSettings: settings),
    .target(name: "Simulation", dependencies: ["Nexus", "Pool", "Reactor"], swiftSettings: settings),
    .target(
      name: "Control",
      dependencies: [
        "Nexus", "Target", "Host", "Transport", "Pool", "Reactor", "NVMe", "Metrics", "GRPC", "Protobuf", "CSQLite", "CLinux",
      ],
      swiftSettings: settings),
    .target(
      name: "CSI", dependencies: ["Control", "Host", "Transport", "Reactor", "NVMe", "GRPC", "Protobuf", "CLinux"], swiftSettings: settings),
    .target(
      name: "Bench", dependencies: ["Console", "Host", "Transport", "Pool", "Reactor", "NVMe", "Metrics", "CLinux"], swiftSettings: settings
    ),
    .executableTarget(
      name: "keelson",
      dependencies: [
        "CSI", "GRPC", "Control", "Bench", "Console", "Metrics", "Nexus", "Target", "Host", "Pool", "Reactor", "NVMe", "CLinux",
      ],
      swiftSettings: settings),
    .executableTarget(name: "keelson-sim", dependencies: ["Simulation"], swiftSettings: settings),
    .testTarget(name: "ArchitectureTests", swiftSettings: settings),
    .testTarget(name: "ProtobufTests", dependencies: ["Protobuf"], swiftSettings: settings),
    .testTarget(name: "GRPCTests", dependencies: ["GRPC", "Protobuf"], swiftSettings: settings),
    .testTarget(name: "NVMeTests", dependencies: ["NVMe"], swiftSettings: settings),
    .testTarget(name: "MetricsTests", dependencies: ["Metrics"], swiftSettings: settings),
    .testTarget(name: "ConsoleTests", dependencies: ["Console"], swiftSettings: settings),
    .testTarget(name: "ReactorTests", dependencies: ["Reactor", "CLinux"], swiftSettings: settings),
    .testTarget(name: "TransportTests", dependencies: ["Transport", "NVMe", "Reactor", "CLinux"], swiftSettings: settings),
    .testTarget(name: "PoolTests", dependencies: ["Pool", "Reactor", "CLinux"], swiftSettings: settings),
    .testTarget(
      name: "HostTests", dependencies: ["Host", "Transport", "NVMe", "Reactor", "CLinux"], swiftSettings: settings),
    .testTarget(
      name: "TargetTests", dependencies: ["Target", "Host", "Transport", "NVMe", "Pool", "Reactor", "CLinux"], swiftSettings: settings),
    .testTarget(
      name: "NexusTests", dependencies: ["Nexus", "Pool", "Reactor", "CLinux"], swiftSettings: settings),
    .testTarget(
      name: "SimulationTests", dependencies: ["Simulation", "Nexus", "Pool", "Reactor"], swiftSettings: settings),
    .testTarget(name: "ControlTests", dependencies: ["Control", "GRPC", "Protobuf", "Nexus", "Pool"], swiftSettings: settings),
    .testTarget(name: "CSITests", dependencies: ["CSI", "Control", "GRPC", "Protobuf"], swiftSettings: settings),
    .testTarget(
      name: "BenchTests", dependencies: ["Bench", "Console", "Metrics", "NVMe", "Pool", "Reactor", "Target"], swiftSettings: settings),
    .testTarget(name: "CommandLineTests", dependencies: ["keelson", "Console", "Control"], swiftSettings: settings),
    .testTarget(
      name: "EndToEndTests", dependencies: ["Control", "Host", "Transport", "NVMe", "Pool", "Reactor"], swiftSettings: settings),
    .testTarget(name: "LinuxHostTests", swiftSettings: settings),
  ],
  swiftLanguageModes: [.v6]
)
