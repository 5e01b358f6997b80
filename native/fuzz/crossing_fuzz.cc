// SPDX-License-Identifier: BSD-2-Clause
// Two hostile guests that one thread serves, between whom frames go past the rings, beside Alice and Bob on a switch.
// Input: the guests' steps and turns of the engine. Whatever they are: every turn ends, nothing outside a guest's
// memory is touched, Alice's frame reaches Bob, and the switch's account closes.
#include "fuzz/hostile_guest.h"
#include "fuzz/neighbours.h"
#include "vhost/crossing.h"
#include "vhost/slots.h"

namespace {

using namespace hostile;
using vale::Fragment;
using vale::Port;
using vale::VnetHeader;

// A guest's device as the engine knows it.
class Link final : public GuestLink {
 public:
  explicit Link(Device& device) : GuestLink("fuzz", "fuzz"), device_(device) {}

  void attend() override {}
  bool to_guest(Port& port) override {
    return device_.broken() ? discard(port, kPortHeader) : device_.to_guest(port, &counts_);
  }
  bool from_guest(Port& port) override {
    return device_.from_guest(port, &counts_, this, crossing_);
  }
  bool offer(unsigned ring, const VnetHeader& vnet, const Fragment* frame, uint32_t pieces,
             uint32_t bytes) override {
    return device_.offer(ring, vnet, frame, pieces, bytes);
  }
  void settle(unsigned ring, uint32_t frames, uint64_t bytes) override {
    device_.settle(ring, frames != 0);
    if (frames != 0) counts_.sent(frames, bytes);
  }
  uint32_t lend(unsigned ring, uint32_t most, Plain* out, const Rules** rules) override {
    return device_.lend(ring, most, out, rules);
  }
  void keep(unsigned ring, const Plain* filled, uint32_t frames, uint64_t bytes) override {
    device_.keep(ring, filled, frames);
    counts_.sent(frames, bytes);
  }
  void publish() override { device_.publish(); }
  bool blocked(const Port& port) const override { return device_.blocked(port); }
  int patience() const override { return -1; }
  short ready(short) override { return 0; }
  void arm(short) override {}

 private:
  Device& device_;
};

struct Place {
  Place() {
    for (unsigned i = 0; i < 2; i++) {
      const std::string name = "vale0:vm" + std::to_string(i);
      ports[i] = others.open(name.c_str(), 2);
      const uint8_t mac[6] = {2, 0, 0, 0, 1, static_cast<uint8_t>(i)};
      if (!ports[i]->set_header_length(kPortHeader).ok()) vale::fuzz::fail("no header");
      if (!others.device().fdb_add(name, mac).ok()) vale::fuzz::fail("no address");
    }
  }
  vale::fuzz::OwnDirectory directory;
  vale::fuzz::Neighbourhood others{directory.path(), "vale0"};
  std::unique_ptr<Port> ports[2];
};

class Rig {
 public:
  explicit Rig(Place& place) : place_(place) {
    for (unsigned i = 0; i < 2; i++) {
      crossing_.add(*place.ports[i], links_[i]);
      links_[i].meet_neighbours(&crossing_);
    }
  }
  ~Rig() {
    for (unsigned i = 0; i < 2; i++) {
      Port& port = *place_.ports[i];
      for (unsigned r = port.first_rx(); r < port.last_rx(); r++)
        port.rx_view(r).release(port.rx_view(r).tail());
      port.rxsync();
    }
  }

  HostileGuest& guest(uint32_t i) { return guests_[i]; }
  void turn() {
    for (unsigned i = 0; i < 2; i++) {
      Port& port = *place_.ports[i];
      port.rxsync();
      links_[i].to_guest(port);
      if (links_[i].from_guest(port)) port.txsync();
      crossing_.publish();
      links_[i].publish();
      guests_[i].device().want_kicks(true);
      guests_[i].device().more();
      guests_[i].device().want_kicks(false);
    }
  }

 private:
  Place& place_;
  HostileGuest guests_[2];
  Link links_[2] = {Link(guests_[0].device()), Link(guests_[1].device())};
  Crossing crossing_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Place place;
  if (size > 8192) return 0;
  Input in(data, size);
  {
    Rig rig(place);
    for (uint32_t i = 0; i < 2; i++) rig.guest(i).choose(in.number(1));
    while (!in.empty()) {
      const uint32_t which = in.number(1) % (2 * HostileGuest::kSteps + 4);
      if (which < 2 * HostileGuest::kSteps) {
        rig.guest(which % 2).step(which / 2, in);
      } else {
        rig.turn();
      }
    }
    rig.turn();
  }
  static uint32_t inputs = 0;
  if (inputs++ % 8 != 0) return 0;  // it takes longer than an input
  place.others.exchange(static_cast<uint8_t>(size));
  place.others.check_account();
  return 0;
}
