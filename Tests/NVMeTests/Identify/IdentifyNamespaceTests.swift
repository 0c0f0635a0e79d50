import NVMe
import Testing

@Suite struct IdentifyNamespaceTests {
  @Test func everyFieldIsAtItsOffset() {
    var value = IdentifyNamespace()
    value.sizeBlocks = 0x342D261F18110A03
    value.capacityBlocks = 0x6C655E575049423B
    value.utilizationBlocks = 0xA49D968F88817A73
    value.features = NamespaceFeatures(rawValue: 0xAB)
    value.formattedLBASize = 0xB9
    value.metadataCapabilities = 0xC0
    value.protectionCapabilities = 0xC7
    value.protectionSettings = 0xCE
    value.multipathCapabilities = 0xD5
    value.reservationCapabilities = 0xDC
    value.formatProgress = 0xE3
    value.deallocateFeatures = 0xEA
    value.atomicWriteUnitZeroBased = 0xF8F1
    value.atomicWriteUnitPowerFailZeroBased = 0x06FF
    value.atomicCompareAndWriteUnitZeroBased = 0x140D
    value.atomicBoundarySizeZeroBased = 0x221B
    value.atomicBoundaryOffset = 0x3029
    value.atomicBoundarySizePowerFailZeroBased = 0x3E37
    value.optimalIOBoundaryBlocks = 0x4C45
    value.capacityBytes = 0xBCB5AEA7A099928B847D766F68615A53
    value.preferredWriteGranularityZeroBased = 0xCAC3
    value.preferredWriteAlignmentZeroBased = 0xD8D1
    value.preferredDeallocateGranularityZeroBased = 0xE6DF
    value.preferredDeallocateAlignmentZeroBased = 0xF4ED
    value.optimalWriteSizeZeroBased = 0x02FB
    value.anaGroupIdentifier = 0x9C958E87
    value.attributes = 0xB8
    value.nvmSetIdentifier = 0xC6BF
    value.enduranceGroupIdentifier = 0xD4CD
    value.guid = Identifier128(high: 0xDBE2E9F0F7FE050C, low: 0x131A21282F363D44)
    value.eui64 = 0x4B525960676E757C
    value.formats = [
      LBAFormat(dataSizeShift: 12), LBAFormat(dataSizeShift: 9, metadataBytes: 0x0108, relativePerformance: 2),
    ]
    checkLayout(
      value,
      [
        (0, "03 0A 11 18 1F 26 2D 34"),
        (8, "3B 42 49 50 57 5E 65 6C"),
        (16, "73 7A 81 88 8F 96 9D A4"),
        (24, "AB"),
        (25, "01"),
        (26, "B9"),
        (27, "C0"),
        (28, "C7"),
        (29, "CE"),
        (30, "D5"),
        (31, "DC"),
        (32, "E3"),
        (33, "EA"),
        (34, "F1 F8"),
        (36, "FF 06"),
        (38, "0D 14"),
        (40, "1B 22"),
        (42, "29 30"),
        (44, "37 3E"),
        (46, "45 4C"),
        (48, "53 5A 61 68 6F 76 7D 84 8B 92 99 A0 A7 AE B5 BC"),
        (64, "C3 CA"),
        (66, "D1 D8"),
        (68, "DF E6"),
        (70, "ED F4"),
        (72, "FB 02"),
        (92, "87 8E 95 9C"),
        (99, "B8"),
        (100, "BF C6"),
        (102, "CD D4"),
        (104, "DB E2 E9 F0 F7 FE 05 0C 13 1A 21 28 2F 36 3D 44"),
        (120, "4B 52 59 60 67 6E 75 7C"),
        (128, "00 00 0C 00"),
        (132, "08 01 09 02"),
      ])
  }
  @Test func blockSizeOfTheFormatInUse() {
    var value = IdentifyNamespace()
    #expect(value.formatIndex == 0 && value.blockSizeBytes == 512)
    value.formats = [LBAFormat](repeating: LBAFormat(dataSizeShift: 9), count: 63) + [LBAFormat(dataSizeShift: 12)]
    value.formattedLBASize = 0x6F
    #expect(value.formatIndex == 63 && value.blockSizeBytes == 4096)
    value.formattedLBASize = 0x1F
    #expect(value.formatIndex == 15 && value.blockSizeBytes == 512)
    for shift: UInt8 in [0, 8, 17, 64, 255] {
      value.formats[15].dataSizeShift = shift
      #expect(value.blockSizeBytes == nil)
    }
    value.formats = [LBAFormat(dataSizeShift: 9)]
    #expect(value.blockSizeBytes == nil)
  }

  @Test func moreFormatsThanThereIsRoomForAreRefused() throws {
    #expect(try decode(IdentifyNamespace.self, image(4096, [(25, "3F")])).formats.count == 64)
    for count in ["40", "FF"] {
      #expect(throws: CodecError.invalidField) { try decode(IdentifyNamespace.self, image(4096, [(25, count)])) }
    }
  }

  @Test func independentOfTheCommandSet() {
    var value = IdentifyNamespaceIndependent()
    value.features = 0x03
    value.multipathCapabilities = 0x0A
    value.reservationCapabilities = 0x11
    value.formatProgress = 0x18
    value.anaGroupIdentifier = 0x342D261F
    value.attributes = 0x3B
    value.nvmSetIdentifier = 0x5049
    value.enduranceGroupIdentifier = 0x5E57
    value.status = 0x65
    checkLayout(
      value,
      [
        (0, "03"),
        (1, "0A"),
        (2, "11"),
        (3, "18"),
        (4, "1F 26 2D 34"),
        (8, "3B"),
        (10, "49 50"),
        (12, "57 5E"),
        (14, "65"),
      ])
  }
  @Test func controllerOfTheNVMCommandSet() {
    var value = IdentifyControllerNVM()
    value.verifySizeShift = 0x03
    value.writeZeroesSizeShift = 0x0A
    value.writeUncorrectableSizeShift = 0x11
    value.datasetRangeLimit = 0x18
    value.datasetRangeSizeLimitBlocks = 0x342D261F
    value.datasetSizeLimitBlocks = 0x6C655E575049423B
    checkLayout(
      value,
      [
        (0, "03"),
        (1, "0A"),
        (2, "11"),
        (3, "18"),
        (4, "1F 26 2D 34"),
        (8, "3B 42 49 50 57 5E 65 6C"),
      ])
  }
  @Test func namespaceOfTheNVMCommandSet() {
    var value = IdentifyNamespaceNVM()
    value.storageTagMask = 0x342D261F18110A03
    value.protectionCapabilities = 0x3B
    value.extendedFormats[0] = 0x0403_0201
    value.extendedFormats[63] = 0x0807_0605
    checkLayout(
      value,
      [
        (0, "03 0A 11 18 1F 26 2D 34"),
        (8, "3B"),
        (12, "01 02 03 04"),
        (264, "05 06 07 08"),
      ])
  }
}
