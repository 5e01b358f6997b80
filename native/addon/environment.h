// SPDX-License-Identifier: BSD-2-Clause
// What the addon keeps for each environment (the main thread, each worker): nothing is global.
#pragma once

#include <napi.h>

#include <memory>

#include "addon/poller.h"

namespace vale::addon {

struct Environment {
  Napi::FunctionReference runtime_class, port_class, engine_class;
  // Shared with the ports, whose finalizers may run after the environment's data is gone.
  std::shared_ptr<Poller> poller = std::make_shared<Poller>();
};

}  // namespace vale::addon
