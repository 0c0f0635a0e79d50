import Pool
import Reactor

/// Reads the beginning of a device once, to see what it holds. Lives on the device's reactor and outlives its request.
@safe final class HeadReader: BlockClient {
  private let device: BlockDevice
  private let buffer: UnsafeMutableRawBufferPointer
  private var completion: (([UInt8]?) -> Void)?

  init(_ device: BlockDevice) {
    self.device = device
    let byteCount = min(UInt64(ContentProbe.windowBytes), device.sizeBytes)
    unsafe buffer = .allocate(byteCount: Int(byteCount), alignment: BufferArena.unitBytes)
    super.init()
  }

  deinit { unsafe buffer.deallocate() }

  /// Calls `completion` once, later, with the bytes; nil if they could not be read.
  func read(_ completion: @escaping ([UInt8]?) -> Void) {
    if unsafe buffer.isEmpty { return completion([]) }
    self.completion = completion
    device.submit(
      unsafe BlockRequest(.read, byteCount: UInt64(buffer.count), buffer: buffer.baseAddress, token: 0), for: self)
  }

  override func blockRequestCompleted(token: UInt64, status: BlockStatus) {
    let completion = completion
    self.completion = nil
    completion?(status == .success ? unsafe [UInt8](buffer) : nil)
  }
}
