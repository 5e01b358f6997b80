// SPDX-License-Identifier: BSD-2-Clause
// Filters in libpcap's language, compiled by the machine's own libpcap, which is loaded when the first
// one is asked for.
#pragma once

#include <string>

#include "engine/bpf.h"
#include "status.h"

namespace vale {

// "udp port 53" for Ethernet frames; empty keeps all. EINVAL: libpcap does not understand it, and says
// why; ENOENT: this machine has no libpcap. One thread at a time.
Status compile_filter(const std::string& text, uint32_t snaplen, Filter* out);

}  // namespace vale
