// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. One open of /dev/netmap:
//   1. open_device(): a number that names nothing yet (an empty memory file).
//   2. open_port(), then take_numbers(): the registration's FIFO in the place of every number of this
//      object (dup3): from here on identity, inheritance, passing and the end are the kernel's.
//   3. A number that came by exec or in a message is recognised by the name of its file (recognise());
//      the first call that needs the port takes it over (usable()).
//   4. The last close of this process ends its Port; the registration goes with the last of all.
//
// Owns. The Port, under `lock`. Devices (one for each runtime directory in use), for good.
//
// Invariants. A sync holds `lock` and nothing else; what opens and closes holds the table's lock too.
//   A Port is destroyed only with `lock` held, so never under a sync.
//
// Not here. What requests mean (control.h), sleeping (sleep.h).
#pragma once

#include <memory>
#include <string>

#include "abi/netmap_control.h"
#include "device/device.h"
#include "preload/table.h"

namespace vale::preload {

class DeviceFile final : public Object {
 public:
  DeviceFile() : Object(Kind::device) {}
  void ended() override;

  // nullptr while unregistered. With `lock` held.
  Port* port() const { return port_.get(); }
  // With the table's lock: takes over an inherited registration if there is one to take over.
  void adopt_if_inherited();
  // A port for this object (EBUSY: it has one); with both locks, as the next two.
  Status open_port(const OpenRequest& request, PortInfo* info);
  void close_port() { port_.reset(); }
  // Puts the port's FIFO in the place of every number.
  void take_numbers();
  // Both, and the errno alone.
  int do_register(const OpenRequest& request, PortInfo* info);
  // A new object, or one that ended. With the table's lock.
  static DeviceFile* make();

  std::string why;         // the last registration failed
  bool inherited = false;  // the number is a FIFO; adopt before use
  int status_flags = 0;    // what fcntl(F_GETFL) shows
  unsigned sleepers = 0;   // under `lock`
  uint64_t opened = 0;     // which use of this object
  // Of the sync loop (sync_loop.h), under `lock`: the program's blocks, in the process that enabled them.
  nm_csb_atok* blocks_in = nullptr;
  nm_csb_ktoa* blocks_out = nullptr;
  bool looping = false;  // a thread of this process is its loop

  // Every object ever made, in a list; with the table's lock.
  DeviceFile* next = nullptr;
  static DeviceFile* first;

 private:
  std::unique_ptr<Port> port_;
  bool in_use_ = false;
};

// The device of a runtime directory, nullptr for the user's; opened once and kept. With the table's
// lock. nullptr and *error when it cannot be opened.
Device* device_of(const char* directory, int* error);

// open("/dev/netmap"): a number, or -1 and errno.
int open_device(int flags);
int open_device_locked(int flags);  // with the table's lock

// Whether `fd`, of which nothing is known, is a number of /dev/netmap that another process opened; it
// is then in the table.
bool recognise(int fd);

// The object of a number of kind `device`, with `lock` held and its port, if any, taken over; nullptr
// when the number was closed meanwhile or this thread is inside it already.
class Use {
 public:
  explicit Use(int fd);
  ~Use() {
    if (file_ != nullptr) file_->lock.unlock();
  }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;
  DeviceFile* file() const { return file_; }
  Port* port() const { return file_ != nullptr ? file_->port() : nullptr; }

 private:
  DeviceFile* file_ = nullptr;
};

// One line on stderr when VALE_DEBUG is set: what errno alone cannot say.
void explain(const Status& status);

// Closes everything at the end of the process, as far as nobody is inside.
void close_all_devices();
// Around fork(2): every lock is held while the memory is copied.
void before_fork();
void after_fork(bool child);

}  // namespace vale::preload
