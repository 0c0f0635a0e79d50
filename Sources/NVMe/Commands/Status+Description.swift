extension Status: CustomStringConvertible {
  /// What the specification calls this status, its type and code in hexadecimal, and the flags that are set.
  public var description: String {
    var text = name ?? "unknown status"
    text += " (type \(String(type, radix: 16)), code \(String(code, radix: 16, uppercase: true))h"
    if doNotRetry { text += ", do not retry" }
    if more { text += ", more" }
    return text + ")"
  }

  /// The specification's words for type and code; nil for those it does not define.
  public var name: String? {
    switch type {
    case 0: Self.genericName(code)
    case 1: Self.commandSpecificName(code)
    case 2: Self.mediaName(code)
    case 3: Self.pathName(code)
    case 7: "vendor specific status"
    default: nil
    }
  }

  private static func genericName(_ code: UInt8) -> String? {
    switch code {
    case 0x00: "the command succeeded"
    case 0x01: "invalid command opcode"
    case 0x02: "invalid field in command"
    case 0x03: "command identifier conflict"
    case 0x04: "data transfer error"
    case 0x05: "commands aborted due to power loss notification"
    case 0x06: "internal error"
    case 0x07: "command abort requested"
    case 0x08: "command aborted due to submission queue deletion"
    case 0x09: "command aborted due to failed fused command"
    case 0x0A: "command aborted due to missing fused command"
    case 0x0B: "invalid namespace or format"
    case 0x0C: "command sequence error"
    case 0x0D: "invalid SGL segment descriptor"
    case 0x0E: "invalid number of SGL descriptors"
    case 0x0F: "data SGL length invalid"
    case 0x10: "metadata SGL length invalid"
    case 0x11: "SGL descriptor type invalid"
    case 0x12: "invalid use of controller memory buffer"
    case 0x13: "PRP offset invalid"
    case 0x14: "atomic write unit exceeded"
    case 0x15: "operation denied"
    case 0x16: "SGL offset invalid"
    case 0x18: "host identifier inconsistent format"
    case 0x19: "keep alive timer expired"
    case 0x1A: "keep alive timeout invalid"
    case 0x1B: "command aborted due to preempt and abort"
    case 0x1C: "sanitize failed"
    case 0x1D: "sanitize in progress"
    case 0x1E: "SGL data block granularity invalid"
    case 0x1F: "command not supported for queue in controller memory buffer"
    case 0x20: "namespace is write protected"
    case 0x21: "command interrupted"
    case 0x22: "transient transport error"
    case 0x23: "command prohibited by command and feature lockdown"
    case 0x24: "admin command media not ready"
    case 0x80: "LBA out of range"
    case 0x81: "capacity exceeded"
    case 0x82: "namespace not ready"
    case 0x83: "reservation conflict"
    case 0x84: "format in progress"
    case 0x85: "invalid value size"
    case 0x86: "invalid key size"
    case 0x87: "key value does not exist"
    case 0x88: "unrecovered error"
    case 0x89: "key exists"
    default: nil
    }
  }

  private static func commandSpecificName(_ code: UInt8) -> String? {
    switch code {
    case 0x00: "completion queue invalid"
    case 0x01: "invalid queue identifier"
    case 0x02: "invalid queue size"
    case 0x03: "abort command limit exceeded"
    case 0x05: "asynchronous event request limit exceeded"
    case 0x06: "invalid firmware slot"
    case 0x07: "invalid firmware image"
    case 0x08: "invalid interrupt vector"
    case 0x09: "invalid log page"
    case 0x0A: "invalid format"
    case 0x0B: "firmware activation requires conventional reset"
    case 0x0C: "invalid queue deletion"
    case 0x0D: "feature identifier not saveable"
    case 0x0E: "feature not changeable"
    case 0x0F: "feature not namespace specific"
    case 0x10: "firmware activation requires NVM subsystem reset"
    case 0x11: "firmware activation requires controller level reset"
    case 0x12: "firmware activation requires maximum time violation"
    case 0x13: "firmware activation prohibited"
    case 0x14: "overlapping range"
    case 0x15: "namespace insufficient capacity"
    case 0x16: "namespace identifier unavailable"
    case 0x18: "namespace already attached"
    case 0x19: "namespace is private"
    case 0x1A: "namespace not attached"
    case 0x1B: "thin provisioning not supported"
    case 0x1C: "controller list invalid"
    case 0x1D: "device self-test in progress"
    case 0x1E: "boot partition write prohibited"
    case 0x1F: "invalid controller identifier"
    case 0x20: "invalid secondary controller state"
    case 0x21: "invalid number of controller resources"
    case 0x22: "invalid resource identifier"
    case 0x23: "sanitize prohibited while persistent memory region is enabled"
    case 0x24: "ANA group identifier invalid"
    case 0x25: "ANA attach failed"
    case 0x26: "insufficient capacity"
    case 0x27: "namespace attachment limit exceeded"
    case 0x28: "prohibition of command execution not supported"
    case 0x29: "I/O command set not supported"
    case 0x2A: "I/O command set not enabled"
    case 0x2B: "I/O command set combination rejected"
    case 0x2C: "invalid I/O command set"
    case 0x2D: "identifier unavailable"
    case 0x80: "conflicting attributes, or over fabrics: connect incompatible format"
    case 0x81: "invalid protection information, or over fabrics: connect controller busy"
    case 0x82: "attempted write to read only range, or over fabrics: connect invalid parameters"
    case 0x83: "command size limit exceeded, or over fabrics: connect restart discovery"
    case 0x84: "connect invalid host"
    case 0x85: "invalid queue type"
    case 0x90: "discover restart"
    case 0x91: "authentication required"
    default: nil
    }
  }

  private static func mediaName(_ code: UInt8) -> String? {
    switch code {
    case 0x80: "write fault"
    case 0x81: "unrecovered read error"
    case 0x82: "end-to-end guard check error"
    case 0x83: "end-to-end application tag check error"
    case 0x84: "end-to-end reference tag check error"
    case 0x85: "compare failure"
    case 0x86: "access denied"
    case 0x87: "deallocated or unwritten logical block"
    case 0x88: "end-to-end storage tag check error"
    default: nil
    }
  }

  private static func pathName(_ code: UInt8) -> String? {
    switch code {
    case 0x00: "internal path error"
    case 0x01: "asymmetric access persistent loss"
    case 0x02: "asymmetric access inaccessible"
    case 0x03: "asymmetric access transition"
    case 0x60: "controller pathing error"
    case 0x70: "host pathing error"
    case 0x71: "command aborted by host"
    default: nil
    }
  }
}
