// SPDX-License-Identifier: BSD-2-Clause
// An agent that serves a virtual machine.
#include <algorithm>

#include "agent/agent.h"
#include "device/registered_port.h"
#include "vhost/dgram_port.h"
#include "vhost/guest_port.h"
#include "vhost/rules.h"
#include "vhost/stream_port.h"

namespace vale {
namespace {

constexpr size_t kMostNews = 1000;  // lines that wait to be logged; further ones are lost

}  // namespace

// As many rings as the guest may have queue pairs, and the header that its frames carry.
Status Agent::open_port_of_guest(OpenRequest request, std::unique_ptr<Port>* out) {
  const uint16_t pairs = std::max<uint16_t>({request.tx_rings, request.rx_rings, 1});
  request.tx_rings = request.rx_rings = pairs;
  request.flags |= NR_ACCEPT_VNET_HDR;
  const bool shared = !options_.attach.vhost_user.empty();
  if (!shared && pairs != 1) {
    return Status::fail(EINVAL,
                        "%s: without shared memory there is one queue in each direction; leave "
                        "out -C's rings",
                        request.name.c_str());
  }
  if (Status s = open_port(rt_, request, out); !s.ok() || !shared) return s;
  return (*out)->set_header_length(vhost::kPortHeader);
}

Status Agent::open_guest(Side& side) {
  const AttachRequest& q = options_.attach;
  std::unique_ptr<vhost::GuestLink> guest;
  Status status;
  if (!q.stream.empty()) {
    status = vhost::StreamPort::open(q.stream, q.client, &guest);
  } else if (!q.dgram.empty()) {
    status = vhost::DgramPort::open(q.dgram, q.remote, &guest);
  } else {
    const uint32_t pairs = side.port->last_rx() - side.port->first_rx();
    status = vhost::GuestPort::open({q.vhost_user, q.client, pairs}, &guest);
  }
  if (!status.ok()) return status;
  guest->on_news([this](std::string text) {
    const std::lock_guard<std::mutex> hold(news_lock_);
    if (news_.empty()) wake_();
    if (news_.size() < kMostNews) news_.push_back(std::move(text));
  });
  side.guest = guest.get();
  side.wire = std::move(guest);
  return Status::good();
}

void Agent::log_news() {
  std::vector<std::string> news;
  {
    const std::lock_guard<std::mutex> hold(news_lock_);
    news.swap(news_);
  }
  for (const std::string& line : news) log_.say("%s", line.c_str());
}

}  // namespace vale
