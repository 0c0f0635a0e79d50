// What Swift cannot import or cannot say: variadic calls, macros, and instructions. Header only.
#pragma once
// The feature macros are frozen here, before a header that sets its own: every module must see the same C library.
#include <features.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libaio.h>
#include <liburing.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/// open(2) with a mode, without the variadic call Swift does not import. Returns -errno on failure.
static inline int keelson_open(const char *path, int flags, mode_t mode) {
  int fd = open(path, flags, mode);
  return fd < 0 ? -errno : fd;
}

// Calls the C library declares for GNU sources only; the module must not be one (see above).
static inline int keelson_accept(int fd) { return (int)syscall(SYS_accept4, fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC); }
static inline int keelson_fallocate(int fd, int mode, uint64_t offset, uint64_t count) {
  return syscall(SYS_fallocate, fd, mode, offset, count) < 0 ? -errno : 0;
}
static inline int keelson_pin_thread(unsigned processor) {
  unsigned long mask[16] = {0};
  if (processor >= 1024) return -EINVAL;
  mask[processor / (8 * sizeof(long))] = 1UL << (processor % (8 * sizeof(long)));
  return syscall(SYS_sched_setaffinity, 0, sizeof mask, mask) < 0 ? -errno : 0;
}
static inline void keelson_name_thread(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }
#ifndef O_DIRECT
#define O_DIRECT __O_DIRECT
#endif
enum { KEELSON_O_DIRECT = __O_DIRECT, KEELSON_TCP_USER_TIMEOUT = TCP_USER_TIMEOUT };

/// ioctl(BLKGETSIZE64). Returns 0 or -errno.
static inline int keelson_block_device_size(int fd, uint64_t *bytes) { return ioctl(fd, BLKGETSIZE64, bytes) < 0 ? -errno : 0; }

/// ioctl(BLKSSZGET): the logical block size of a block device. Returns 0 or -errno.
static inline int keelson_block_device_sector(int fd, int *bytes) { return ioctl(fd, BLKSSZGET, bytes) < 0 ? -errno : 0; }

// Not through sys/mount.h, whose names clash with those of linux/fs.h in some versions of glibc.
static inline int keelson_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data) {
  return syscall(SYS_mount, source, target, type, flags, data) < 0 ? -errno : 0;
}
static inline int keelson_unmount(const char *target) { return syscall(SYS_umount2, target, 0x8 /* UMOUNT_NOFOLLOW */) < 0 ? -errno : 0; }
static inline unsigned keelson_device_major(dev_t device) { return major(device); }
static inline unsigned keelson_device_minor(dev_t device) { return minor(device); }
static inline int keelson_is_regular(mode_t mode) { return S_ISREG(mode) ? 1 : 0; }
static inline int keelson_is_block(mode_t mode) { return S_ISBLK(mode) ? 1 : 0; }

// The CRC32C instruction (SSE 4.2, or ARMv8 CRC). Eight bytes at a time in three interleaved streams would be faster
// still for large buffers; see Reactor/CRC32C.swift, which combines the streams.
#if defined(__x86_64__)
// Compiler builtins: the intrinsics header does not survive being imported as a module.
static inline int keelson_has_crc32c(void) { return __builtin_cpu_supports("sse4.2") ? 1 : 0; }
__attribute__((target("sse4.2"))) static inline uint32_t keelson_crc32c_u8(uint32_t crc, uint8_t value) { return __builtin_ia32_crc32qi(crc, value); }
__attribute__((target("sse4.2"))) static inline uint64_t keelson_crc32c_u64(uint64_t crc, uint64_t value) { return __builtin_ia32_crc32di(crc, value); }
__attribute__((target("sse4.2"))) static inline void keelson_crc32c_3x(
    uint64_t crc[3], const uint8_t *bytes, size_t stride) {
  uint64_t a = crc[0], b = crc[1], c = crc[2];
  for (size_t i = 0; i < stride; i += 8) {
    uint64_t x, y, z;
    memcpy(&x, bytes + i, 8);
    memcpy(&y, bytes + stride + i, 8);
    memcpy(&z, bytes + 2 * stride + i, 8);
    a = __builtin_ia32_crc32di(a, x);
    b = __builtin_ia32_crc32di(b, y);
    c = __builtin_ia32_crc32di(c, z);
  }
  crc[0] = a; crc[1] = b; crc[2] = c;
}
__attribute__((target("sse4.2"))) static inline uint32_t keelson_crc32c_run(uint32_t crc, const uint8_t *bytes, size_t count) {
  uint64_t wide = crc;
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    uint64_t x;
    memcpy(&x, bytes + i, 8);
    wide = __builtin_ia32_crc32di(wide, x);
  }
  crc = (uint32_t)wide;
  for (; i < count; i++) crc = __builtin_ia32_crc32qi(crc, bytes[i]);
  return crc;
}
#elif defined(__aarch64__)
#include <arm_acle.h>
static inline int keelson_has_crc32c(void) { return 1; }
__attribute__((target("crc"))) static inline uint32_t keelson_crc32c_run(uint32_t crc, const uint8_t *bytes, size_t count) {
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    uint64_t x;
    memcpy(&x, bytes + i, 8);
    crc = __crc32cd(crc, x);
  }
  for (; i < count; i++) crc = __crc32cb(crc, bytes[i]);
  return crc;
}
__attribute__((target("crc"))) static inline void keelson_crc32c_3x(uint64_t crc[3], const uint8_t *bytes, size_t stride) {
  for (int k = 0; k < 3; k++) crc[k] = keelson_crc32c_run((uint32_t)crc[k], bytes + k * stride, stride);
}
#endif

/// A hint to the core inside a spin.
static inline void keelson_cpu_relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("yield");
#endif
}

/// The kernel's view of the submission queue flags; io_uring_smp_load_acquire is a macro.
static inline unsigned keelson_uring_sq_flags(const struct io_uring *ring) { return __atomic_load_n(ring->sq.kflags, __ATOMIC_RELAXED); }

/// RWF_DSYNC writes through libaio: the prep helper has no parameter for it.
static inline void keelson_aio_set_rw_flags(struct iocb *iocb, int flags) { iocb->aio_rw_flags = flags; }
