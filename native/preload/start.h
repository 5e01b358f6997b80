// SPDX-License-Identifier: BSD-2-Clause
// The library's own beginning and end in a process.
#pragma once

namespace vale::preload {

// This library as LD_PRELOAD named it, and VALE_DIR, as they were when the process began; nullptr when
// the program was linked with the library, or has no such variable.
const char* own_path();
const char* own_directory();

// Whether the program began on one processor alone. One that binds itself to one later leaves the others to
// those who send to it.
bool began_on_one_processor();

}  // namespace vale::preload
