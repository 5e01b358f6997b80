// SPDX-License-Identifier: BSD-2-Clause
// The library's own beginning and end in a process.
#pragma once

namespace vale::preload {

// This library as LD_PRELOAD named it, and VALE_DIR, as they were when the process began; nullptr when
// the program was linked with the library, or has no such variable.
const char* own_path();
const char* own_directory();

}  // namespace vale::preload
