// SPDX-License-Identifier: BSD-2-Clause
#include "agent/machines.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace vale {
namespace {

constexpr uint32_t kSpinUs = 50;

}  // namespace

uint32_t spin_before_sleep() { return sysconf(_SC_NPROCESSORS_ONLN) > 1 ? kSpinUs : 0; }

Machines::Machines(std::function<void()> on_trouble) : on_trouble_(std::move(on_trouble)) {}

Machines::Served* Machines::find(const vhost::GuestLink* guest) {
  const auto found = std::find_if(served_.begin(), served_.end(),
                                  [&](const Served& one) { return one.seat.guest == guest; });
  return found == served_.end() ? nullptr : &*found;
}

Status Machines::join(const GuestSeat& seat) {
  if (served_.size() == kMostGuests) {
    return Status::fail(E2BIG, "its agent serves %zu virtual machines already; use another one",
                        served_.size());
  }
  stop();
  served_.push_back({seat});
  Status status = start();
  if (status.ok()) return status;
  served_.pop_back();
  start();
  return status;
}

void Machines::leave(const vhost::GuestLink* guest) {
  Served* const one = find(guest);
  if (one == nullptr) return;
  const bool ran = engine_ != nullptr || !broken_.empty();
  stop();
  served_.erase(served_.begin() + (one - served_.data()));
  {
    const std::lock_guard<std::mutex> hold(lock_);
    gone_.erase(guest);
  }
  if (ran) start();
}

Status Machines::poll(const vhost::GuestLink* guest, uint32_t cores, uint32_t first) {
  Served* const one = find(guest);
  if (one == nullptr) return Status::good();
  stop();
  one->polled = cores != 0;
  one->core = first;
  Status status = start();
  if (status.ok() || cores == 0) return status;
  one->polled = false;
  start();
  return status;
}

std::string Machines::trouble(const vhost::GuestLink* guest) {
  if (!broken_.empty()) return broken_;
  const std::lock_guard<std::mutex> hold(lock_);
  const auto found = gone_.find(guest);
  return found == gone_.end() ? std::string() : found->second.text;
}

void Machines::stop() {
  if (engine_ == nullptr) return;
  engine_->stop();
  engine_->join();
  engine_.reset();
}

Status Machines::start() {
  GuestConfig config;
  config.spin = spin_before_sleep();
  std::vector<GuestSeat> seats;
  for (const Served& one : served_) {
    if (one.polled && !config.busy) {
      config.busy = true;
      config.affinity = static_cast<int>(one.core);
    }
    const std::lock_guard<std::mutex> hold(lock_);
    if (gone_.count(one.seat.guest) == 0) seats.push_back(one.seat);
  }
  broken_.clear();
  if (seats.empty()) return Status::good();
  const auto gone = [this](const GuestSeat& seat, const Status& why) {
    {
      const std::lock_guard<std::mutex> hold(lock_);
      gone_[seat.guest] = why;
    }
    on_trouble_();
  };
  Status status = start_guests(config, std::move(seats), gone, &engine_);
  if (!status.ok()) broken_ = "its engine could not be started again: " + status.text;
  return status;
}

}  // namespace vale
