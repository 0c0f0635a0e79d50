import NVMe
import Testing

@Suite struct LogEntryTests {
  @Test func errorInformation() throws {
    var value = ErrorLogEntry()
    value.errorCount = 0x342D261F18110A03
    value.submissionQueueIdentifier = 0x423B
    value.commandIdentifier = 0x5049
    value.status = Status(rawValue: 0x5E57)
    value.parameterLocation = 0x6C65
    value.lba = 0xA49D968F88817A73
    value.namespaceIdentifier = 0xC0B9B2AB
    value.vendorSpecificLogPage = 0xC7
    value.transportType = 0xCE
    value.commandSet = 0xD5
    value.opcode = 0xDC
    value.commandSpecific = 0x140D06FFF8F1EAE3
    value.transportSpecific = 0x221B
    value.logPageVersion = 0xBC
    checkLayout(
      value,
      [
        (0, "03 0A 11 18 1F 26 2D 34"),
        (8, "3B 42"),
        (10, "49 50"),
        (12, "57 5E"),
        (14, "65 6C"),
        (16, "73 7A 81 88 8F 96 9D A4"),
        (24, "AB B2 B9 C0"),
        (28, "C7"),
        (29, "CE"),
        (30, "D5"),
        (31, "DC"),
        (32, "E3 EA F1 F8 FF 06 0D 14"),
        (40, "1B 22"),
        (63, "BC"),
      ])
  }
  @Test func health() {
    var value = HealthLog()
    value.criticalWarning = 0x03
    value.temperatureKelvin = 0x110A
    value.availableSparePercent = 0x18
    value.availableSpareThresholdPercent = 0x1F
    value.percentageUsed = 0x26
    value.enduranceGroupWarnings = 0x2D
    value.dataUnitsRead = 0x4C453E373029221B140D06FFF8F1EAE3
    value.dataUnitsWritten = 0xBCB5AEA7A099928B847D766F68615A53
    value.hostReadCommands = 0x2C251E17100902FBF4EDE6DFD8D1CAC3
    value.hostWriteCommands = 0x9C958E878079726B645D564F48413A33
    value.controllerBusyMinutes = 0x0C05FEF7F0E9E2DBD4CDC6BFB8B1AAA3
    value.powerCycles = 0x7C756E676059524B443D362F28211A13
    value.powerOnHours = 0xECE5DED7D0C9C2BBB4ADA69F98918A83
    value.unsafeShutdowns = 0x5C554E474039322B241D160F0801FAF3
    value.mediaErrors = 0xCCC5BEB7B0A9A29B948D867F78716A63
    value.errorLogEntries = 0x3C352E272019120B04FDF6EFE8E1DAD3
    value.warningTemperatureMinutes = 0x58514A43
    value.criticalTemperatureMinutes = 0x746D665F
    checkLayout(
      value,
      [
        (0, "03"),
        (1, "0A 11"),
        (3, "18"),
        (4, "1F"),
        (5, "26"),
        (6, "2D"),
        (32, "E3 EA F1 F8 FF 06 0D 14 1B 22 29 30 37 3E 45 4C"),
        (48, "53 5A 61 68 6F 76 7D 84 8B 92 99 A0 A7 AE B5 BC"),
        (64, "C3 CA D1 D8 DF E6 ED F4 FB 02 09 10 17 1E 25 2C"),
        (80, "33 3A 41 48 4F 56 5D 64 6B 72 79 80 87 8E 95 9C"),
        (96, "A3 AA B1 B8 BF C6 CD D4 DB E2 E9 F0 F7 FE 05 0C"),
        (112, "13 1A 21 28 2F 36 3D 44 4B 52 59 60 67 6E 75 7C"),
        (128, "83 8A 91 98 9F A6 AD B4 BB C2 C9 D0 D7 DE E5 EC"),
        (144, "F3 FA 01 08 0F 16 1D 24 2B 32 39 40 47 4E 55 5C"),
        (160, "63 6A 71 78 7F 86 8D 94 9B A2 A9 B0 B7 BE C5 CC"),
        (176, "D3 DA E1 E8 EF F6 FD 04 0B 12 19 20 27 2E 35 3C"),
        (192, "43 4A 51 58"),
        (196, "5F 66 6D 74"),
      ])
  }
}
