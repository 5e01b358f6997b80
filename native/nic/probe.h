// SPDX-License-Identifier: BSD-2-Clause
//
// Flow. Asks the kernel, kind by kind, for what wires are made of, and drops each at once.
// Owns. Nothing.
// Invariants. Changes nothing: no device is made, nothing is held up on an interface, and the one thing
//   that is put on one (an empty netfilter chain on "lo") is part of a transaction that is taken back.
// Not here. What the answers mean to a user (src/session/doctor.ts).
#pragma once

namespace vale {

// Each is 0, or the errno with which the kernel refused: EPERM without the privilege, another where
// it does not know the kind.
struct WireProbe {
  int packet_socket = 0;    // AF_PACKET
  int xdp_socket = 0;       // AF_XDP
  int bpf_program = 0;      // loading a program that drops frames
  int tcx_link = 0;         // holding it on an interface by a bpf_link (Linux 6.6)
  int netfilter_table = 0;  // the other way to take an interface over (5.16; user namespaces too)
  int tap_device = 0;       // opening /dev/net/tun
};

WireProbe probe_wires();

}  // namespace vale
