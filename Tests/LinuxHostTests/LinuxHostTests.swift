import Testing

/// A Debian kernel in QEMU as the peer. One machine at a time: two emulated ones on few cores would only slow each other.
@Suite(.serialized, .timeLimit(.minutes(30))) struct LinuxHostTests {
  @Test func aVolumeServesARealLinuxHostWhileNodesAreKilled() async throws {
    let result = try await Script.run("deploy/linux-host/volume-test.sh", limitSeconds: 600)
    try #require(result.status == 0, "\(result.output)")
    print(result.output)
  }

  @Test func aHostWithMultipathGoesOnWhileNodesDieStopAndAreMovedAwayFrom() async throws {
    let result = try await Script.run("deploy/linux-host/failover-test.sh", limitSeconds: 450)
    try #require(result.status == 0, "\(result.output)")
    print(result.output)
  }

  @Test func aHostWithMultipathGoesOnWhileAClusterLosesPowerNetworkAndStore() async throws {
    let result = try await Script.run("deploy/linux-host/cluster-test.sh", limitSeconds: 550)
    try #require(result.status == 0, "\(result.output)")
    print(result.output)
  }

  @Test func theHostSideUsesTheKernelsTarget() async throws {
    let result = try await Script.run("deploy/linux-host/target-test.sh", limitSeconds: 400)
    try #require(result.status == 0, "\(result.output)")
    print(result.output)
  }

  @Test func theNodePluginStagesAndPublishesOnARealKernel() async throws {
    let result = try await Script.run("deploy/linux-host/csi-test.sh", limitSeconds: 840)
    try #require(result.status == 0, "\(result.output)")
    print(result.output)
  }

  @Test func theGuestScriptsStatusIsTheHarnesss() async throws {
    try await Script.withGuestScript("test $GREETING = hello || exit 1; ask_machine anything; exit $(($? + 7))") { script in
      let arguments = ["--timeout", "120", "--handler", "/bin/true", "--set", "GREETING=hello", script]
      let result = try await Script.run("deploy/linux-host/run.sh", arguments, limitSeconds: 150)
      #expect(result.status == 7, "\(result.output)")
    }
  }

  @Test func aKernelWarningFailsAPassingScript() async throws {
    try await Script.withGuestScript("echo 'WARNING: CPU: 0 PID: 1 at made/up.c:1' >/dev/kmsg") { script in
      let result = try await Script.run("deploy/linux-host/run.sh", ["--timeout", "120", script], limitSeconds: 150)
      #expect(result.status == 97, "\(result.output)")
      #expect(result.output.contains("made/up.c"))
    }
  }

  @Test func aGuestThatDiesIsAFailure() async throws {
    try await Script.withGuestScript("echo c >/proc/sysrq-trigger; sleep 60") { script in
      let result = try await Script.run("deploy/linux-host/run.sh", ["--timeout", "120", script], limitSeconds: 150)
      #expect(result.status == 98, "\(result.output)")
    }
  }
}
