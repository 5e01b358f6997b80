// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. Everything shared lives in files of one runtime directory:
//   1. Directory::open finds it, creates it (0700) if missing, checks owner, mode and file system.
//   2. It maps the control file, or makes it under the directory lock.
//   3. DirLock serialises whatever creates, changes or frees records. The kernel drops the lock with
//      its holder, whatever kills it.
//
// Owns. The mapping of the control file and one descriptor of the directory; no descriptor of a file.
//
// Invariants. Nothing is followed that is a symbolic link. Files take the directory's owner and mode.
//   A page is touched only after it was reserved, so a full file system is an error here, never a
//   SIGBUS later. Growing an array happens under the lock and publishes the new count last.
//
// Not here. What the records mean (layout.h, switch/).
#pragma once

#include <sys/types.h>

#include <string>

#include "shm/layout.h"
#include "status.h"

namespace vale {

// Files of the directory that are always there, and the control file before it is complete.
inline constexpr const char* kControlName = "control";
inline constexpr const char* kControlNew = "control.new";
inline constexpr const char* kLockName = "lock";

class Directory {
 public:
  Directory() = default;
  ~Directory();
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  // path nullptr or empty: $VALE_DIR, else /run/vale for root, else $XDG_RUNTIME_DIR/vale, else
  // /dev/shm/vale-<uid>; root of a user namespace is who that is outside. ENOENT, ENOTEMPTY (holds something else), EACCES, EPERM, EROFS, ENOMEM (no room), EPROTO (another layout),
  // EUCLEAN (corrupt).
  Status open(const char* path);
  // What open() would say, making nothing: good too where there is no directory and one can be made.
  Status would_open(const char* path);

  const std::string& path() const { return path_; }
  const std::string& warning() const { return warning_; }  // one line, or empty
  const Control& control() const { return control_; }
  int fd() const { return fd_; }

  // ENODEV once the directory or its control file was deleted or replaced under us.
  Status present() const;
  // Whether the head of the control file is what this program wrote; asked under each lock.
  Status intact() const;

  // errno in words, with what to do about it where that is known.
  static std::string explain(int err);

  // A file of the directory, with its owner and mode. O_CLOEXEC and O_NOFOLLOW are added.
  Status create_file(const char* name, int* fd) const;
  int open_file(const char* name, int flags) const;  // -1 and errno
  void unlink(const char* name) const;
  Status adopt(int fd) const;  // give a new file the directory's owner and mode
  mode_t file_mode() const { return mode_; }

  // Reserve [offset, offset + length) of fd: ENOMEM with bytes needed and free.
  Status reserve(int fd, uint64_t offset, uint64_t length, const char* what) const;
  uint64_t bytes_free() const;
  // ENOMEM: `bytes` more for `what` are not there, and how they would be.
  Status no_room(const char* what, uint64_t bytes) const;

  // Make records [0, count) of one array usable. Call under the lock.
  enum class Array { procs, switches, ports, regs, tx, rx, regions, agents };
  Status grow(Array array, uint32_t count);

  // The first free one of the `have` records that record(i) gives, or the next after them, made
  // usable. Call under the lock.
  template <class Record>
  Status free_record(Array array, uint32_t have, Record&& record, uint32_t* index) {
    uint32_t i = 0;
    while (i < have && record(i).state.load(std::memory_order_relaxed) != State::free) i++;
    *index = i;
    return grow(array, i + 1);
  }

 private:
  static unsigned user_outside();
  Status choose(const char* path);
  Status cannot_create(int err) const;
  Status enter();
  Status check();
  Status check_file_system(int fd);
  Status check_empty() const;
  Status check_control(const Header* header, uint64_t bytes) const;
  Status map_control();
  Status make_control();

  std::string path_, warning_;
  std::string last_words_;  // said when the control file is cut short
  bool chosen_by_user_ = false;
  int fd_ = -1;
  uid_t owner_ = 0;
  gid_t group_ = 0;
  mode_t mode_ = 0600;
  dev_t control_dev_ = 0;
  ino_t control_ino_ = 0;
  Control control_;
};

// The directory lock, held while it lives.
class DirLock {
 public:
  DirLock() = default;
  ~DirLock() { release(); }
  DirLock(const DirLock&) = delete;
  DirLock& operator=(const DirLock&) = delete;

  // Waits at most 5 s; EBUSY then names the holder. `who` says what this process is doing.
  Status acquire(const Directory& directory, const char* who);
  // Whether its file is one that acquire() can lock, sooner or later; makes and locks nothing.
  static Status would_acquire(const Directory& directory);
  void release();
  bool held() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
  const Directory* directory_ = nullptr;
};

// A descriptor that close-all loops and dup2 targets are unlikely to hit: at 500 or above if the
// limit allows. Closes `fd`; returns `fd` itself when it cannot be moved.
int move_high(int fd);

}  // namespace vale
