// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. A connected socket as messages of the vhost-user protocol:
//   1. receive(): what has come of the next message, which may be a part of it; `message` once whole.
//   2. send(): an answer to it.
// Owns. The socket, and descriptors that came with a message until somebody takes them.
// Invariants. Never waits. A message of an impossible size or version, too many descriptors, or an
//   answer that the other side does not read, is the end: `closed`, and why.
// Not here. What messages mean (device.h), how the socket came about (endpoint.h).
#pragma once

#include <vector>

#include "nic/bpf.h"
#include "vhost/protocol.h"

namespace vale::vhost {

struct Message {
  Header header = {};
  alignas(8) char payload[kMaxPayload];
  std::vector<Handle> fds;

  Request request() const { return static_cast<Request>(header.request); }
  // The payload as one of protocol.h's; false when it has another size.
  template <class T>
  bool as(T* out) const {
    if (header.size != sizeof(T)) return false;
    __builtin_memcpy(out, payload, sizeof(T));
    return true;
  }
  template <class T>
  void put(const T& value) {
    header.size = sizeof(T);
    __builtin_memcpy(payload, &value, sizeof(T));
  }
};

class Channel {
 public:
  enum class Receive { none, message, closed };

  explicit Channel(Handle socket) : socket_(std::move(socket)) {}

  int fd() const { return socket_.fd(); }
  Receive receive();
  // The whole one that receive() told of; the next call of that makes it another.
  Message& message() { return message_; }
  bool send(const Message& answer);
  const char* trouble() const { return trouble_; }

 private:
  Receive closed(const char* why) {
    trouble_ = why;
    return Receive::closed;
  }

  Handle socket_;
  Message message_;
  uint32_t filled_ = 0;  // bytes of header and payload
  const char* trouble_ = "";
};

}  // namespace vale::vhost
