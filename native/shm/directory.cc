// SPDX-License-Identifier: BSD-2-Clause
#include "shm/directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "shm/mapping_guard.h"

namespace vale {
namespace {

bool is_network(long type) {
  switch (static_cast<unsigned long>(type)) {
    case NFS_SUPER_MAGIC:
    case SMB_SUPER_MAGIC:
    case CIFS_SUPER_MAGIC:
    case SMB2_SUPER_MAGIC:
    case AFS_SUPER_MAGIC:
    case CODA_SUPER_MAGIC:
    case V9FS_MAGIC:
    case CEPH_SUPER_MAGIC:
    case FUSE_SUPER_MAGIC:
      return true;
    default:
      return false;
  }
}

const char* env(const char* name) {
  const char* v = getenv(name);
  return v != nullptr && *v != 0 ? v : nullptr;
}

// Where the file system is mounted that an absolute path is on.
std::string mount_point(std::string path) {
  struct stat here, above;
  while (path.size() > 1 && stat(path.c_str(), &here) == 0) {
    const size_t slash = path.rfind('/');
    const std::string parent = slash == 0 ? "/" : path.substr(0, slash);
    if (stat(parent.c_str(), &above) != 0 || above.st_dev != here.st_dev) break;
    path = parent;
  }
  return path;
}

}  // namespace

int move_high(int fd) {
  const int high = fcntl(fd, F_DUPFD_CLOEXEC, 500);
  if (high < 0) return fd;
  close(fd);
  return high;
}

Directory::~Directory() {
  if (control_.base != nullptr) {
    unguard_mapping(control_.base);
    munmap(control_.base, arrays().end);
  }
  if (fd_ >= 0) close(fd_);
}

std::string Directory::explain(int err) {
  switch (err) {
    case ELOOP:
      return "it is a symbolic link, which is not followed; remove it";
    case EISDIR:
    case ENXIO:
      return "it is not a file of this program; remove it";
    case EROFS:
    case EACCES:
      return std::string(strerror(err)) + "; set VALE_DIR to a directory you may write";
    case ENOSPC:
    case EDQUOT:
      return "no room for another file; remove some there or set VALE_DIR to another directory";
    case EMFILE:
      return std::string(strerror(err)) + "; allow more in this shell: ulimit -n 1024";
    case EFBIG:
      return std::string(strerror(err)) + "; allow more in this shell: ulimit -f unlimited";
    default:
      return strerror(err);
  }
}

// Root of a user namespace, as `unshare -Ur` makes one, is somebody else outside, and has that user's directory.
unsigned Directory::user_outside() {
  const unsigned user = geteuid();
  std::FILE* const map = user == 0 ? std::fopen("/proc/self/uid_map", "re") : nullptr;
  if (map == nullptr) return user;
  unsigned inside, outside, count, found = user;
  while (std::fscanf(map, "%u %u %u", &inside, &outside, &count) == 3) {
    if (user >= inside && user - inside < count) found = outside + (user - inside);
  }
  std::fclose(map);
  return found;
}

Status Directory::choose(const char* path) {
  if (path != nullptr && *path != 0) {
    path_ = path;
    chosen_by_user_ = true;
  } else if (const char* dir = env("VALE_DIR")) {
    path_ = dir;
    chosen_by_user_ = true;
  } else if (const unsigned user = user_outside(); user == 0) {
    path_ = "/run/vale";
  } else if (const char* run = env("XDG_RUNTIME_DIR"); run != nullptr && run[0] == '/') {
    path_ = std::string(run) + "/vale";
  } else {
    path_ = "/dev/shm/vale-" + std::to_string(user);
  }
  while (path_.size() > 1 && path_.back() == '/') path_.pop_back();
  if (path_[0] != '/') {
    char cwd[4096];
    if (getcwd(cwd, sizeof cwd) == nullptr) {
      return Status::fail(errno, "%s: cannot resolve it: %s", path_.c_str(), strerror(errno));
    }
    path_ = std::string(cwd) + "/" + path_;
  }
  return Status::good();
}

Status Directory::open(const char* path) {
  if (Status s = choose(path); !s.ok()) return s;
  if (mkdir(path_.c_str(), 0700) != 0 && errno != EEXIST) return cannot_create(errno);
  if (Status s = enter(); !s.ok()) return s;
  Status s = map_control();
  if (s.err != ENOENT) return s;
  if (Status empty = check_empty(); !empty.ok()) {
    s = map_control();  // somebody else may just have made it
    return s.err != ENOENT ? s : empty;
  }

  DirLock lock;
  if (s = lock.acquire(*this, "creating the runtime directory"); !s.ok()) return s;
  s = map_control();
  if (s.err != ENOENT) return s;
  if (s = make_control(); !s.ok()) return s;
  return map_control();
}

Status Directory::would_open(const char* path) {
  if (Status s = choose(path); !s.ok()) return s;
  struct stat st;
  if (lstat(path_.c_str(), &st) != 0) {
    if (errno != ENOENT) return cannot_create(errno);
    const std::string above = path_.substr(0, std::max<size_t>(path_.rfind('/'), 1));
    if (faccessat(AT_FDCWD, above.c_str(), W_OK | X_OK, AT_EACCESS) != 0)
      return cannot_create(errno);
    const int fd = ::open(above.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return cannot_create(errno);
    const Status s = check_file_system(fd);
    close(fd);
    return s;
  }
  if (Status s = enter(); !s.ok()) return s;
  Status s = map_control();
  if (s.err == ENOENT) s = check_empty();
  if (s.ok()) s = DirLock::would_acquire(*this);
  if (s.ok() && faccessat(fd_, ".", W_OK | X_OK, AT_EACCESS) != 0) {
    const int err = errno;
    return Status::fail(err, "cannot create files in %s: %s", path_.c_str(), explain(err).c_str());
  }
  return s;
}

Status Directory::cannot_create(int err) const {
  return Status::fail(
      err,
      "cannot create the runtime directory %s: %s; set VALE_DIR to a directory of yours on tmpfs",
      path_.c_str(), strerror(err));
}

// A directory that is there: opened, and its owner, mode and file system looked at.
Status Directory::enter() {
  const char* p = path_.c_str();
  const int fd = ::open(p, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) {
    const int err = errno;
    if (err == ELOOP || err == ENOTDIR) {
      struct stat st;
      const bool link = lstat(p, &st) == 0 && S_ISLNK(st.st_mode);
      return Status::fail(EPERM, "%s is %s; remove it or set VALE_DIR to a directory", p,
                          link ? "a symbolic link, which is not followed" : "not a directory");
    }
    return Status::fail(err,
                        "cannot open the runtime directory %s: %s; set VALE_DIR to one of yours", p,
                        strerror(err));
  }
  fd_ = move_high(fd);
  return check();
}

// A directory that serves something else is not turned into a runtime directory by a slip in VALE_DIR.
Status Directory::check_empty() const {
  const int fd = openat(fd_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* dir = fd < 0 ? nullptr : fdopendir(fd);
  if (dir == nullptr) {
    if (fd >= 0) close(fd);
    return Status::good();
  }
  Status s = Status::good();
  while (const dirent* e = readdir(dir)) {
    const std::string name = e->d_name;
    if (name == "." || name == ".." || name == kLockName || name == kControlName ||
        name == kControlNew)
      continue;
    s = Status::fail(ENOTEMPTY,
                     "%s holds other files (%.60s); set VALE_DIR to a directory of its own",
                     path_.c_str(), e->d_name);
    break;
  }
  closedir(dir);
  return s;
}

Status Directory::check() {
  struct stat st;
  if (fstat(fd_, &st) != 0) {
    return Status::fail(errno, "%s: %s", path_.c_str(), strerror(errno));
  }
  const uid_t me = geteuid();
  if (st.st_uid != me && me != 0) {
    const bool shared = chosen_by_user_ && (st.st_mode & 0020) != 0;
    if (!shared) {
      return Status::fail(
          EPERM, "%s belongs to user %u, not to you (%u); set VALE_DIR to a directory of yours",
          path_.c_str(), st.st_uid, me);
    }
  }
  // One like /tmp is nobody's to change.
  if ((st.st_mode & 0002) && ((st.st_mode & S_ISVTX) || st.st_uid != me)) {
    return Status::fail(EPERM,
                        "%s may be written by everybody (mode %04o); set VALE_DIR to a "
                        "directory of its own, as in VALE_DIR=%s/vale-%u",
                        path_.c_str(), st.st_mode & 07777, path_ == "/" ? "" : path_.c_str(), me);
  }
  if (st.st_mode & 0002) {
    return Status::fail(EPERM, "%s may be written by everybody (mode %04o); run: chmod 700 %s",
                        path_.c_str(), st.st_mode & 07777, path_.c_str());
  }
  if (st.st_uid == me && me != 0 && (st.st_mode & 0700) != 0700) {
    return Status::fail(EACCES,
                        "%s is not for its own user to write (mode %04o); run: chmod 700 %s",
                        path_.c_str(), st.st_mode & 07777, path_.c_str());
  }
  if (Status s = check_file_system(fd_); !s.ok()) return s;
  owner_ = st.st_uid;
  group_ = st.st_gid;
  mode_ = (st.st_mode & 0666) | 0600;  // root may write where the owner may not, for now
  return Status::good();
}

Status Directory::check_file_system(int fd) {
  struct statfs fs;
  if (fstatfs(fd, &fs) != 0) {
    return Status::fail(errno, "%s: %s", path_.c_str(), strerror(errno));
  }
  if (is_network(fs.f_type)) {
    return Status::fail(EPERM,
                        "%s is on a network file system, which cannot share memory; set VALE_DIR "
                        "to a directory on tmpfs",
                        path_.c_str());
  }
  if (fs.f_type != TMPFS_MAGIC && fs.f_type != RAMFS_MAGIC) {
    warning_ = path_ + " is not on tmpfs; frames may be written to a disk";
  }
  return Status::good();
}

Status Directory::adopt(int fd) const {
  // The modes differ when the umask took bits; the owner when root works in a user's directory.
  if (fchmod(fd, mode_) != 0 && errno != EPERM) {
    return Status::fail(errno, "cannot set the mode of a file in %s: %s", path_.c_str(),
                        strerror(errno));
  }
  if (owner_ != geteuid() && geteuid() == 0 && fchown(fd, owner_, group_) != 0) {
    return Status::fail(errno, "cannot give a file in %s to user %u: %s", path_.c_str(), owner_,
                        strerror(errno));
  }
  // In a directory shared by a group, the group's members must be able to open what we make.
  if (owner_ != geteuid() || group_ != getegid()) {
    [[maybe_unused]] const int refused = fchown(fd, static_cast<uid_t>(-1), group_);
  }
  return Status::good();
}

Status Directory::create_file(const char* name, int* fd) const {
  *fd = openat(fd_, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode_);
  if (*fd < 0 && errno == EEXIST) {
    // Names are never reused, so this one was planted or survived a crash of its creator.
    unlinkat(fd_, name, 0);
    *fd = openat(fd_, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode_);
  }
  if (*fd < 0) {
    const int err = errno;
    return Status::fail(err, "cannot create %s/%s: %s", path_.c_str(), name, explain(err).c_str());
  }
  Status s = adopt(*fd);
  if (!s.ok()) {
    close(*fd);
    *fd = -1;
  }
  return s;
}

int Directory::open_file(const char* name, int flags) const {
  return openat(fd_, name, flags | O_NOFOLLOW | O_CLOEXEC);
}

void Directory::unlink(const char* name) const { unlinkat(fd_, name, 0); }

Status Directory::reserve(int fd, uint64_t offset, uint64_t length, const char* what) const {
  int err;
  do {
    err = fallocate(fd, 0, static_cast<off_t>(offset), static_cast<off_t>(length)) == 0 ? 0 : errno;
  } while (err == EINTR);
  if (err == EOPNOTSUPP) {
    err = posix_fallocate(fd, static_cast<off_t>(offset), static_cast<off_t>(length));
  }
  if (err == 0) return Status::good();
  if (err != ENOSPC && err != ENOMEM && err != EDQUOT) {
    return Status::fail(err, "cannot reserve %llu bytes for %s in %s: %s",
                        static_cast<unsigned long long>(length), what, path_.c_str(),
                        strerror(err));
  }
  return no_room(what, length);
}

uint64_t Directory::bytes_free() const {
  struct statfs fs {};
  fstatfs(fd_, &fs);
  return uint64_t{fs.f_bavail} * static_cast<uint64_t>(fs.f_bsize);
}

Status Directory::no_room(const char* what, uint64_t bytes) const {
  constexpr uint64_t kMiB = 1 << 20;
  struct statfs fs {};
  fstatfs(fd_, &fs);
  const uint64_t block = static_cast<uint64_t>(fs.f_bsize);
  std::string enlarge;
  if (fs.f_type == TMPFS_MAGIC) {
    // What it has is in use, and the next port will want as much again.
    const uint64_t all = fs.f_blocks * block;
    const uint64_t wanted = std::max(2 * all, all + 4 * bytes);
    enlarge = " by mount -o remount,size=" + std::to_string((wanted + kMiB - 1) / kMiB) + "m " +
              mount_point(path_);
  }
  return Status::fail(
      ENOMEM,
      "no room for %s in %s: %llu bytes needed, %llu free; enlarge that file system%s (in a "
      "container: --shm-size) or set VALE_DIR to another",
      what, path_.c_str(), static_cast<unsigned long long>(bytes),
      static_cast<unsigned long long>(fs.f_bavail * block), enlarge.c_str());
}

Status Directory::present() const {
  struct stat st;
  if (fstatat(fd_, kControlName, &st, AT_SYMLINK_NOFOLLOW) == 0) {
    if (st.st_ino == control_ino_ && st.st_dev == control_dev_) return Status::good();
  } else if (errno == EACCES) {
    return Status::good();  // who has dropped privileges may not look, and keeps what it mapped
  }
  return Status::fail(ENODEV,
                      "the runtime directory %s was deleted or replaced while in use; start again",
                      path_.c_str());
}

}  // namespace vale
