// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. A pcap_t of ours, for a device named vale… or netmap:…
//   1. pcap_create() makes a Handle; setters note wishes; activate() opens the port on a number of
//      /dev/netmap, which is the selectable descriptor.
//   2. read(): sync, and for each frame of the rx rings the filter, then the program's callback.
//   3. inject(): a frame into the tx ring, and sync.
//
// Owns. The number; a handle of libpcap's own (pcap_open_dead) for what needs none of ours: compiling
//   filters, writing files.
//
// Invariants. A frame's bytes stay in place until the call after the one that showed it. No lock is
//   held while a callback runs. breakloop() may be called in a signal handler and by other threads.
//
// Not here. The functions that programs call (calls_*.cc).
#pragma once

#include <sys/time.h>

#include <string>
#include <vector>

#include "engine/ahead.h"
#include "engine/bpf.h"
#include "preload/device_file.h"

namespace vale::preload {

// As libpcap declares them.
struct PcapHeader {
  timeval ts;
  uint32_t caplen, len;
};
struct PcapStat {
  unsigned received, dropped, dropped_by_interface;
};
using PcapCallback = void (*)(unsigned char*, const PcapHeader*, const unsigned char*);

constexpr int kPcapError = -1, kPcapBreak = -2, kPcapNotActivated = -3, kPcapActivated = -4,
              kPcapNoDevice = -5, kPcapDenied = -8;
constexpr int kPcapErrorSize = 256;
constexpr int kEthernet = 1;  // DLT_EN10MB

class Handle {
 public:
  explicit Handle(const char* device) : device_(device) {}
  ~Handle();
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  int activate();
  // Of up to `most` frames (< 1: all there are) how many were shown; 0 after the timeout; kPcapError,
  // kPcapBreak. wait: block for the first.
  int read(int most, bool wait, PcapCallback callback, unsigned char* user);
  // The next frame, to stay until the next call: 1, 0, kPcapError, kPcapBreak.
  int next(PcapHeader** header, const unsigned char** frame);
  // Bytes sent or kPcapError.
  int inject(const void* frame, size_t size);
  int stats(PcapStat* out);
  void break_loop();
  int fail(int code, const char* text);

  bool active() const { return fd_ >= 0; }
  int fd() const { return fd_; }
  // libpcap's own idea of an Ethernet device with our snapshot length; nullptr without libpcap.
  void* dead();

  int snaplen = 65535;
  int timeout_ms = 0;
  int nanoseconds = 0;  // pcap_get_tstamp_precision()
  int direction = 0;    // 0 both, 1 in, 2 out
  bool nonblock = false;
  Filter filter;
  char error[kPcapErrorSize] = "";

 private:
  struct Frame {
    const uint8_t* data;
    uint32_t length;  // on the wire
    bool sent;        // a monitor's: by the port that is watched
  };
  class Patience;
  bool check();
  void release();
  bool sync();
  bool take(Frame* out);
  bool wanted(const Frame& frame, PcapHeader* header);
  int wait_for_frames();

  std::string device_;
  int fd_ = -1;
  int bell_ = -1;  // rung by break_loop()
  DeviceFile* file_ = nullptr;
  Port* port_ = nullptr;
  unsigned ring_ = 0, calls_ = 0;
  unsigned slots_ = 0;          // of the rx rings
  unsigned give_back_ = 1;      // frames after which those that were shown are the switch's again
  std::vector<Ahead> ahead_;    // by rx ring of the registration
  std::vector<uint8_t> whole_;  // a frame of several slots
  void* dead_ = nullptr;
  std::atomic<bool> broken_{false};
  timespec now_{};
  uint64_t received_ = 0, drops_before_ = 0;
  PcapHeader header_{};
};

// The handle if it is one of ours.
Handle* handle_of(void* p);
// Whether a device of this name is ours.
bool is_our_device(const char* name);
Handle* make_handle(const char* device);
void drop_handle(Handle* handle);

}  // namespace vale::preload
