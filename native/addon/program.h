// SPDX-License-Identifier: BSD-2-Clause
// What commands need of the system and Node does not have.
#pragma once

#include <napi.h>

namespace vale::addon {

// execute(path, arguments, environment): this process becomes that program. Returns only when it
// fails: throws an error whose code says why.
Napi::Value execute(const Napi::CallbackInfo& call);

// readerGone(fd): whether nobody reads any more what is written to this pipe or socket.
Napi::Value reader_gone(const Napi::CallbackInfo& call);

// hasFileCapabilities(path): whether the file gives its process capabilities.
Napi::Value has_file_capabilities(const Napi::CallbackInfo& call);

}  // namespace vale::addon
