// SPDX-License-Identifier: BSD-2-Clause
#include "preload/device_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <new>
#include <string>

#include "device/user.h"
#include "preload/real.h"
#include "preload/start.h"

namespace vale::preload {
namespace {

constexpr const char* kBlankName = "netmap";
constexpr const char* kBlankLink = "/memfd:netmap (deleted)";

std::map<std::string, std::unique_ptr<Device>>& devices() {
  static auto* all = new std::map<std::string, std::unique_ptr<Device>>;
  return *all;
}

bool link_of(int fd, std::string* out) {
  char path[40], target[PATH_MAX];
  std::snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  const ssize_t n = readlink(path, target, sizeof target - 1);
  if (n <= 0) return false;
  out->assign(target, static_cast<size_t>(n));
  return true;
}

// "DIR/f<inode>.<index>.<generation>" with this very inode.
bool is_lease_path(const std::string& path, uint64_t inode) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return false;
  unsigned long long named;
  unsigned index, gen;
  int end = 0;
  return std::sscanf(path.c_str() + slash + 1, "f%llu.%u.%u%n", &named, &index, &gen, &end) == 3 &&
         path.size() == slash + 1 + static_cast<size_t>(end) && named == inode;
}

// The FIFO in the place of a number, which keeps its close-on-exec flag.
void put_in_place(int fifo, int number) {
  const int flags = real().fcntl(number, F_GETFD);
  real().dup3(fifo, number, flags >= 0 && (flags & FD_CLOEXEC) ? O_CLOEXEC : 0);
}

}  // namespace

DeviceFile* DeviceFile::first = nullptr;

void explain(const Status& status) {
  if (status.ok() || getenv("VALE_DEBUG") == nullptr) return;
  dprintf(2, "vale: %s\n", status.text.c_str());
}

Device* device_of(const char* directory, int* error) {
  // A variable that the program clears later changes nothing.
  static std::string* usual = nullptr;
  auto& all = devices();
  std::string key = directory != nullptr ? directory : "";
  if (directory == nullptr && usual != nullptr) key = *usual;
  if (auto it = all.find(key); it != all.end()) return it->second.get();
  std::unique_ptr<Device> device;
  std::string resolved;
  const char* where = directory != nullptr ? directory : own_directory();
  const Status s = open_user_device(where, &device, &resolved);
  if (!s.ok()) {
    explain(s);
    *error = s.err;
    return nullptr;
  }
  if (directory == nullptr && usual == nullptr) usual = new std::string(resolved);
  auto& slot = all[resolved];
  if (slot == nullptr) slot = std::move(device);
  return slot.get();
}

DeviceFile* DeviceFile::make() {
  for (DeviceFile* f = first; f != nullptr; f = f->next) {
    if (f->in_use_) continue;
    f->in_use_ = true;
    f->inherited = false;
    f->status_flags = 0;
    return f;
  }
  auto* f = new (std::nothrow) DeviceFile;
  if (f == nullptr) return nullptr;
  f->in_use_ = true;
  f->next = first;
  first = f;
  return f;
}

void DeviceFile::ended() {
  Guard guard(lock);
  if (!guard.held) return;  // closed by a handler in the middle of a sync: it ends with the process
  if (looping && port_ != nullptr) port_->loop_end();
  looping = false;
  blocks_in = nullptr;
  opened++;
  port_.reset();
  sleepers = 0;
  in_use_ = false;
}

Status DeviceFile::open_port(const OpenRequest& request, PortInfo* info) {
  if (port_ != nullptr) return Status::fail(EBUSY, "%s: already open here", request.name.c_str());
  int err = ENXIO;
  Device* device = device_of(nullptr, &err);
  if (device == nullptr) return Status::fail(err, "the device cannot be opened");
  Status s = device->open(request, &port_);
  if (s.ok()) {
    *info = port_->info();
  } else {
    explain(s);
    why = s.text;
  }
  return s;
}

int DeviceFile::do_register(const OpenRequest& request, PortInfo* info) {
  const Status s = open_port(request, info);
  if (s.ok()) take_numbers();
  return s.err;
}

void DeviceFile::take_numbers() {
  for (const int number : numbers) put_in_place(port_->fd(), number);
}

void DeviceFile::adopt_if_inherited() {
  if (!inherited || port_ != nullptr || numbers.empty()) return;
  std::string path;
  if (!link_of(numbers[0], &path)) return;
  // Deleted names are of registrations that ended with their directory.
  path.resize(path.rfind('/') == std::string::npos ? 0 : path.rfind('/'));
  int err;
  Device* device = device_of(path.c_str(), &err);
  if (device == nullptr) return;
  const Status s = device->adopt(numbers[0], &port_);
  explain(s);
  if (s.ok()) inherited = false;
}

int open_device(int flags) {
  Guard guard(g_table_lock);
  if (guard.held) return open_device_locked(flags);
  errno = EAGAIN;
  return -1;
}

int open_device_locked(int flags) {
  int err = 0;
  if (device_of(nullptr, &err) == nullptr) {
    errno = err;
    return -1;
  }
  const int fd = memfd_create(kBlankName, flags & O_CLOEXEC ? MFD_CLOEXEC : 0);
  if (fd < 0) return -1;
  DeviceFile* file = DeviceFile::make();
  if (file == nullptr || !add(fd, file)) {
    real().close(fd);
    if (file != nullptr) file->ended();
    errno = EMFILE;
    return -1;
  }
  file->status_flags = flags & (O_ACCMODE | O_NONBLOCK | O_APPEND);
  return fd;
}

bool recognise(int fd) {
  struct stat st;
  if (real().fstat(fd, &st) != 0) return false;
  const bool fifo = S_ISFIFO(st.st_mode);
  if (!fifo && !(S_ISREG(st.st_mode) && st.st_nlink == 0 && st.st_size == 0)) return false;
  std::string path;
  if (!link_of(fd, &path)) return false;
  if (fifo ? !is_lease_path(path, st.st_ino) : path != kBlankLink) return false;
  Guard guard(g_table_lock);
  if (!guard.held || kind_of(fd) != Kind::other) return false;
  // A second number of what this process has already is the same object.
  DeviceFile* file = nullptr;
  for (DeviceFile* f = DeviceFile::first; fifo && f != nullptr && file == nullptr; f = f->next) {
    struct stat other;
    if (!f->numbers.empty() && real().fstat(f->numbers[0], &other) == 0 &&
        other.st_ino == st.st_ino && other.st_dev == st.st_dev)
      file = f;
  }
  if (file == nullptr) {
    file = DeviceFile::make();
    if (file == nullptr) return false;
    file->inherited = fifo;
    file->status_flags = O_RDWR;
  }
  return add(fd, file);
}

Use::Use(int fd) {
  auto* file = static_cast<DeviceFile*>(object_of(fd));
  if (file == nullptr || file->kind != Kind::device || !file->lock.lock()) return;
  if (file->inherited) [[unlikely]] {
    file->lock.unlock();
    Guard table(g_table_lock);
    if (!file->lock.lock()) return;
    if (table.held) file->adopt_if_inherited();
  }
  file_ = file;
}

void close_all_devices() {
  if (!g_table_lock.try_lock()) return;
  bool all = true;
  for (DeviceFile* f = DeviceFile::first; f != nullptr; f = f->next) {
    while (!f->numbers.empty()) {
      const int fd = f->numbers.back();
      remove(fd);
      real().close(fd);
    }
    if (!f->lock.try_lock()) {
      all = false;
      continue;
    }
    f->lock.unlock();
    f->ended();
  }
  if (all) devices().clear();
  g_table_lock.unlock();
}

// Locks that this thread holds already (fork in a handler) stay as they are.
void before_fork() {
  g_table_lock.lock();
  for (DeviceFile* f = DeviceFile::first; f != nullptr; f = f->next) f->lock.lock();
}

void after_fork(bool child) {
  if (child) g_pid = getpid();
  for (DeviceFile* f = DeviceFile::first; f != nullptr; f = f->next) {
    f->lock.unlock();
    if (!child) continue;
    f->sleepers = 0;
    f->looping = false;
    f->blocks_in = nullptr;
  }
  g_table_lock.unlock();
}

}  // namespace vale::preload
