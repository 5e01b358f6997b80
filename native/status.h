// SPDX-License-Identifier: BSD-2-Clause
// What a call of the core returns: nothing wrong, or an errno and the one line that explains it.
#pragma once

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <string>
#include <utility>

namespace vale {

// err is an errno value, 0 for success. text is one line for people: what was asked, what is wrong
// with it, what to do; empty on success. No newline, no trailing full stop.
struct Status {
  int err = 0;
  std::string text;
  int option = 0;  // which option of the request is to blame (NETMAP_REQ_OPT_*), 0 = none

  bool ok() const { return err == 0; }
  static Status good() { return {}; }

  [[gnu::format(printf, 2, 3)]] static Status fail(int err, const char* format, ...) {
    char line[1024];
    va_list ap;
    va_start(ap, format);
    std::vsnprintf(line, sizeof line, format, ap);
    va_end(ap);
    return {err, line, 0};
  }
};

}  // namespace vale
