// SPDX-License-Identifier: BSD-2-Clause
// What an engine is to do, from the objects of src/native-types.ts.
#pragma once

#include <napi.h>

#include "engine/bridge.h"
#include "engine/capture.h"
#include "engine/pktgen.h"

namespace vale::addon {

// false: an exception is pending.
bool read_config(Napi::Env env, Napi::Value value, PktGenConfig* out);
bool read_config(Napi::Env env, Napi::Value value, BridgeConfig* out);
bool read_config(Napi::Env env, Napi::Value value, CaptureConfig* out);

}  // namespace vale::addon
