// SPDX-License-Identifier: BSD-2-Clause
#include "vhost/device.h"

#include <cstring>

#include "shm/monotonic.h"

namespace vale::vhost {
namespace {

constexpr uint64_t kOffered =
    kChecksum | kGuestChecksum | kNetMtu | kGuestTso4 | kGuestTso6 | kGuestEcn | kGuestUfo | kTso4 |
    kTso6 | kEcn | kUfo | kMergeable | kNetStatus | kControl | kControlRx | kControlVlan |
    kAnnounce | kNetMultiQueue | kControlMac | kLogAll | kAnyLayout | kIndirect | kEventIndex |
    kProtocolFeatures | kVersion1 | kPacked | kGuestUso4 | kGuestUso6 | kUso;
constexpr uint64_t kOfferedProtocol =
    kMultiQueue | kLogFile | kRarp | kReplyAck | kMtu | kResetDevice | kMemorySlots | kStatus;
constexpr uint32_t kMinMtu = 68, kMaxMtu = 65535;

// After the last message of memory that comes and goes, before what is in it is looked at.
constexpr uint64_t kRestNs = 50'000'000;

bool is_there(const GuestMemory& memory, const RingAddress& a) {
  const auto there = [&](uint64_t user) { return memory.at_user(user, 1) != nullptr; };
  return there(a.descriptors) && there(a.available) && there(a.used);
}

}  // namespace

Device::Device(uint32_t pairs) : pairs_(pairs), rings_(2 * pairs), to_guest_(pairs) {
  for (Ring& ring : rings_) ring.queue.bell = &bell_;
}

// No queue is touched any more: its memory may be gone already.
bool Device::fail(const std::string& why) {
  if (trouble_.empty()) trouble_ = why;
  for (Ring& ring : rings_) ring.queue.fail("");
  return false;
}

std::string Device::missed() const {
  if (!counted_ || rules_.features != 0) return {};
  return "before its driver began; a machine of more queue pairs (queues=N) than " +
         std::to_string(pairs_) + " does so: attach with -C 1024,1024,N";
}

bool Device::handle(Message& message, Message* answer) {
  answer->header = {message.header.request, kVersion, 0};
  if (broken()) return false;
  if (!act(message, answer)) {
    if (trouble_.empty())
      fail("message " + std::to_string(message.header.request) + " that makes no sense");
    return false;
  }
  if ((message.header.flags & kNeedReply) != 0 && (protocol_ & kReplyAck) != 0 &&
      answer->header.flags == kVersion) {
    answer->put(uint64_t{0});
    answer->header.flags |= kReply;
  }
  return start_rings();
}

bool Device::act(Message& m, Message* answer) {
  const auto reply = [&](uint64_t value) {
    answer->put(value);
    answer->header.flags |= kReply;
    return true;
  };
  uint64_t value = 0;
  const bool has_value = m.as(&value);
  switch (m.request()) {
    case Request::get_features:
      return reply(kOffered);
    case Request::set_features:
      return has_value && set_features(value);
    case Request::get_protocol_features:
      return reply(kOfferedProtocol);
    case Request::set_protocol_features:
      if (!has_value || (value & ~kOfferedProtocol) != 0)
        return fail("protocol features that were not offered");
      protocol_ = value;
      return true;
    case Request::set_owner:
    case Request::set_log_fd:  // an event that nobody needs: the log says it all
    case Request::set_status:
      if (m.request() == Request::set_status) status_ = static_cast<uint8_t>(value);
      return true;
    case Request::get_status:
      return reply(status_);
    case Request::reset_owner:
    case Request::reset_device:
      stop_rings();
      return true;
    case Request::set_mem_table:
      return set_memory(m);
    case Request::add_mem_reg:
      return change_memory(m, true);
    case Request::rem_mem_reg:
      return change_memory(m, false);
    case Request::get_max_mem_slots:
      return reply(GuestMemory::kMaxRegions);
    case Request::set_log_base:
      return set_log(m) && reply(0);
    case Request::set_vring_num:
    case Request::set_vring_addr:
    case Request::set_vring_base:
    case Request::set_vring_enable:
      return set_ring(m);
    case Request::get_vring_base:
      return stop_ring(m, answer);
    case Request::set_vring_kick:
    case Request::set_vring_call:
    case Request::set_vring_err:
      return set_event(m);
    case Request::get_queue_num:
      counted_ = true;
      return reply(pairs_);
    case Request::send_rarp:
      return has_value && announce(value);
    case Request::net_set_mtu:
      if (!has_value || value < kMinMtu || value > kMaxMtu) return fail("an MTU that cannot be");
      mtu_ = static_cast<uint32_t>(value);
      return true;
    default:
      return fail("message " + std::to_string(m.header.request) + ", which was not offered");
  }
}

bool Device::set_features(uint64_t features) {
  if ((features & ~kOffered) != 0) return fail("features that were not offered");
  // Logging begins and ends while queues run.
  const uint64_t changed = (features ^ rules_.features) & ~kLogAll;
  for (const Ring& ring : rings_) {
    if (changed != 0 && ring.queue.running()) return fail("features that change while it runs");
  }
  rules_.features = features;
  if ((features & kLogAll) == 0) memory_.end_log();
  return true;
}

bool Device::set_memory(Message& m) {
  MemoryTable table = {};
  constexpr uint32_t head = offsetof(MemoryTable, region);
  if (m.header.size < head || m.header.size > sizeof table) return false;
  std::memcpy(&table, m.payload, m.header.size);
  if (table.count > kMaxMessageFds || m.header.size < head + table.count * sizeof(MemoryRegion) ||
      m.fds.size() != table.count)
    return false;
  int fds[kMaxMessageFds];
  for (uint32_t i = 0; i < table.count; i++) fds[i] = m.fds[i].fd();
  if (const char* wrong = memory_.set(table.region, fds, table.count)) return fail(wrong);
  rested_ = 0;
  return relocate();
}

bool Device::change_memory(Message& m, bool add) {
  OneRegion one;
  if (!m.as(&one) || (add && m.fds.size() != 1)) return false;
  if (!add) return remove_memory(one.region);
  if (const char* wrong = memory_.add(one.region, m.fds[0].fd())) return fail(wrong);
  for (const Ring& ring : rings_) {
    if (ring.rests) rested_ = monotonic_ns() + kRestNs;
  }
  return relocate();
}

// Memory that is cut anew is removed and added, region by region, while queues run there. None looks at buffers
// before all of it is there again, and one whose own memory does not come back rests on.
bool Device::remove_memory(const MemoryRegion& region) {
  if (memory_.has(region)) rest();
  const char* wrong = memory_.remove(region);
  return wrong == nullptr || fail(wrong);
}

void Device::rest() {
  for (Ring& ring : rings_) {
    if (ring.queue.running()) {
      ring.setup.base = ring.queue.stop();
      ring.rests = true;
    }
    if (ring.rests) rested_ = monotonic_ns() + kRestNs;
  }
  generation_++;
}

int Device::wake() {
  if (rested_ == 0) return 0;
  const uint64_t now = monotonic_ns();
  if (now < rested_) return static_cast<int>((rested_ - now) / 1'000'000) + 1;
  rested_ = 0;
  start_rings();
  return 0;
}

// The rings lie elsewhere in this process now.
bool Device::relocate() {
  for (Ring& ring : rings_) {
    if (!ring.queue.running()) continue;
    if (const char* wrong = ring.queue.relocate()) return fail(wrong);
  }
  return true;
}

bool Device::set_log(Message& m) {
  LogArea area;
  if ((protocol_ & kLogFile) == 0 || !m.as(&area) || m.fds.size() != 1) return false;
  const char* wrong = memory_.set_log(m.fds[0].fd(), area);
  return wrong == nullptr || fail(wrong);
}

Device::Ring* Device::ring_of(uint32_t index) {
  if (index < rings_.size()) return &rings_[index];
  fail("a queue that there is not: " + std::to_string(index));
  return nullptr;
}

bool Device::set_ring(Message& m) {
  RingState state;
  RingAddress address;
  if (m.request() == Request::set_vring_addr) {
    Ring* ring = m.as(&address) ? ring_of(address.index) : nullptr;
    if (ring == nullptr) return false;
    // Of a queue that runs, only whether it is logged may change.
    const RingAddress& old = ring->setup.address;
    if (ring->queue.running() && (address.descriptors != old.descriptors ||
                                  address.used != old.used || address.available != old.available))
      return fail("a queue that moves while it runs");
    ring->setup.address = address;
    ring->setup.addressed = true;
    if (ring->queue.running()) ring->queue.set_logging(address);
    return true;
  }
  Ring* ring = m.as(&state) ? ring_of(state.index) : nullptr;
  if (ring == nullptr) return false;
  if (m.request() == Request::set_vring_enable) {
    if (state.num > 1) return false;
    ring->setup.enabled = state.num == 1;
    generation_++;
    return true;
  }
  if (ring->queue.running()) return fail("a queue that changes while it runs");
  (m.request() == Request::set_vring_num ? ring->setup.size : ring->setup.base) = state.num;
  return true;
}

bool Device::stop_ring(Message& m, Message* answer) {
  RingState state;
  Ring* ring = m.as(&state) ? ring_of(state.index) : nullptr;
  if (ring == nullptr) return false;
  if (ring->queue.running()) {
    state.num = ring->queue.stop();
    ring->setup.base = state.num;
  } else {
    state.num = ring->setup.base;
  }
  ring->kicked = ring->rests = false;
  generation_++;
  for (ToGuest& one : to_guest_) one.reset();
  answer->put(state);
  answer->header.flags |= kReply;
  return true;
}

bool Device::set_event(Message& m) {
  uint64_t value;
  if (!m.as(&value) || (value & ~(kRingIndex | kNoFd)) != 0) return false;
  const bool none = (value & kNoFd) != 0;
  if (m.fds.size() != (none ? 0u : 1u)) return false;
  Ring* ring = ring_of(static_cast<uint32_t>(value & kRingIndex));
  if (ring == nullptr) return false;
  Handle fd = none ? Handle() : std::move(m.fds[0]);
  if (fd.valid() && !bell_.fits(fd.fd()))
    return fail("queue " + std::to_string(value & kRingIndex) +
                ": a descriptor that is no eventfd");
  switch (m.request()) {
    case Request::set_vring_kick:
      ring->queue.kick = std::move(fd);
      ring->kicked = true;
      generation_++;
      break;
    case Request::set_vring_call:
      ring->queue.call = std::move(fd);
      // What was used before there was a way to say so.
      if (ring->queue.running()) ring->queue.interrupt();
      break;
    default:
      ring->queue.error = std::move(fd);
  }
  return true;
}

bool Device::start_rings() {
  for (Ring& ring : rings_) {
    if (!ring.kicked || ring.queue.running() || !ring.setup.addressed || memory_.regions() == 0)
      continue;
    // Without protocol features there is no message that enables it.
    if ((rules_.features & kProtocolFeatures) == 0) ring.setup.enabled = true;
    if (ring.rests && (rested_ != 0 || !is_there(memory_, ring.setup.address))) continue;
    ring.rests = false;
    if (const char* wrong = ring.queue.start(ring.setup, &memory_, rules_.features))
      return fail(wrong);
    // An agent may have died between using buffers and saying so.
    ring.queue.interrupt();
    generation_++;
  }
  return true;
}

void Device::stop_rings() {
  for (Ring& ring : rings_) {
    if (ring.queue.running()) ring.setup.base = ring.queue.stop();
    ring.setup.enabled = ring.kicked = ring.rests = false;
  }
  for (ToGuest& one : to_guest_) one.reset();
  generation_++;
}

// RARP, a request for its own address (RFC 903): what is known of where it is, is known anew.
bool Device::announce(uint64_t mac) {
  char address[6];
  std::memcpy(address, &mac, sizeof address);
  const std::string own(address, sizeof address);
  if ((address[0] & 1) != 0 || own == std::string(6, '\0')) return fail("a RARP for no address");
  announcement_ = std::string(6, '\xff') + own +
                  std::string("\x80\x35\0\x01\x08\0\x06\x04\0\x03", 10) + own +
                  std::string(4, '\0') + own + std::string(4, '\0');
  announcement_.resize(60);
  return true;
}

std::string Device::take_announcement() { return std::exchange(announcement_, {}); }

}  // namespace vale::vhost
